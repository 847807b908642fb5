/** The disk of Redis is full: it exits at its first write, and again after each start, until there is room. Or it is slow. */

import { awaitUntil } from '@khumbu/test-support/events';
import type { EverestClient } from '@khumbu/test-support/everest-client';
import { makeImage } from '@khumbu/test-support/firmware';
import { UNSIGNED } from '@khumbu/test-support/statuses';
import {
  askUpdate,
  type DiskCase,
  type DiskWorld,
  differs,
  NO_PERMISSION,
  PATIENCE_MS,
  type Seen,
  seen,
} from './world.js';

/** EVerest's caller must not wait for longer. */
const ANSWER_MS = 1500;
const QUESTIONS = 10;
/** An answer that has not come by then is none. */
const NO_ANSWER_MS = 10_000;
/** How soon after the end of the trouble requests are accepted again. */
const SERVES_AGAIN_MS = 15_000;

interface Answered {
  readonly requestId: number;
  readonly reply: unknown;
  readonly ms: number;
}

const location = ({ origin }: DiskWorld, name: string, rate?: number): string =>
  `${origin.serve(`/${name}.bin`, makeImage(600_000, name).bytes, rate === undefined ? {} : { bytesPerSecond: rate })}${NO_PERMISSION}`;

async function ask(station: EverestClient, requestId: number, where: string): Promise<Answered> {
  const request = { request_id: requestId, location: where, retries: 1, retry_interval_s: 1 };
  const began = performance.now();
  try {
    return { requestId, ...(await station.request('update_firmware', request, { timeoutMs: NO_ANSWER_MS })) };
  } catch {
    return { requestId, reply: 'no answer', ms: performance.now() - began };
  }
}

/** The short form runs beside other tests: times there say nothing. */
const tooLate = ({ context }: DiskWorld, answers: readonly Answered[]): string[] =>
  answers
    .filter(({ ms }) => context.effort === 'long' && ms > ANSWER_MS)
    .map(({ requestId, ms }) => `answer ${requestId} took ${Math.round(ms)} ms`);

const isYes = ({ reply }: Answered): boolean => reply === 'Accepted' || reply === 'AcceptedCanceled';

/** Whatever was answered by default is nowhere; whatever was accepted has an end. */
async function judgeAnswers(world: DiskWorld, name: string, answers: readonly Answered[]): Promise<string[]> {
  const faults: string[] = [];
  for (const answer of answers) {
    const { items } = (await world.depot.get(`/stations/${name}/firmware-updates?limit=200`)) as { items: Seen[] };
    const found = items.find((one) => one.requestId === answer.requestId);
    if (isYes(answer) && !found) faults.push(`request ${answer.requestId} was accepted and is lost`);
    if (!isYes(answer) && found && found.status !== 'Withdrawn')
      faults.push(`request ${answer.requestId} was answered ${String(answer.reply)} and is ${found.status}`);
  }
  return faults;
}

/** Requests until one is accepted; they may be refused by default for a moment. */
async function servesAgain(station: EverestClient, firstId: number, where: string): Promise<Answered[]> {
  const answers: Answered[] = [];
  await awaitUntil(
    async () => {
      const answer = await ask(station, firstId + answers.length, where);
      answers.push(answer);
      return isYes(answer);
    },
    SERVES_AGAIN_MS,
    'a request to be accepted again',
  );
  return answers;
}

async function diskFull(world: DiskWorld): Promise<string[]> {
  const [busy, asking] = ['redis-full-busy', 'redis-full-asking'];
  const { depot, disks, origin, context } = world;
  const [one, two] = [await world.station(busy), await world.station(asking)];
  const deathsBefore = depot.process('redis').deaths;
  await askUpdate(one, 1, location(world, busy, 200_000));
  await origin.awaitBytes(`/${busy}.bin`, 100_000);
  await disks.redis.fill(0);
  const faults: string[] = [];
  const where = location(world, asking);
  const answers: Answered[] = [];
  try {
    for (let id = 1; id <= QUESTIONS; id++) answers.push(await ask(two, id, where));
    await awaitUntil(() => depot.process('redis').deaths > deathsBefore, PATIENCE_MS, 'Redis to give up');
    for (let id = 1; id <= QUESTIONS; id++) answers.push(await ask(two, QUESTIONS + id, where));
    const response = await depot.fetch(`/v1/stations/${asking}/log-uploads`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'DiagnosticsLog' }),
    });
    const text = await response.text();
    if (response.status !== 503) faults.push(`REST answered ${response.status} ${text}`);
  } finally {
    await disks.redis.free();
  }
  if (answers.every(isYes)) faults.push('no request met the full disk');
  const freedAt = performance.now();
  answers.push(...(await servesAgain(two, 1000, where)));
  context.figure('accepted again after the disk of Redis was freed', `${Math.round(performance.now() - freedAt)} ms`);
  await one.awaitStatus(1, 'Installed', PATIENCE_MS);
  const last = answers.at(-1)?.requestId ?? 0;
  await two.awaitStatus(last, 'Installed', PATIENCE_MS);
  await seen(world, 'firmware', asking, last);
  faults.push(...tooLate(world, answers), ...differs(busy, one.statusNames(1), UNSIGNED));
  faults.push(...(await judgeAnswers(world, asking, answers)));
  for (const [name, count] of [
    [busy, 1],
    [asking, (await installedOf(world, asking)).length],
  ] as const) {
    const installs = (await depot.charger(name))?.installCount;
    if (installs !== count) faults.push(`${name}: ${installs} installs, ${count} told`);
  }
  return faults;
}

async function installedOf({ depot }: DiskWorld, name: string): Promise<Seen[]> {
  const { items } = (await depot.get(`/stations/${name}/firmware-updates?limit=200`)) as { items: Seen[] };
  return items.filter(({ status }) => status === 'Installed');
}

/** Every round trip takes longer than a healthy commit by far. */
function slow(lagMs: number): DiskCase['run'] {
  return async (world) => {
    const { depot, context } = world;
    const name = `redis-slow-${lagMs}`;
    const station = await world.station(name);
    const where = location(world, name);
    const proxies = depot.services.map((service) => depot.proxy(service, 'redis'));
    const answers: Answered[] = [];
    for (const proxy of proxies) proxy.lag(lagMs);
    try {
      for (let id = 1; id <= QUESTIONS; id++) answers.push(await ask(station, id, where));
    } finally {
      for (const proxy of proxies) proxy.lag(0);
    }
    const slowest = Math.max(...answers.map(({ ms }) => ms));
    const yes = answers.filter(isYes).length;
    context.figure(
      `answers while Redis lags ${2 * lagMs} ms`,
      `${yes} of ${answers.length} by decision, slowest ${Math.round(slowest)} ms`,
    );
    answers.push(...(await servesAgain(station, 1000, where)));
    const last = answers.at(-1)?.requestId ?? 0;
    await station.awaitStatus(last, 'Installed', PATIENCE_MS);
    return [...tooLate(world, answers), ...(await judgeAnswers(world, name, answers))];
  };
}

export const REDIS_CASES: readonly DiskCase[] = [
  { name: 'the disk of Redis is full', run: diskFull },
  { name: 'every round trip to Redis takes 100 ms', run: slow(50) },
  { name: 'every round trip to Redis takes 300 ms', run: slow(150) },
  { name: 'every round trip to Redis takes a second', run: slow(500) },
];
