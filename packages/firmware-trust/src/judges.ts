/**
 * Certificates are judged in threads: whatever a text costs, the thread that answers stations does not pay for it. A
 * verdict that cannot be had in time is given up, and the thread that took too long is ended and replaced. Stations take
 * turns; one of them has one thread at a time. A text that many send at once is judged once.
 */
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { ChainPolicy, ChainVerdict } from './chain.js';
import type { CertificateRule, FromJudge, ToJudge } from './judge-messages.js';
import type { TrustMaterial } from './roots.js';
import { createWaiting } from './waiting.js';

export interface JudgeQuestion {
  readonly text: string;
  readonly rule: CertificateRule;
  /** Whose turn it takes: a station, or a caller of REST. */
  readonly sender: string;
  readonly now: Date;
}

/** `undecided` says why there is no verdict. */
export type Judgement = { readonly verdict: ChainVerdict } | { readonly undecided: string };

export interface JudgeLimits {
  readonly threads: number;
  /** From the question to the verdict, waiting included. */
  readonly answerMs: number;
  /** For one text, once its thread has begun. */
  readonly runMs: number;
  readonly waitingInAll: number;
  readonly waitingOfOne: number;
}

export interface JudgesOptions {
  readonly material: () => TrustMaterial;
  readonly policy: Required<ChainPolicy>;
  readonly log: Pick<Logger, 'error' | 'debug'>;
  readonly limits?: Partial<JudgeLimits>;
  /** Default: the thread of this package. */
  readonly script?: URL;
}

export interface Judges {
  /** Never rejects, and resolves within `answerMs`. */
  judge(question: JudgeQuestion): Promise<Judgement>;
  /** Start the threads, which the first question would. Resolves when one can judge, or when the judges are closed. */
  warmUp(): Promise<void>;
  close(): Promise<void>;
}

/** A station hears the default answer after 700 ms; the decision has to be stored, too. */
const LIMITS: JudgeLimits = { threads: 2, answerMs: 550, runMs: 400, waitingInAll: 256, waitingOfOne: 8 };
/** What is known of a text stands for so long: dates are judged by the second, not by the millisecond. */
const KEPT_MS = 5000;
const MOST_KEPT = 256;
const HEAP_MB = 512;
const RESTART_MS = 200;

interface Task {
  readonly key: string;
  readonly question: JudgeQuestion;
  readonly waiters: Set<(judgement: Judgement) => void>;
}

interface Seat {
  worker: Worker | undefined;
  /** `loading`: it reads what to judge by. */
  state: 'loading' | 'idle' | 'busy';
  task: Task | undefined;
  timer: NodeJS.Timeout | undefined;
  material: TrustMaterial | undefined;
}

/** The clock is in it: one that jumps makes another question of it. */
function keyOf({ rule, text, now }: JudgeQuestion): string {
  const when = Math.floor(now.getTime() / KEPT_MS);
  return createHash('sha256').update(`${rule} ${when}\n${text}`).digest('hex');
}

export function createJudges({ material, policy, log, limits, script }: JudgesOptions): Judges {
  const { threads, answerMs, runMs, waitingInAll, waitingOfOne } = { ...LIMITS, ...limits };
  const file = script ?? new URL('./judge-thread.js', import.meta.url);
  const waiting = createWaiting<Task>({ inAll: waitingInAll, ofOne: waitingOfOne });
  const open = new Map<string, Task>();
  const kept = new Map<string, { readonly judgement: Judgement; readonly until: number }>();
  const running = new Set<string>();
  let current = material();
  let closed = false;
  let setReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    setReady = resolve;
  });

  const finish = (task: Task, judgement: Judgement): void => {
    open.delete(task.key);
    kept.set(task.key, { judgement, until: performance.now() + KEPT_MS });
    const [oldest] = kept.keys();
    if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
    for (const resolve of task.waiters) resolve(judgement);
  };

  const load = (seat: Seat): void => {
    seat.state = 'loading';
    seat.material = current;
    const { roots, crls } = current;
    const message: ToJudge = {
      kind: 'material',
      roots: roots.map(({ x509 }) => x509.raw),
      crls: crls.map(({ der }) => der),
      policy,
    };
    seat.worker?.postMessage(message);
  };

  const free = (seat: Seat): Task | undefined => {
    clearTimeout(seat.timer);
    const { task } = seat;
    seat.task = undefined;
    if (task) running.delete(task.question.sender);
    return task;
  };

  /** Its thread is over: what it worked on has no verdict, and another thread takes the seat. */
  const lose = (seat: Seat, worker: Worker, why: string): void => {
    if (seat.worker !== worker) return;
    seat.worker = undefined;
    const task = free(seat);
    seat.state = 'loading';
    worker.removeAllListeners();
    worker.on('error', (error) => log.debug({ reason: describeError(error) }, 'a thread that was ended'));
    void worker.terminate();
    if (closed) return;
    log.error(
      { why, rule: task?.question.rule, sender: task?.question.sender },
      'a thread that judges certificates was lost',
    );
    if (task) finish(task, { undecided: why });
    setTimeout(() => start(seat), task ? 0 : RESTART_MS).unref();
    schedule();
  };

  const start = (seat: Seat): void => {
    if (closed) return;
    const worker = new Worker(file, { execArgv: [], env: {}, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
    worker.unref();
    seat.worker = worker;
    worker.on('message', (message: FromJudge) => {
      if (seat.worker !== worker) return;
      const task = free(seat);
      seat.state = 'idle';
      if (message.kind === 'ready') setReady();
      // What changed meanwhile may say something else about it.
      else if (task && seat.material === current) finish(task, { verdict: message.verdict });
      else if (task) waiting.add(task.question.sender, task);
      schedule();
    });
    worker.on('error', (error) => lose(seat, worker, describeError(error)));
    worker.on('exit', () => lose(seat, worker, 'it has ended'));
    load(seat);
  };

  const begin = (seat: Seat, task: Task): void => {
    const { worker } = seat;
    const { text, rule, now, sender } = task.question;
    if (!worker) return;
    seat.state = 'busy';
    seat.task = task;
    running.add(sender);
    seat.timer = setTimeout(() => lose(seat, worker, `it took longer than ${runMs} ms`), runMs);
    worker.postMessage({ kind: 'judge', text, rule, now: now.getTime() } satisfies ToJudge);
  };

  const seats: readonly Seat[] = Array.from({ length: threads }, () => ({
    worker: undefined,
    state: 'loading',
    task: undefined,
    timer: undefined,
    material: undefined,
  }));

  function schedule(): void {
    const now = material();
    if (now.roots !== current.roots || now.crls !== current.crls) {
      current = now;
      kept.clear();
    }
    for (const seat of seats) {
      if (closed || seat.state !== 'idle') continue;
      if (seat.material !== current) {
        load(seat);
        continue;
      }
      const next = waiting.next((sender) => !running.has(sender));
      if (next) begin(seat, next.item);
    }
  }
  let begun = false;
  const warmUp = (): Promise<void> => {
    if (!begun) for (const seat of seats) start(seat);
    begun = true;
    return ready;
  };

  /** Nobody waits for it any more: it need not be judged, unless it is being judged already. */
  const leave = (task: Task, waiter: (judgement: Judgement) => void): void => {
    task.waiters.delete(waiter);
    if (task.waiters.size > 0 || seats.some((seat) => seat.task === task)) return;
    waiting.remove(task.question.sender, task);
    open.delete(task.key);
  };

  return {
    warmUp,
    judge(question) {
      if (closed) return Promise.resolve({ undecided: 'stopping' });
      void warmUp();
      schedule();
      const key = keyOf(question);
      const known = kept.get(key);
      if (known && known.until > performance.now()) return Promise.resolve(known.judgement);
      const before = open.get(key);
      const task = before ?? { key, question, waiters: new Set() };
      if (!before) {
        if (!waiting.add(question.sender, task)) return Promise.resolve({ undecided: 'too many certificates wait' });
        open.set(key, task);
      }
      return new Promise((resolve) => {
        const settle = (judgement: Judgement): void => {
          clearTimeout(timer);
          leave(task, settle);
          resolve(judgement);
        };
        const timer = setTimeout(() => settle({ undecided: `no verdict within ${answerMs} ms` }), answerMs);
        task.waiters.add(settle);
        schedule();
      });
    },
    async close() {
      closed = true;
      setReady();
      for (const task of open.values())
        for (const resolve of Array.from(task.waiters)) resolve({ undecided: 'stopping' });
      await Promise.all(
        seats.map(async (seat) => {
          free(seat);
          await seat.worker?.terminate();
        }),
      );
    },
  };
}
