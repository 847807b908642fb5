/** Runs one schedule of a scenario from a clean start to its rest, and resolves with what it showed. */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { judgeWorld } from './judge-world.js';
import { type Choose, StuckError } from './scheduler.js';
import { spawnOtaWorker, spawnReconciler, spawnSystemControl } from './workers.js';
import { createWorld, STATION, type World, type WorldOptions } from './world.js';

export interface Scenario {
  readonly name: string;
  readonly options?: Partial<Omit<WorldOptions, 'redis' | 'dir' | 'name' | 'image'>>;
  cast(world: World): void;
  /** What only this scenario promises. */
  judge?(world: World): string[];
}

export interface Seen {
  readonly faults: readonly string[];
  /** The same for schedules whose commits and effects came in the same order. */
  readonly order: string;
  readonly trace: readonly string[];
  readonly gates: number;
}

/** Time enough for offers, reservations, put-off jobs and resets whose boot was not seen. */
const QUIET_ROUNDS_MS = [2000, 2000, 2000, 2000, 5000, 20_000, 20_000, 40_000, 60_000, 60_000, 2000, 2000];
/** An actor may ask for ever for what only the reconciler ends. */
const MOST_JUMPS = 60;
const DAY_MS = 24 * 3600_000;
/** An answer that never comes is waited for until the deadline. */
const LAST_ROUNDS_MS = [2000, 12_000, 2000, 12_000, 2000];

const first: Choose = (ready, current) => current ?? (ready[0] as NonNullable<typeof current>);

/** The rest of the depot comes back: frozen processes go on, killed ones are replaced, and the reconciler runs. */
async function comeToRest(world: World): Promise<void> {
  const { scheduler, options, keys, board } = world;
  const isOver = async (): Promise<boolean> =>
    (await options.redis.zcard(keys.open)) === 0 && board.left().length === 0;
  for (const actor of scheduler.actors) if (actor.dead) board.handOn(actor.name);
  spawnOtaWorker(world, 'ota-new');
  spawnSystemControl(world, 'control-new');
  const look = async (name: string, rounds: readonly number[]): Promise<void> => {
    if (await isOver()) return;
    spawnReconciler(world, name, rounds, { isOver });
    await scheduler.run(first);
  };
  await look('reconciler-then', QUIET_ROUNDS_MS);
  if (!(await isOver())) scheduler.advance(8 * DAY_MS);
  await look('reconciler-late', LAST_ROUNDS_MS);
  for (const actor of scheduler.actors) actor.frozen = false;
  await scheduler.run(first);
  await look('reconciler-last', LAST_ROUNDS_MS);
  await world.drainOutbox();
}

/** What took effect, in its order. */
function orderOf(world: World): string {
  const hash = createHash('sha1');
  for (const entry of world.journal) {
    if (entry.kind === 'commit')
      hash.update(`${entry.by} ${entry.records.map(({ id, state }) => `${world.aliasOf(id)} ${state}`).join()};`);
    if (entry.kind === 'effect') hash.update(`${entry.step} ${world.aliasOf(entry.operationId)};`);
  }
  return hash.digest('base64url');
}

export async function runSchedule(scenario: Scenario, base: WorldOptions, choose: Choose): Promise<Seen> {
  const world = createWorld({ ...base, ...scenario.options });
  const faults: string[] = [];
  // Nothing is installed where EVerest has never sent anything.
  await base.redis.hset(world.keys.station(STATION), STATION_FIELDS.firstSeenAt, String(world.now()));
  try {
    scenario.cast(world);
    await world.scheduler.run(choose, MOST_JUMPS);
    await comeToRest(world);
    faults.push(...(await judgeWorld(world)), ...(scenario.judge?.(world) ?? []));
  } catch (error) {
    if (!(error instanceof StuckError)) throw error;
    faults.push(error.message);
  } finally {
    world.close();
    await base.redis.flushdb();
    await rm(`${base.dir}/${base.name}`, { recursive: true, force: true });
  }
  const { trace } = world.scheduler;
  return { faults: [...new Set(faults)], order: orderOf(world), trace, gates: trace.length };
}
