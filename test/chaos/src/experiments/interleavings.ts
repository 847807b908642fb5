/**
 * One update and everything that may come in between, stepped through by a scheduler: the product's own code and a real
 * Redis, but only one actor gets on at a time, from one command to the next.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { startRedis } from '@khumbu/test-support/redis';
import { Redis } from 'ioredis';
import type { Experiment, ExperimentContext } from '../experiment.js';
import { type Deviation, deviateFurther, follow, randomly } from '../interleaving/explore.js';
import { draw, SMALL } from '../interleaving/scenarios.js';
import { runSchedule, type Scenario, type Seen } from '../interleaving/schedule.js';
import type { WorldOptions } from '../interleaving/world.js';

const LANES = 6;
/** Files here are not written to a disk, where the system has such a place. */
const MEMORY = '/dev/shm';
const SHOWN = 3;

type Lane = Omit<WorldOptions, 'name'>;

async function openLanes(context: ExperimentContext): Promise<Lane[]> {
  const dir = await mkdtemp(join(MEMORY, 'khumbu-chaos-')).catch(() => mkdtemp(join(tmpdir(), 'khumbu-chaos-')));
  context.teardown(() => rm(dir, { recursive: true, force: true }));
  const server = await startRedis({ dir: join(dir, 'redis') });
  context.teardown(() => server.stop());
  const { bytes, sha256 } = makeImage(4096, 'interleavings');
  const path = join(dir, 'image.bin');
  await writeFile(path, bytes);
  await mkdir(context.dir, { recursive: true });
  const signed = (await makeSigner(context.dir)).signed(bytes);
  return Array.from({ length: LANES }, (_none, db) => {
    const redis = new Redis(server.url, { db });
    context.teardown(() => redis.disconnect());
    return {
      redis,
      dir: join(dir, `lane-${db}`),
      image: { path, sha256, sizeBytes: bytes.length, signed },
      dialect: 'ocpp1.6',
      hints: 'lost',
      installMs: 30,
      rebootMs: 30,
      reservationMs: 3000,
    };
  });
}

/** Do this for every item, in as many lanes as there are. */
async function inLanes<T>(
  lanes: readonly Lane[],
  items: Iterable<T>,
  act: (item: T, lane: WorldOptions) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  await Promise.all(
    lanes.map(async (lane) => {
      for (let count = 1; ; count++) {
        const next = rest.next();
        if (next.done) return;
        await act(next.value, { ...lane, name: `w${count}` });
      }
    }),
  );
}

function createTally(context: ExperimentContext) {
  const orders = new Set<string>();
  const kinds = new Map<string, number>();
  let schedules = 0;
  let gates = 0;
  return {
    /** Count, and show the first few of each kind of fault. */
    add(what: string, seen: Seen): boolean {
      schedules += 1;
      gates += seen.gates;
      orders.add(seen.order);
      if (seen.faults.length === 0) return true;
      const kind = seen.faults[0] ?? '';
      const count = (kinds.get(kind) ?? 0) + 1;
      kinds.set(kind, count);
      if (count <= 1 && kinds.size <= SHOWN * 4) context.broke(what, seen.faults.join('; '));
      if (count <= 1 && process.env.INTERLEAVING_TRACE) context.say(seen.trace.join('\n'));
      return false;
    },
    report(): void {
      context.figure('schedules', String(schedules));
      context.figure('different orders of commits and effects', String(orders.size));
      context.figure('gates passed', String(gates));
      if (kinds.size > 0)
        context.figure('schedules broken', [...kinds.values()].reduce((sum, one) => sum + one, 0).toString());
    },
    schedules: () => schedules,
    orders: () => orders.size,
  };
}
type Tally = ReturnType<typeof createTally>;

const textOf = (deviations: readonly Deviation[]): string =>
  deviations.length === 0 ? 'plain' : deviations.map(({ at, to }) => `${at}>${to}`).join(' ');

/** All schedules with up to this many deviations, at most `most` of them: then a random choice of the last kind. */
async function enumerate(
  context: ExperimentContext,
  lanes: readonly Lane[],
  tally: Tally,
  scenario: Scenario,
  depth: number,
  most: number,
): Promise<void> {
  let level: Deviation[][] = [[]];
  let left = most;
  let broken = 0;
  const before = tally.schedules();
  for (let count = 0; count <= depth; count++) {
    const next: Deviation[][] = [];
    const chosen = level.length <= left ? level : context.random.fork(scenario.name).shuffled(level).slice(0, left);
    left -= chosen.length;
    await inLanes(lanes, chosen, async (deviations, lane) => {
      const followed = follow(deviations);
      const seen = await runSchedule(scenario, lane, followed.choose);
      if (!tally.add(`${scenario.name} [${textOf(deviations)}]`, seen)) broken += 1;
      if (count < depth) next.push(...deviateFurther(deviations, followed));
    });
    level = next;
  }
  if (broken === 0) context.held(`${scenario.name}: ${tally.schedules() - before} schedules`);
}

export const interleavings: Experiment = {
  name: 'interleavings',
  promise:
    'In whatever order supersede, cancel, permission, reset and the death of a process reach an update, it is installed at most once, never after a cancel, and its station is free in the end.',
  async run(context) {
    const { effort, random } = context;
    const lanes = await openLanes(context);
    const tally = createTally(context);
    const long = effort === 'long';
    for (const scenario of SMALL) await enumerate(context, lanes, tally, scenario, long ? 2 : 1, long ? 3000 : 60);
    const cases = context.cases ?? (long ? 5000 : 300);
    const seeds = Array.from({ length: cases }, (_none, index) => index);
    let broken = 0;
    await inLanes(lanes, seeds, async (index, lane) => {
      const dice = random.fork(index);
      const scenario = draw(dice.fork('cast'));
      const seen = await runSchedule(scenario, lane, randomly(dice.fork('choices')));
      if (!tally.add(`case ${index} (${scenario.name})`, seen)) broken += 1;
    });
    if (broken === 0) context.held(`${cases} random schedules`);
    tally.report();
  },
};
