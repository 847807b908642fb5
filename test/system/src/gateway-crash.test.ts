/** What a station notices when the only gateway of `npm run up` is killed: nothing, if it tolerates silence as EVerest does. */
import { join } from 'node:path';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import t from 'tap';
import { type Cluster, startCluster } from './cluster.js';

const PATIENCE_MS = 60_000;
/** EVerest's default. */
const PERIOD_S = 5;
/** A gateway is killed so often, and more often where the machine made each of these rounds slow. */
const KILLS = 3;
const MOST_KILLS = 10;

const checksOf = (station: EverestClient): number[] =>
  station.messages.items.filter(({ leaf }) => leaf === 'communication_check').map(({ atMs }) => atMs);

const startStation = (cluster: Cluster): Promise<EverestClient> =>
  startEverestClient({
    mqttUrl: cluster.endpoints.mqttUrl,
    moduleId: 'main',
    heartbeatMs: 1000,
    discovery: { heartbeat_period_ms: 1000, communication_check_period_s: PERIOD_S, request_reply_timeout_s: 30 },
  });

/** The pid of a gateway that is there to take over, or to lead. */
const there = (cluster: Cluster, name: 'gateway-1' | 'gateway-standby'): number | undefined => {
  try {
    return cluster.pidOf(name);
  } catch {
    return undefined;
  }
};

/** A busy gateway may answer by default. */
const answered = (station: EverestClient): Promise<boolean> =>
  awaitUntil(
    async () => (await station.request('get_boot_reason', undefined, { timeoutMs: PATIENCE_MS })).reply !== 'Unknown',
    PATIENCE_MS,
    'the true answer',
  );

/** The first check after a kill, and how long the station received none. */
async function silence(station: EverestClient, killedAt: number): Promise<{ at: number; ms: number }> {
  const at = await awaitUntil(() => checksOf(station).find((one) => one > killedAt + 20), PATIENCE_MS, 'a check');
  return {
    at,
    ms:
      at -
      (checksOf(station)
        .filter((one) => one < at)
        .at(-1) ?? killedAt),
  };
}

void t.test('the standby takes over before a station misses a check', async (t) => {
  const cluster = await startCluster(t, { dataDir: join(t.testdir(), 'data'), env: { STANDBY_GATEWAY: 'true' } });
  const station = await startStation(cluster);
  t.teardown(() => station.close());
  const ready = { 'gateway-1': 1, 'gateway-standby': 1 };
  const gaps: number[] = [];
  const isQuick = (): boolean => Math.min(...gaps) < PERIOD_S * 1000;
  for (let kill = 0; kill < KILLS || (kill < MOST_KILLS && !isQuick()); kill += 1) {
    const name = kill % 2 === 0 ? 'gateway-1' : 'gateway-standby';
    const other = name === 'gateway-1' ? 'gateway-standby' : 'gateway-1';
    const stands = (): boolean => (there(cluster, other) ? cluster.readyCount(other) >= ready[other] : false);
    await awaitUntil(() => stands() && checksOf(station).length > 1, PATIENCE_MS, `${other} to stand by, and checks`);
    const [pid, killedAt] = [cluster.pidOf(name), performance.now()];
    process.kill(pid, 'SIGKILL');
    ready[name] += 1;
    gaps.push((await silence(station, killedAt)).ms);
    t.ok(await answered(station), 'and requests are answered');
  }
  // On a machine that does much else one of them may take long; a lease that has to run out would delay every one.
  t.ok(isQuick(), `silent for ${gaps.map((ms) => Math.round(ms)).join(', ')} ms`);
});

void t.test('one that has no standby is there again, and speaks to stations before it serves REST', async (t) => {
  const cluster = await startCluster(t, { dataDir: join(t.testdir(), 'data') });
  const station = await startStation(cluster);
  t.teardown(() => station.close());
  await awaitUntil(() => checksOf(station).length > 1, PATIENCE_MS, 'checks');
  const serves = (): Promise<number | false> =>
    // One that was on its way when the gateway was killed may never end.
    fetch(`${cluster.endpoints.httpUrl}/livez`, { signal: AbortSignal.timeout(5000) }).then(
      () => performance.now(),
      () => false,
    );
  const gaps: number[] = [];
  const early: boolean[] = [];
  for (let round = 0; round < KILLS || (round < MOST_KILLS && !early.includes(true)); round += 1) {
    const killedAt = performance.now();
    process.kill(cluster.pidOf('gateway-1'), 'SIGKILL');
    await awaitUntil(async () => (await serves()) === false, PATIENCE_MS, 'REST to be gone');
    const servesAt = await awaitUntil(serves, PATIENCE_MS, 'REST to be back');
    const { at, ms } = await silence(station, killedAt);
    t.comment(`the check came ${Math.round(servesAt - at)} ms earlier`);
    early.push(at < servesAt);
    gaps.push(ms);
    t.ok(await answered(station));
  }
  // Where Redis or the broker is late by itself, REST does not wait for it.
  t.ok(early.includes(true), 'the check came earlier');
  t.comment(`silent for ${gaps.map((ms) => Math.round(ms)).join(', ')} ms`);
});
