/** One station sends as fast as it can; the others are measured with and without it, in turn. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';
import { type House, startHouse } from '../house/house.js';

const FLOODER = fileURLToPath(new URL('../hostile/flooder.js', import.meta.url));
const BARE = fileURLToPath(new URL('../hostile/bare-responder.js', import.meta.url));
const BARE_PREFIX = 'bare/';
const OTHERS = 20;
const PER_S = 100;
const EFFORT = {
  short: { rounds: 2, seconds: 2 },
  long: { rounds: 8, seconds: 5 },
} as const;
/** The promise; below this a difference is the machine's. */
const ALLOWED = { factor: 2, ms: 5 } as const;
const REPLY_MS = 10_000;

const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
const ms = (value: number): string => `${value.toFixed(1)} ms`;

type Side = 'Khumbu' | 'bare responder';

/** Milliseconds of each answer, asked evenly whether or not the earlier ones have come; and what was wrong with some. */
async function ask(clients: readonly EverestClient[], seconds: number): Promise<{ took: number[]; faults: string[] }> {
  const took: number[] = [];
  const faults: string[] = [];
  const began = performance.now();
  const asked: Promise<void>[] = [];
  for (let n = 0; n < PER_S * seconds; n++) {
    const dueIn = began + (n * 1000) / PER_S - performance.now();
    if (dueIn > 0) await pause(dueIn);
    const client = clients[n % clients.length] as EverestClient;
    const isReset = Math.floor(n / clients.length) % 2 === 1;
    const [leaf, payload, wanted] = isReset
      ? ['is_reset_allowed', 'Soft', true]
      : ['get_boot_reason', undefined, 'PowerUp'];
    asked.push(
      client.request(leaf as string, payload, { timeoutMs: REPLY_MS }).then(
        ({ reply, ms: one }) => {
          took.push(one);
          if (reply !== wanted) faults.push(`${leaf} was answered ${JSON.stringify(reply)} after ${ms(one)}`);
        },
        (error: unknown) => void faults.push(String(error)),
      ),
    );
  }
  await Promise.all(asked);
  return { took, faults };
}

async function startOthers(context: ExperimentContext, house: House, prefix: string): Promise<EverestClient[]> {
  const clients = await Promise.all(
    Array.from({ length: OTHERS }, (_, index) =>
      startEverestClient({ mqttUrl: house.mqttUrl, moduleId: `other-${index}`, prefix }),
    ),
  );
  context.teardown(() => Promise.all(clients.map((client) => client.close(true))));
  return clients;
}

/** Frames so far. */
const sentBy = (child: Child): number => Number(child.stdout().trim().split('\n').at(-1));

const startFlood = (house: House, prefix: string): Promise<Child> =>
  startChild(process.execPath, [FLOODER, house.mqttUrl, prefix, 'flooder'], {
    env: { ...process.env, NODE_OPTIONS: '' },
  });

export const flood: Experiment = {
  name: 'flood',
  promise:
    'A station that sends as fast as it can does not keep the others waiting: the p99 of their answers at most doubles.',
  async run(context) {
    const { rounds, seconds } = EFFORT[context.effort];
    const stations = [...Array.from({ length: OTHERS }, (_, index) => `other-${index}`), 'flooder'];
    const house = await startHouse(context, {
      dir: join(context.dir, 'house'),
      services: ['gateway-1', 'gateway-2'],
      unknownStations: 'refuse',
      stations: Object.fromEntries(stations.map((name) => [name, {}])),
    });
    await house.leader();
    const bare = await startChild(process.execPath, [BARE, house.mqttUrl, BARE_PREFIX], {
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    context.teardown(() => bare.end('SIGKILL'));
    await awaitUntil(() => bare.stdout().includes('ready'), 10_000, 'the bare responder');
    const sides: Record<Side, { clients: EverestClient[]; prefix: string; quiet: number[]; flooded: number[] }> = {
      Khumbu: { clients: await startOthers(context, house, ''), prefix: '', quiet: [], flooded: [] },
      'bare responder': {
        clients: await startOthers(context, house, BARE_PREFIX),
        prefix: BARE_PREFIX,
        quiet: [],
        flooded: [],
      },
    };
    const faults: string[] = [];
    let lostByBare = 0;
    let floodFrames = 0;
    let floodSeconds = 0;
    const measure = async (side: Side, isFlooded: boolean): Promise<void> => {
      const { clients, prefix, quiet, flooded } = sides[side];
      const child = isFlooded ? await startFlood(house, prefix) : undefined;
      const began = performance.now();
      if (child) await awaitUntil(() => sentBy(child) > 0, 10_000, 'the flood');
      const answers = await ask(clients, seconds);
      (isFlooded ? flooded : quiet).push(...answers.took);
      if (side === 'Khumbu')
        faults.push(...answers.faults.map((fault) => `${isFlooded ? 'flooded' : 'quiet'}: ${fault}`));
      else lostByBare += answers.faults.length;
      if (!child) return;
      await child.end('SIGKILL');
      if (side === 'Khumbu') {
        floodFrames += sentBy(child);
        floodSeconds += (performance.now() - began) / 1000;
      }
      // What the broker still has of it.
      const after = await ask(clients.slice(0, 1), 0.05);
      if (side === 'Khumbu') faults.push(...after.faults.map((fault) => `after a flood: ${fault}`));
    };
    for (const side of Object.keys(sides) as Side[]) await ask(sides[side].clients, 1);

    const rss = [await house.resident(await house.leader()).rssBytes()];
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? [false, true] : [true, false];
      for (const isFlooded of order) await measure('Khumbu', isFlooded);
      rss.push(await house.resident(await house.leader()).rssBytes());
      for (const isFlooded of order) await measure('bare responder', isFlooded);
    }

    for (const side of Object.keys(sides) as Side[]) {
      const { quiet, flooded } = sides[side];
      const line = (values: readonly number[]): string =>
        `p50 ${ms(quantile(values, 0.5))}, p99 ${ms(quantile(values, 0.99))}, of ${values.length}`;
      context.figure(`${side}, quiet`, line(quiet));
      context.figure(`${side}, flooded`, line(flooded));
      context.figure(`${side}, p99 flooded / quiet`, (quantile(flooded, 0.99) / quantile(quiet, 0.99)).toFixed(2));
    }
    context.figure('bare responder, wrong or none', String(lostByBare));
    context.figure('flood', `${(floodFrames / floodSeconds).toFixed(0)} frames a second`);
    context.figure('memory of the leader', `${rss.map((bytes) => (bytes / 1e6).toFixed(0)).join(' ')} MB`);
    const { quiet, flooded } = sides.Khumbu;
    const [before, during] = [quantile(quiet, 0.99), quantile(flooded, 0.99)];
    const slower = during > before * ALLOWED.factor && during - before > ALLOWED.ms;
    judge(context, `${flooded.length} answers to others during a flood`, [
      ...faults.slice(0, 5),
      ...(faults.length > 5 ? [`${faults.length} in all`] : []),
      ...(slower ? [`p99 ${ms(during)} instead of ${ms(before)}`] : []),
    ]);
    const deaths = house.services.filter((name) => house.resident(name).deaths > 0);
    judge(context, 'nobody crashed', deaths);
    const restarts = house.services.flatMap(
      (name) =>
        house
          .resident(name)
          .output()
          .match(/not the leader any more|connection to the broker lost/g) ?? [],
    );
    judge(context, 'the leader stayed the leader', restarts);
  },
};
