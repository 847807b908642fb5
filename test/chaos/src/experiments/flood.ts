/**
 * One station floods the depot; the others are measured with and without it, in turn, and so are the stations of a bare
 * responder on the same broker: more than the broker and the machine can do is not judged.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import { type Depot, startDepot } from '../depot/depot.js';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';

const FLOODER = fileURLToPath(new URL('../hostile/flooder.js', import.meta.url));
const BARE = fileURLToPath(new URL('../hostile/bare-responder.js', import.meta.url));
const BARE_PREFIX = 'bare/';
const OTHERS = 20;
const PER_S = 100;
const EFFORT = {
  short: { rounds: 1, seconds: 2 },
  long: { rounds: 8, seconds: 5 },
} as const;
const REPLY_MS = 30_000;

/** Ten times what a station may send, and as much as the broker takes of one. */
const FLOODS = { steady: 2000, boundless: 0 } as const;
type Flood = keyof typeof FLOODS;
/** The promise for a steady flood; below this a difference is the machine's. */
const STEADY = { factor: 2, ms: 5 } as const;
/** A boundless one starves the machine and every process on it; yet no station may get a default because of that. */
const ANSWERED_WITHIN_MS = 1500;

const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
const ms = (value: number): string => `${value.toFixed(1)} ms`;

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

interface Side {
  readonly name: 'Khumbu' | 'bare responder';
  readonly prefix: string;
  readonly clients: readonly EverestClient[];
  readonly took: Record<Flood | 'quiet', number[]>;
  readonly faults: Record<Flood | 'quiet', string[]>;
  /** Frames of the flood, and in how many seconds. */
  readonly flood: Record<Flood, { frames: number; seconds: number }>;
}

async function openSide(context: ExperimentContext, depot: Depot, name: Side['name'], prefix: string): Promise<Side> {
  const clients = await Promise.all(
    Array.from({ length: OTHERS }, (_, index) =>
      startEverestClient({ mqttUrl: depot.mqttUrl, moduleId: `other-${index}`, prefix }),
    ),
  );
  context.teardown(() => Promise.all(clients.map((client) => client.close(true))));
  await ask(clients, 1);
  return {
    name,
    prefix,
    clients,
    took: { quiet: [], steady: [], boundless: [] },
    faults: { quiet: [], steady: [], boundless: [] },
    flood: { steady: { frames: 0, seconds: 0 }, boundless: { frames: 0, seconds: 0 } },
  };
}

const bareNode = (script: string, ...args: string[]): Promise<Child> =>
  startChild(process.execPath, [script, ...args], { env: { ...process.env, NODE_OPTIONS: '' } });

/** Frames so far. */
const sentBy = (child: Child): number => Number(child.stdout().trim().split('\n').at(-1));

async function measure(depot: Depot, side: Side, what: Flood | 'quiet', seconds: number): Promise<void> {
  const note = ({ took, faults }: Awaited<ReturnType<typeof ask>>): void => {
    side.took[what].push(...took);
    side.faults[what].push(...faults);
  };
  if (what === 'quiet') return note(await ask(side.clients, seconds));
  const flooder = await bareNode(FLOODER, depot.mqttUrl, side.prefix, 'flooder', String(FLOODS[what]));
  await awaitUntil(() => sentBy(flooder) > 0, 10_000, 'the flood');
  const [before, began] = [sentBy(flooder), performance.now()];
  note(await ask(side.clients, seconds));
  const flood = side.flood[what];
  flood.frames += sentBy(flooder) - before;
  flood.seconds += (performance.now() - began) / 1000;
  await flooder.end('SIGKILL');
  // What the broker still has of it goes by; then all must be as before.
  const { faults } = await ask(side.clients.slice(0, 1), 0.05);
  side.faults[what].push(...faults.map((fault) => `after it: ${fault}`));
}

/** Beside other tests a request may be refused to a starved machine; it must not be answered wrongly or never. */
const isDefault = (fault: string): boolean => fault.includes('"Unknown"') || fault.includes('answered false');

function judgeFlood(context: ExperimentContext, ours: Side, bare: Side, what: Flood): void {
  const p99 = (side: Side, kind: Flood | 'quiet'): number => quantile(side.took[kind], 0.99);
  const [quiet, flooded, theirs] = [p99(ours, 'quiet'), p99(ours, what), p99(bare, what)];
  const slowest = quantile(ours.took[what], 1);
  // The short form runs beside other tests: times there say nothing.
  const isTimed = context.effort === 'long';
  const isSlow =
    what === 'steady' ? flooded > quiet * STEADY.factor && flooded - quiet > STEADY.ms : slowest > ANSWERED_WITHIN_MS;
  const tooSlow = isTimed && isSlow;
  const wrong = isTimed ? ours.faults[what] : ours.faults[what].filter((fault) => !isDefault(fault));
  judge(context, `${ours.took[what].length} answers to others during a ${what} flood`, [
    ...wrong.slice(0, 5),
    ...(wrong.length > 5 ? [`${wrong.length} in all`] : []),
    ...(tooSlow
      ? [`p99 ${ms(flooded)}, slowest ${ms(slowest)}; quiet ${ms(quiet)}; of the bare responder ${ms(theirs)}`]
      : []),
  ]);
}

export const flood: Experiment = {
  name: 'flood',
  promise:
    'A station that sends ten times what it may does not keep the others waiting: the p99 of their answers at most doubles; while one sends all the broker takes, they are all answered, none by default and each within 1.5 s.',
  async run(context) {
    const { rounds, seconds } = EFFORT[context.effort];
    const stations = [...Array.from({ length: OTHERS }, (_, index) => `other-${index}`), 'flooder'];
    const depot = await startDepot(context, {
      dir: join(context.dir, 'depot'),
      // Without system-control no reset is allowed.
      services: ['gateway-1', 'gateway-2', 'system-control-1'],
      proxies: false,
      unknownStations: 'refuse',
      stations: Object.fromEntries(stations.map((name) => [name, {}])),
    });
    await depot.leader();
    const responder = await bareNode(BARE, depot.mqttUrl, BARE_PREFIX);
    context.teardown(() => responder.end('SIGKILL'));
    await awaitUntil(() => responder.stdout().includes('ready'), 10_000, 'the bare responder');
    const ours = await openSide(context, depot, 'Khumbu', '');
    const bare = await openSide(context, depot, 'bare responder', BARE_PREFIX);

    const leader = depot.process(await depot.leader());
    const rss = [await leader.rssBytes()];
    const kinds: (Flood | 'quiet')[] = ['quiet', 'steady', 'boundless'];
    for (let round = 0; round < rounds; round++) {
      for (const what of round % 2 === 0 ? kinds : kinds.toReversed()) {
        await measure(depot, ours, what, seconds);
        await measure(depot, bare, what, seconds);
      }
      rss.push(await leader.rssBytes());
    }

    for (const { name, took, flood, faults } of [ours, bare]) {
      for (const what of kinds) {
        const [p50, p99, slowest] = [0.5, 0.99, 1].map((share) => ms(quantile(took[what], share)));
        const sent =
          what === 'quiet' ? '' : `, ${(flood[what].frames / flood[what].seconds).toFixed(0)} frames a second`;
        const wrong = faults[what].length === 0 ? '' : `, ${faults[what].length} by default, wrong or none`;
        context.figure(
          `${name}, ${what}`,
          `p50 ${p50}, p99 ${p99}, slowest ${slowest}, of ${took[what].length}${sent}${wrong}`,
        );
      }
    }
    context.figure('memory of the leader', `${rss.map((bytes) => (bytes / 1e6).toFixed(0)).join(' ')} MB`);
    judgeFlood(context, ours, bare, 'steady');
    judgeFlood(context, ours, bare, 'boundless');
    const deaths = depot.services.filter((name) => depot.process(name).deaths > 0);
    judge(context, 'nobody crashed', deaths);
    const restarts = depot.services.flatMap(
      (name) =>
        depot
          .process(name)
          .output()
          .match(/not the leader any more|connection to the broker lost/g) ?? [],
    );
    // Beside other tests it may get no processor for as long as its lease lasts: then the other one has to answer.
    if (context.effort === 'long') judge(context, 'the leader stayed the leader', restarts);
    else context.figure('leases and connections lost', String(restarts.length));
  },
};
