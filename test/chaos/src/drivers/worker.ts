/** A worker process as the experiment has it: given a record to bring to its end, killed, frozen. */
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '@khumbu/test-support/children';
import { within } from '@khumbu/test-support/events';
import type { RecordBook } from './record.js';
import type { Said, Told, WorkerTask } from './worker-child.js';

const CHILD = fileURLToPath(new URL('./worker-child.js', import.meta.url));
const READY_MS = 60_000;
const REST_MS = 15_000;

export interface WorkerError {
  readonly code: string;
  readonly message: string;
}

export interface Worker {
  readonly name: string;
  readonly isAlive: () => boolean;
  begin(task: WorkerTask, book: RecordBook): void;
  /** It found the record ended. Resolves also when it was killed. */
  readonly over: Promise<void>;
  /** How many connections it kept open, once they had time to be closed; `undefined`: it was killed. */
  rest(): Promise<number | undefined>;
  readonly errors: readonly WorkerError[];
  freeze(): void;
  thaw(): void;
  kill(): Promise<void>;
}

async function startWorker(name: string): Promise<Worker> {
  // The test runner gives every child options of its own.
  const env = { ...process.env, NODE_OPTIONS: '' };
  const child: Child = await startChild(process.execPath, [CHILD], { ipc: true, env });
  const errors: WorkerError[] = [];
  let book: RecordBook | undefined;
  let [ready, over] = [() => {}, () => {}];
  let rested: (open: number | undefined) => void = () => {};
  const isReady = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const isOver = new Promise<void>((resolve) => {
    over = resolve;
  });
  const isAtRest = new Promise<number | undefined>((resolve) => {
    rested = resolve;
  });
  const tell = (message: Told): void => void child.process.send(message, () => {});
  const heed: { readonly [K in Said['said']]: (message: Extract<Said, { said: K }>) => void } = {
    ready: () => ready(),
    move: ({ move }) => {
      if (book) tell({ told: 'record', record: move ? book.move(move, name) : book.now() });
    },
    error: ({ code, message }) => void errors.push({ code, message }),
    over: () => over(),
    rest: ({ openConnections }) => rested(openConnections),
  };
  child.process.on('message', (message: Said) => (heed[message.said] as (message: Said) => void)(message));
  void child.exited.then(() => {
    ready();
    over();
    rested(undefined);
  });
  await within(isReady, READY_MS, 'a worker to start');
  if (child.exit()) throw new Error(`the worker did not start: ${child.output()}`);
  return {
    name,
    isAlive: () => child.exit() === undefined,
    begin(task, its) {
      book = its;
      tell({ told: 'work', task });
    },
    over: isOver,
    rest: () => within(isAtRest, REST_MS, 'connections to be closed'),
    errors,
    freeze: () => void child.process.kill('SIGSTOP'),
    thaw: () => void child.process.kill('SIGCONT'),
    kill: async () => void (await child.end('SIGKILL')),
  };
}

/** Workers that have done nothing yet: to load their code takes longer than an update. */
export function createWorkerStock(size: number) {
  let made = 0;
  const make = (): Promise<Worker> => {
    made += 1;
    const worker = startWorker(`worker-${made}`);
    // Its taker gets the error.
    worker.catch(() => {});
    return worker;
  };
  const stock: Promise<Worker>[] = Array.from({ length: size }, make);
  return {
    take(): Promise<Worker> {
      const worker = stock.shift() ?? make();
      stock.push(make());
      return worker;
    },
    async end(): Promise<void> {
      for (const worker of stock) await (await worker).kill();
    },
  };
}
export type WorkerStock = ReturnType<typeof createWorkerStock>;
