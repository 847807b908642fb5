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
      notifications: 'lost',
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

/** The first of each kind of fault is printed, and of the very first one every gate that was passed. */
function createTally(context: ExperimentContext) {
  const orders = new Set<string>();
  const kinds = new Set<string>();
  let schedules = 0;
  let gates = 0;
  let broken = 0;
  return {
    add(what: string, seen: Seen): boolean {
      schedules += 1;
      gates += seen.gates;
      orders.add(seen.order);
      const [kind] = seen.faults;
      if (kind === undefined) return true;
      broken += 1;
      if (kinds.size === 0) context.say(`the way to ${what}:\n${seen.trace.join('\n')}`);
      if (!kinds.has(kind)) context.broke(what, seen.faults.join('; '));
      kinds.add(kind);
      return false;
    },
    report(): void {
      context.figure('schedules', String(schedules));
      context.figure('different orders of commits and effects', String(orders.size));
      context.figure('gates passed', String(gates));
      if (broken > 0) context.figure('schedules broken', String(broken));
    },
    schedules: () => schedules,
  };
}
type Tally = ReturnType<typeof createTally>;

const textOf = (deviations: readonly Deviation[]): string =>
  deviations.length === 0 ? 'plain' : deviations.map(({ at, to }) => `${at}>${to}`).join(' ');

/** All schedules with up to this many deviations; where they are more than `most`, a random choice of each kind. */
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
    // The last kind is by far the largest.
    const room = count < depth ? Math.ceil(left / 2) : left;
    const chosen = level.length <= room ? level : context.random.fork(scenario.name).shuffled(level).slice(0, room);
    left -= chosen.length;
    await inLanes(lanes, chosen, async (deviations, lane) => {
      const followed = follow(deviations);
      const seen = await runSchedule(scenario, lane, followed.choose);
      if (!tally.add(`${scenario.name} [${textOf(deviations)}]`, seen)) broken += 1;
      if (count < depth) next.push(...deviateFurther(deviations, followed));
    });
    // In whatever order the lanes were done.
    level = next.sort((one, other) => textOf(one).localeCompare(textOf(other)));
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
    const [depth, most, usual] = long ? [2, 600, 3000] : [2, 32, 150];
    for (const scenario of SMALL) await enumerate(context, lanes, tally, scenario, depth, most);
    const cases = context.cases ?? usual;
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
