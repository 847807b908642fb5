/** One round: stations are brought to their statuses, faults strike, everything is mended, and it becomes quiet. */
import { setTimeout as delay } from 'node:timers/promises';
import { awaitUntil } from '@khumbu/test-support/events';
import type { ProcessName, ServiceName } from '../depot/depot.js';
import { type Act, LONGEST_LEAD_MS } from './acts.js';
import { type Asked, type Prepared, prepare } from './asking.js';
import { bootsOf, recordsOf, unrest } from './evidence.js';
import { type Fault, processOf, strike } from './faults.js';
import type { Stage } from './stage.js';

export interface PlannedFault {
  readonly fault: Fault;
  /** Milliseconds after the strike. */
  readonly at: number;
}

export interface Round {
  readonly acts: readonly Act[];
  readonly faults: readonly PlannedFault[];
  /** Which of several workers of a kind; default: the first. */
  readonly pick?: (names: readonly ServiceName[]) => ServiceName;
}

export interface Played {
  readonly asked: readonly Asked[];
  /** When the first fault struck, Unix milliseconds. */
  readonly struckAt: number;
  readonly struck: readonly ProcessName[];
  /** From the end of the last fault until everything was over. */
  readonly quietAfterMs: number;
  /** What was still not over when the wait for it ended. */
  readonly unrest: readonly string[];
  /** Processes that ended without anybody killing them. */
  readonly deaths: readonly string[];
  /** How long this machine, and the stations on it, did nothing at a time. */
  readonly stoodStillMs: number;
  /** Until another gateway led, when the leader stood still. */
  readonly takenOverAfterMs?: number;
}

const PREPARE_MS = 500;
const AHEAD_MS = 200;
const ANSWER_MS = 3000;
const BACK_MS = 5000;
const QUIET_MS = 300_000;
const LOOK_MS = 250;
/** What a frozen process does when it goes on, and what the broker delivers again, comes at once. */
const SETTLED_MS = 1500;

const sleepUntil = (at: number): Promise<void> => delay(Math.max(0, at - Date.now()));

export async function playRound(stage: Stage, round: Round): Promise<Played> {
  const { depot } = stage;
  const stillness = watchStillness();
  const deathsBefore = deaths(stage);
  const strikeAt = Date.now() + LONGEST_LEAD_MS + PREPARE_MS;
  const asked: Asked[] = [];
  const ready = async (act: Act): Promise<Prepared> => {
    const prepared = await prepare(stage, act, strikeAt);
    asked.push(prepared.asked);
    return prepared;
  };
  const answers: Promise<void>[] = [];
  const before = round.acts.map(async (act) => {
    if (act.askAt === 'strike') return;
    await sleepUntil(strikeAt + act.askAt - AHEAD_MS);
    const { send } = await ready(act);
    await sleepUntil(strikeAt + act.askAt);
    answers.push(send());
  });
  const begun = Promise.all(before);
  begun.catch(() => undefined); // it is awaited below
  await sleepUntil(strikeAt - PREPARE_MS);
  const last = await Promise.all(round.acts.filter(({ askAt }) => askAt === 'strike').map(ready));
  const victims = await Promise.all(round.faults.map(({ fault }) => processOf(depot, fault.target, round.pick)));
  await Promise.all([begun, sleepUntil(strikeAt)]);
  await Promise.all(asked.map(awaitBack));
  const sent = last.map((one) => ({ ...one, answer: one.send() }));
  answers.push(...sent.map(({ answer }) => answer));
  await Promise.race([
    ...sent.map(({ asked: one, answer }) => taken(stage, one, answer)),
    delay(sent.length > 0 ? ANSWER_MS : 0),
  ]);
  const first = Math.min(...round.faults.map(({ at }) => at));
  const zero = Date.now();
  let takenOverAfterMs: number | undefined;
  await Promise.all(
    round.faults.map(async ({ fault, at }, index) => {
      const victim = victims[index] as ProcessName;
      if (at > 0) await delay(at);
      const over = strike(depot, victim, fault, stage.stationProxy);
      over.catch(() => undefined); // it is awaited below
      if (fault.target === 'gateway leader' && fault.kind === 'SIGSTOP' && round.faults.length === 1) {
        takenOverAfterMs = await takeover(stage, victim);
      }
      await over;
    }),
  );
  await depot.heal();
  const healedAt = Date.now();
  await Promise.race([Promise.all(answers), delay(QUIET_MS)]);
  const left = await becomeQuiet(stage);
  const killed = victims.filter((_, index) => round.faults[index]?.fault.kind === 'SIGKILL');
  return {
    asked,
    struckAt: zero + first,
    struck: victims,
    stoodStillMs: stillness.end(),
    quietAfterMs: Date.now() - healedAt - SETTLED_MS,
    unrest: left,
    deaths: unexplained(deathsBefore, deaths(stage), killed),
    ...(takenOverAfterMs === undefined ? {} : { takenOverAfterMs }),
  };
}

/** What was asked has been accepted: by its answer, or, where there is none, by its record. */
async function taken(stage: Stage, asked: Asked, answer: Promise<void>): Promise<void> {
  await answer;
  if (asked.act.kind !== 'reset') return;
  await awaitUntil(async () => (await recordsOf(stage, asked)).length > 0, ANSWER_MS, 'the record of a reset').catch(
    () => undefined,
  );
}

/** For an act whose strike waits until its station is back. */
async function awaitBack({ act, station, bootsBefore }: Asked): Promise<void> {
  if (act.kind !== 'reset' || !act.strikeWhenBack) return;
  // Where it is late, the strike comes too soon for it, and that is printed.
  await awaitUntil(() => bootsOf(station) > bootsBefore, BACK_MS, `${act.name} to be back`).catch(() => undefined);
}

const TICK_MS = 50;

/** A process that gets no processor sends no heartbeats either. */
function watchStillness() {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last - TICK_MS);
    last = performance.now();
  }, TICK_MS);
  return {
    end(): number {
      clearInterval(timer);
      return longest;
    },
  };
}

async function takeover(stage: Stage, frozen: ProcessName): Promise<number> {
  const from = Date.now();
  await awaitUntil(async () => (await stage.depot.leader()) !== frozen, 20_000, 'another gateway to lead');
  return Date.now() - from;
}

async function becomeQuiet(stage: Stage): Promise<string[]> {
  const end = Date.now() + QUIET_MS;
  await backlogDone(stage);
  for (;;) {
    const left = await look(stage);
    if (left.length === 0) {
      await delay(SETTLED_MS);
      const again = await look(stage);
      if (again.length === 0 || Date.now() > end) return again;
    } else if (Date.now() > end) return left;
    await delay(LOOK_MS);
  }
}

/** Some gateway serves, and is through with what the broker kept: it marks that again and again. */
async function backlogDone({ depot, store }: Stage): Promise<void> {
  const mark = `${store.keys.lease}:serving`;
  await depot.redis.del(mark);
  await awaitUntil(async () => (await depot.redis.exists(mark)) === 1, QUIET_MS, 'a gateway to serve');
}

async function look(stage: Stage): Promise<string[]> {
  await allowWhatEverestCannot(stage);
  const down = stage.stations.filter(({ up }) => !up).map(({ station }) => `down: ${station}`);
  return [...(await unrest(stage)), ...down];
}

/** OCPP 2.x may forget an unsigned update with a restart of EVerest; then an operator has to allow it. */
async function allowWhatEverestCannot({ store, depot }: Stage): Promise<void> {
  for (const { id, station, waitingFor } of await store.loadMany(await store.openIds())) {
    if (waitingFor !== 'permission_unobtainable') continue;
    await depot.fetch(`/v1/stations/${station}/firmware-updates/${id}/allow-installation`, { method: 'POST' });
  }
}

function deaths({ depot }: Stage): Map<ProcessName, number> {
  const names: ProcessName[] = [...depot.services, 'redis', 'mosquitto', 's3'];
  return new Map(names.map((name) => [name, depot.process(name).deaths]));
}

function unexplained(
  before: ReadonlyMap<ProcessName, number>,
  after: ReadonlyMap<ProcessName, number>,
  killed: readonly ProcessName[],
): string[] {
  return [...after].flatMap(([name, count]) => {
    const extra = count - (before.get(name) ?? 0) - killed.filter((one) => one === name).length;
    return extra > 0 ? [`${name} ended ${extra} times by itself`] : [];
  });
}
