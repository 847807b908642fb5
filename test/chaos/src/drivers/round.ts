/** One update at one charger with what happens to it, and what is to be seen afterwards. */
import { setTimeout as pause } from 'node:timers/promises';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { retryUntil } from '@khumbu/shared/runtime/retry-until';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { createRealDriver } from '@khumbu/station-drivers/station/real-driver';
import { createSshPool } from '@khumbu/station-drivers/transports/ssh/ssh-transport';
import { createRandom } from '../random.js';
import type { ChargerImage, Run, Truth } from './charger.js';
import type { Lane } from './lane.js';
import type { Plan } from './plan.js';
import { createRecordBook, isFinal, type UpdateRecord } from './record.js';
import { awaitMoment, type Scene, strike } from './strike.js';
import type { Worker, WorkerError, WorkerStock } from './worker.js';

const OVER_MS = 300_000;
/** A watch looks every five seconds whether what it watches is still there. */
const LEFT_MS = 60_000;
const LOOK_MS = 20;

export interface Played {
  readonly record: UpdateRecord;
  readonly wasGivenUp: boolean;
  readonly verdicts: readonly { readonly by: string; readonly record: UpdateRecord }[];
  readonly errors: readonly WorkerError[];
  readonly image: ChargerImage;
  readonly before: Truth;
  readonly after: Truth;
  readonly runs: readonly Run[];
  readonly writesAgain: boolean;
  /** What had not ended in time, at the station or here. */
  readonly left: readonly string[];
  /** Effects that had begun when the station had taken on that it was given up, and in the end. */
  readonly effects?: { readonly whenRetired: readonly string[]; readonly inTheEnd: readonly string[] };
}

const LIMITS = {
  connect_s: 10,
  keep_alive_s: 1,
  command_s: 60,
  transfer_stall_s: 5,
  reboot_s: 40,
  restart_s: 10,
} as const;

/** Ask until it is answered; what the experiment does to the station may stand in the way for a while. */
const askUntilAnswered = (ask: () => Promise<void>): Promise<void> =>
  retryUntil(ask, {
    pausesMs: [LOOK_MS],
    signal: AbortSignal.timeout(OVER_MS),
    isRetryable: (error) => hasCode(error, 'STATION_UNREACHABLE', 'STATION_FAILED'),
  });

/** Resolves with whether it held in time. */
async function inTime(ms: number, check: () => boolean | Promise<boolean>): Promise<boolean> {
  const until = performance.now() + ms;
  while (!(await check())) {
    if (performance.now() > until) return false;
    await pause(LOOK_MS);
  }
  return true;
}

function createCrew(stock: WorkerStock, begin: (worker: Worker) => void) {
  const all: Worker[] = [];
  return {
    all: all as readonly Worker[],
    living: () => all.filter((worker) => worker.isAlive()),
    async add(): Promise<void> {
      const worker = await stock.take();
      all.push(worker);
      begin(worker);
    },
  };
}

export async function playRound(lane: Lane, stock: WorkerStock, plan: Plan, operationId: string): Promise<Played> {
  const { charger, proxy, stateDisk } = lane;
  await charger.reset(plan.behaviour);
  const image = await charger.image(createRandom(plan.seed).fork('image'), plan.behaviour.outcome);
  const before = await charger.truth();
  const entry: RealDriverEntry = {
    ...lane.entry(plan.transport),
    limits: { ...LIMITS, install_s: plan.installS },
  };
  const task = { entry, operationId, image, startsAtOnce: plan.startsAtOnce };
  const book = createRecordBook();
  const crew = createCrew(stock, (worker) => worker.begin(task, book));
  let isOver = false;
  const scene: Scene = {
    lane,
    operationId,
    workers: crew.living,
    addWorker: () => crew.add(),
    state: () => book.now().state,
    isOver: () => isOver || isFinal(book.now().state),
  };
  const pool = createSshPool({ idleMs: 200 });
  const driver = createRealDriver('gate', entry, pool);
  const { signal } = new AbortController();
  let whenRetired: readonly string[] | undefined;
  const giveUp = async (): Promise<void> => {
    if (!plan.givenUp) return;
    await awaitMoment(scene, plan.givenUp.phase, plan.givenUp.atMs);
    book.giveUp();
    if (!book.wasGivenUp()) return;
    await askUntilAnswered(() => driver.retire(operationId, signal));
    whenRetired = await lane.effects(operationId);
  };

  for (let n = 0; n < plan.workers; n += 1) await crew.add();
  const disturbed = Promise.all([giveUp(), ...plan.faults.map((fault) => strike(scene, fault))]);
  const isDone = (): boolean => isFinal(book.now().state);
  const left: string[] = [];
  if (!(await inTime(OVER_MS, isDone))) left.push(`it is ${book.now().state} for ever`);
  await disturbed;
  isOver = true;
  await proxy.mend();
  await stateDisk?.free();
  for (const worker of crew.living()) worker.thaw();
  if (left.length > 0) for (const worker of crew.living()) await worker.kill();
  await Promise.all(crew.all.map((worker) => worker.over));

  // A worker that was frozen since before its first effect may still ask for it.
  const startLate = (): Promise<void> =>
    driver.start({ step: 'install', operationId, image }, signal).catch((error: unknown) => {
      if (!hasCode(error, 'EFFECT_RETIRED')) throw error;
    });
  if (isDone()) await askUntilAnswered(startLate);
  const isIdle = async (): Promise<boolean> => !(await driver.observe(signal).catch(() => ({ busy: true }))).busy;
  if (!(await inTime(OVER_MS, isIdle))) left.push('the station is busy for ever');
  await charger.quiet();
  pool.close();
  for (const worker of crew.living()) {
    const open = await worker.rest();
    if (open !== 0) left.push(`${worker.name} keeps ${open} connections`);
    await worker.kill();
  }
  if (!(await inTime(LEFT_MS, () => lane.running().length === 0)))
    left.push(...lane.running().map(({ commandLine }) => `still runs: ${commandLine.slice(0, 200)}`));
  if (!(await inTime(LEFT_MS, () => proxy.connections() === 0)))
    left.push(`${proxy.connections()} connections are open`);
  return {
    record: book.now(),
    wasGivenUp: book.wasGivenUp(),
    verdicts: book.verdicts(),
    errors: crew.all.flatMap(({ errors }) => errors),
    image,
    before,
    after: await charger.truth(),
    runs: await charger.runs(),
    writesAgain: charger.writesAgain === true,
    left,
    ...(whenRetired ? { effects: { whenRetired, inTheEnd: await lane.effects(operationId) } } : {}),
  };
}
