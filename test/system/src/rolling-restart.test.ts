/**
 * What an operator does to a depot at work: an upgrade, where every service is stopped and started again one after the
 * other, and a restore on another machine.
 */

import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Endpoints } from '@khumbu/embedded-run/cluster';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import { SIGNED, withoutDelayedPermission } from '@khumbu/test-support/statuses';
import t, { type Test } from 'tap';
import { startCluster } from './cluster.js';
import { connect, PATIENCE_MS, runningImage, update } from './everest.js';

const OTA_WORKERS = ['ota-worker-1', 'ota-worker-2'] as const;
const OTHERS = ['log-worker-1', 'system-control-1', 'gateway-1', 'gateway-2'] as const;
type Service = (typeof OTA_WORKERS | typeof OTHERS)[number];

const run = promisify(execFile);
const INFRA = fileURLToPath(new URL('../../../../infra/', import.meta.url));
const dir = t.testdir({ keys: {} });
const dataDir = `${dir}/data`;
const origin = await startOrigin();
t.teardown(() => origin.close());
const cluster = await startCluster(t, {
  dataDir,
  env: { GATEWAYS: '2', OTA_WORKERS: '2' },
  stations: {
    downloading: {},
    waiting: {},
    installing: { simulated: { install_ms: 120_000 } },
  },
});
const signer = await makeSigner(`${dir}/keys`);

const pidOf = (name: Service): number | undefined => {
  try {
    return (JSON.parse(readFileSync(join(dataDir, 'run', `${name}.pid`), 'utf8')) as { pid: number }).pid;
  } catch {
    // Between two processes there is no file, or half of one.
    return undefined;
  }
};
/** What the process of this service that runs now has written. */
const linesOf = (name: Service, pid: number | undefined): string[] =>
  readFileSync(join(dataDir, 'log', `${name}.log`), 'utf8')
    .split('\n')
    .filter((line) => line.includes(`"pid":${pid},`));

/** Ask it to stop, as an upgrade does, and wait until its successor is ready. */
async function restart(t: Test, name: Service): Promise<void> {
  const before = pidOf(name);
  if (before === undefined) throw new Error(`${name} does not run`);
  process.kill(before, 'SIGTERM');
  await awaitUntil(
    () => {
      const now = pidOf(name);
      return now !== before && linesOf(name, now).some((line) => line.includes('"msg":"ready"'));
    },
    PATIENCE_MS,
    `${name} to be ready again`,
  );
  const old = linesOf(name, before);
  t.ok(
    old.some((line) => line.includes('"msg":"stopping"')),
    `${name} stopped in order`,
  );
  t.notOk(
    old.some((line) => /"level":(50|60)/.test(line)),
    `${name} had nothing to regret`,
  );
}

/**
 * It counts as restarted, or as away, when it has been silent for long, not for the moments that a busy machine makes of half a
 * second between two heartbeats.
 */
const PATIENT = { heartbeat_period_ms: 20_000, communication_check_period_s: 5, request_reply_timeout_s: 300 } as const;

interface Began {
  readonly bytesPerSecond?: number;
  /** Default: it does not answer discovery. */
  readonly discovery?: typeof PATIENT;
}

/** Ask for a signed update of 4 MB. */
async function begin(t: Test, station: string, id: number, { bytesPerSecond, discovery }: Began = {}) {
  const client = await connect(t, cluster, station, { heartbeatMs: 500, ...(discovery ? { discovery } : {}) });
  const image = makeImage(4_000_000, station);
  const location = origin.serve(`/${station}.bin`, image.bytes, bytesPerSecond === undefined ? {} : { bytesPerSecond });
  t.equal(await update(client, id, { location, ...signer.signed(image.bytes) }), 'Accepted');
  return { client, image };
}

void t.test('the same statuses and one install, whatever the update was doing', async (t) => {
  // Each station is at another point of its update while all six services are exchanged.
  const waiting = await begin(t, 'waiting', 1, { discovery: PATIENT });
  await waiting.client.awaitStatus(1, 'SignatureVerified', PATIENCE_MS);
  const installing = await begin(t, 'installing', 2, { discovery: PATIENT });
  await installing.client.awaitStatus(2, 'SignatureVerified', PATIENCE_MS);
  await installing.client.allowInstallation();
  await installing.client.awaitStatus(2, 'Installing', PATIENCE_MS);
  const downloading = await begin(t, 'downloading', 3, { bytesPerSecond: 40_000, discovery: PATIENT });
  await downloading.client.awaitStatus(3, 'Downloading', PATIENCE_MS);

  for (const name of OTA_WORKERS) await restart(t, name);
  t.equal(installing.client.statusNames(2).at(-1), 'Installing', 'the install outlived those who began it');
  t.notOk(downloading.client.statusNames(3).includes('SignatureVerified'), 'so did the download');
  for (const name of OTHERS) await restart(t, name);
  // After an upgrade everything is asked and answered as before.
  t.same((await askUntilDecided('get_boot_reason', () => waiting.client.request('get_boot_reason'))).reply, 'PowerUp');
  await waiting.client.allowInstallation();
  await downloading.client.awaitStatus(3, 'SignatureVerified', PATIENCE_MS);
  await downloading.client.allowInstallation();
  for (const [{ client, image }, id] of [
    [waiting, 1],
    [installing, 2],
    [downloading, 3],
  ] as const) {
    await client.awaitStatus(id, 'Installed', PATIENCE_MS);
    const said = client.statusNames(id);
    t.same(withoutDelayedPermission(said), SIGNED, `${client.moduleId}: ${said.join(' > ')}`);
    const charger = await cluster.charger(client.moduleId);
    t.equal(charger.installCount, 1, 'one install');
    t.equal(runningImage(charger), image.sha256);
  }
  const { bodyBytes } = origin.stats('/downloading.bin');
  t.ok(bodyBytes < 4_000_000 + 2 * 600_000, `the download went on where it was: ${bodyBytes} bytes in all`);
});

void t.test('a backup made at work, restored elsewhere, goes on where it was', async (t) => {
  const { client, image } = await begin(t, 'moving', 7);
  await client.awaitStatus(7, 'SignatureVerified', PATIENCE_MS);
  const { redisUrl } = cluster.endpoints as Endpoints & { redisUrl: string };
  await run(`${INFRA}/backup-redis.sh`, [`${dataDir}/redis`, `${dir}/redis.tar`], {
    env: { ...process.env, REDIS_URL: redisUrl },
  });
  const moved = `${dir}/moved`;
  mkdirSync(`${moved}/redis`, { recursive: true });
  await run('tar', ['-C', `${moved}/redis`, '-xf', `${dir}/redis.tar`]);
  for (const part of ['spool', 's3']) cpSync(`${dataDir}/${part}`, `${moved}/${part}`, { recursive: true });
  await client.close();
  t.equal(await cluster.stop(), 0);
  // The charger is no part of the backup: it is as it stands.
  cpSync(`${dataDir}/chargers`, `${moved}/chargers`, { recursive: true });

  const other = await startCluster(t, { dataDir: moved });
  const again = await connect(t, other, 'moving');
  await again.allowInstallation();
  await again.awaitStatus(7, 'Installed', PATIENCE_MS);
  t.same(again.statusNames(7), ['Installing', 'InstallRebooting', 'Installed']);
  const charger = await other.charger('moving');
  t.equal(charger.installCount, 1);
  t.equal(runningImage(charger), image.sha256);
  t.equal(origin.stats('/moving.bin').gets, 1, 'the image came with the spool');
  t.equal((await other.charger('installing')).installCount, 1, 'and what had ended was not done again');
});
