/**
 * How many stations with a heartbeat each second one gateway carries. Carried means: it receives 99 of 100, it uses no more
 * than one core, and 99 of 100 communication checks come less than half a second late.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Depot, startDepot } from '@khumbu/chaos/depot/depot';
import type { BeaterOptions, Window } from '../load/heartbeater.js';
import { cpuSeconds, type Remote, startRemote } from '../load/remote.js';
import type { BenchContext, Benchmark } from '../row.js';
import { BARE, stationNames } from '../stage.js';
import { quantile } from '../statistics.js';

const HEARD = 0.99;
const CORES = 1;
const LATE_MS = 500;
const STEP = 2000;
const MOST = 30_000;
/** A step that fails is read again: a machine that stood still for a second is not what is measured. */
const READS = 2;
/** First part of the stations' names. */
const GROUP = 'beat';

interface Carrier {
  readonly pid: number;
  /** Heartbeats so far. */
  heard(): Promise<number>;
}

interface Reading {
  readonly sentPerS: number;
  readonly heardPerS: number;
  readonly cores: number;
  readonly lateMs: number;
  readonly untold: number;
}

async function read(beater: Remote, carrier: Carrier, seconds: number): Promise<Reading> {
  const [heardBefore, cpuBefore] = [await carrier.heard(), await cpuSeconds(carrier.pid)];
  const began = performance.now();
  const window = await beater.call<Window>('watch', seconds);
  const took = (performance.now() - began) / 1000;
  return {
    sentPerS: window.sent / window.seconds,
    heardPerS: ((await carrier.heard()) - heardBefore) / took,
    cores: ((await cpuSeconds(carrier.pid)) - cpuBefore) / took,
    lateMs: window.lateness.length === 0 ? Number.POSITIVE_INFINITY : quantile(window.lateness, 0.99),
    untold: window.untold,
  };
}

/** Pure: why it does not carry so many, or `undefined`. */
function failure(stations: number, reading: Reading, isChecked: boolean): string | undefined {
  if (reading.sentPerS < HEARD * stations) return 'the machine cannot send as many';
  if (reading.heardPerS < HEARD * stations) return 'not all are heard';
  if (reading.cores > CORES) return 'more than one core';
  if (isChecked && reading.untold > 0) return `${reading.untold} stations are not told at all`;
  return isChecked && reading.lateMs >= LATE_MS ? 'checks are late' : undefined;
}

const describe = (reading: Reading): string =>
  `${reading.heardPerS.toFixed(0)} of ${reading.sentPerS.toFixed(0)} a second heard, ${reading.cores.toFixed(2)} of a core` +
  (Number.isFinite(reading.lateMs) ? `, checks p99 ${reading.lateMs.toFixed(0)} ms late` : '');

/** The largest number of stations that is carried, and what it said on the way. */
async function climb(
  context: BenchContext,
  who: string,
  beater: Remote,
  carrier: Carrier,
  isChecked: boolean,
): Promise<number> {
  const isShort = context.effort === 'short';
  const step = isShort ? 200 : STEP;
  let carried = 0;
  for (let stations = step; stations <= (isShort ? step : MOST); stations += step) {
    await beater.call('grow', stations);
    // New stations are stored and get their first check; that passes.
    await pause(isShort ? 2000 : 4000);
    let why: string | undefined;
    for (let reads = 0; reads < READS; reads++) {
      const reading = await read(beater, carrier, isShort ? 2 : 5);
      // The short form runs beside other tests: times there say nothing.
      if (isShort) why = reading.heardPerS > 0 ? undefined : 'nothing is heard';
      else why = failure(stations, reading, isChecked);
      context.say(`${who}, ${stations} stations: ${describe(reading)}${why === undefined ? '' : `: ${why}`}`);
      if (why === undefined) break;
    }
    if (why !== undefined) break;
    carried = stations;
  }
  await beater.call('shrink');
  return carried;
}

const heardBy = async (depot: Depot): Promise<number> => {
  const metrics = await (await fetch(`${depot.httpUrls[0]}/metrics`)).text();
  return Number(/^khumbu_messages_total\{channel="heartbeat"\} (\d+)/m.exec(metrics)?.[1] ?? 0);
};

export const heartbeats: Benchmark<'heartbeats'> = {
  rows: [
    {
      name: 'heartbeats',
      unit: '1/s',
      baselineName: 'mqtt.js client that only counts',
      wanted: '>= 10000 within one core',
      meets: ({ ours }) => ours !== null && ours >= 10_000,
    },
  ],
  async measure(context) {
    const rounds = context.effort === 'short' ? 1 : 3;
    const ours: number[] = [];
    const baseline: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const dir = join(context.dir, `depot-${round}`);
      // Named in the stations file, as in a depot of that size: unconfigured stations share one rate limit.
      const stations = Object.fromEntries(stationNames(MOST, GROUP).map((name) => [name, {}]));
      const depot = await startDepot(context, { dir, services: ['gateway-1'], proxies: false, stations });
      await depot.leader();
      const beaterFor = async (prefix: string): Promise<Remote> => {
        const beater = await startRemote(context, 'heartbeater');
        await beater.call('start', { url: depot.mqttUrl, prefix, group: GROUP } satisfies BeaterOptions);
        return beater;
      };
      const gateway = { pid: depot.process('gateway-1').pid as number, heard: () => heardBy(depot) };
      const beater = await beaterFor('');
      ours.push(await climb(context, 'gateway', beater, gateway, true));
      await beater.end();
      await depot.process('gateway-1').stop('SIGKILL');
      const counter = await startRemote(context, 'counter');
      await counter.call('start', { url: depot.mqttUrl, filter: `${BARE}everest_api/1/system/+/e2m/heartbeat` });
      const counting = { pid: counter.pid, heard: () => counter.call<number>('heard') };
      baseline.push(await climb(context, 'counter', await beaterFor(BARE), counting, false));
      await depot.stop();
    }
    return { heartbeats: { ours, baseline } };
  },
};
