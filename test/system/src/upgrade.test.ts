import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requestFrame } from '@khumbu/shared/contract/everest-frames';
import { chargerFolder, readCharger } from '@khumbu/station-drivers/simulated/charger-state';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import { makeImage } from '@khumbu/test-support/firmware';
import { withoutDelayedPermission, withoutRepeats } from '@khumbu/test-support/statuses';
import { Client } from 'minio';
import t, { type Test } from 'tap';
import { type Cluster, startCluster } from './cluster.js';
import { PATIENCE_MS, runningImage } from './everest.js';
import { restoreWritten } from './written-depot.js';

/** What was under way: the firmware update of a station by its request id, and the statuses that are still to come. */
const AFTER_VERIFIED = ['Installing', 'InstallRebooting', 'Installed'];
const UPDATES: Readonly<Record<string, { readonly id: number; readonly statuses: readonly string[] }>> = {
  verified: { id: 2, statuses: AFTER_VERIFIED },
  silent: { id: 3, statuses: ['Downloading', 'Downloaded', 'SignatureVerified', ...AFTER_VERIFIED] },
  rebooting: { id: 4, statuses: ['Installed'] },
  installing: { id: 5, statuses: ['InstallRebooting', 'Installed'] },
  downloading: { id: 6, statuses: ['Downloaded', 'SignatureVerified', ...AFTER_VERIFIED] },
  downloading_too: { id: 7, statuses: ['Downloaded', 'SignatureVerified', ...AFTER_VERIFIED] },
  scheduled: { id: 10, statuses: ['Downloading', 'Downloaded', 'SignatureVerified', ...AFTER_VERIFIED] },
  accepted: { id: 11, statuses: ['Downloading', 'Downloaded', 'SignatureVerified', ...AFTER_VERIFIED] },
  // The offer that replaces the update 8, which rests meanwhile.
  held: { id: 12, statuses: ['Downloading', 'Downloaded', 'SignatureVerified', ...AFTER_VERIFIED] },
};
const STATIONS = [...Object.keys(UPDATES), 'done', 'resetting', 'logs', 'network'];
const OFFERED = { id: 12, uuid: '00000000-0000-4000-8000-000000000012' };

const BEAT_MS = 500;
/** Their EVerest was up when the earlier version was killed, and still is. */
const FIRST_BEAT = 100_000;
/** Effects and dates of the records are due some seconds after that. */
const KILLED_AGO_MS = 10_000;
const END_MS = 3 * PATIENCE_MS;

const image = makeImage(50_000, 'upgrade');

/** How often the EVerest of a simulated charger has started. */
const startsOf = async (chargers: string, name: string): Promise<number> =>
  (await readCharger(chargerFolder(chargers, name)))?.charger.everestStarts ?? 1;

/**
 * A station whose EVerest did not notice the upgrade: its heartbeats count on, and anew after its charger has restarted, which
 * it may have done before its first heartbeat.
 */
async function goOn(t: Test, cluster: Cluster, name: string, startedBefore: number): Promise<EverestClient> {
  const client = await startEverestClient({
    mqttUrl: cluster.endpoints.mqttUrl,
    moduleId: name,
    discovery: { heartbeat_period_ms: BEAT_MS, communication_check_period_s: 5, request_reply_timeout_s: 30 },
  });
  let next = FIRST_BEAT;
  let started = startedBefore;
  let isUp = true;
  const beat = async (): Promise<void> => {
    const now = await startsOf(cluster.chargers, name);
    if (now > started) next = 0;
    started = now;
    if (isUp) await client.publishRaw('heartbeat', String(next++));
  };
  let beating = beat();
  const timer = setInterval(() => {
    beating = beating.then(beat);
  }, BEAT_MS);
  t.teardown(async () => {
    isUp = false;
    clearInterval(timer);
    await beating;
    await client.close();
  });
  return client;
}

/** A depot that has been up, with the images where its stations get them. */
async function prepareDepot(t: Test, dataDir: string): Promise<Parameters<typeof startCluster>[1]> {
  const options = {
    dataDir,
    // The end of every operation is looked for again and again.
    env: { RATE_LIMIT_PER_MINUTE: '1000000' },
    stations: Object.fromEntries(STATIONS.map((name) => [name, { dialect: 'ocpp2.x' as const }])),
  };
  const cluster = await startCluster(t, options);
  const { s3Endpoint, s3Region, s3AccessKey, s3SecretKey, s3Bucket } = cluster.endpoints;
  const { hostname, port } = new URL(s3Endpoint);
  const keys = { accessKey: s3AccessKey, secretKey: s3SecretKey, region: s3Region };
  const s3 = new Client({ endPoint: hostname, port: Number(port), useSSL: false, ...keys });
  for (const name of ['first', 'second', 'third', 'fourth'])
    await s3.putObject(s3Bucket, `images/${name}.bin`, image.bytes);
  await cluster.stop();
  mkdirSync(join(dataDir, 'spool', 'images'), { recursive: true });
  writeFileSync(join(dataDir, 'spool', 'images', image.sha256), image.bytes);
  return options;
}

interface Listed {
  readonly items: readonly { readonly kind: string; readonly stationId: string; readonly status: string }[];
}
const operationsIn = async (cluster: Cluster, which: 'open' | 'ended'): Promise<string[]> =>
  ((await cluster.get(`/operations?status=${which}&limit=100`)) as Listed).items
    .map(({ kind, stationId, status }) => `${stationId} ${kind} ${status}`)
    .sort();

for (const writtenBy of ['82e0d90', '2c2f4fb'])
  void t.test(`what was under way when version ${writtenBy} was killed goes on to its end`, async (t) => {
    const options = await prepareDepot(t, join(t.testdir({}), 'data'));
    const requests = await restoreWritten(writtenBy, options.dataDir, KILLED_AGO_MS);
    const started = new Map<string, number>();
    for (const name of STATIONS) started.set(name, await startsOf(join(options.dataDir, 'chargers'), name));
    const cluster = await startCluster(t, options);
    const clients = new Map<string, EverestClient>();
    for (const name of STATIONS) clients.set(name, await goOn(t, cluster, name, started.get(name) ?? 1));
    const clientOf = (name: string): EverestClient => clients.get(name) as EverestClient;

    // The broker delivers the request again whose answer was not confirmed.
    const held = clientOf('held');
    const replyTo = `everest_api/1/system/held/m2e/reply/${OFFERED.uuid}`;
    await held.publishRaw('update_firmware', requestFrame(replyTo, requests.get(OFFERED.id)));
    const reply = await held.messages.awaitItem(({ leaf }) => leaf === `reply/${OFFERED.uuid}`, PATIENCE_MS, 'a reply');
    t.equal(reply.json, 'AcceptedCanceled', 'the answer that was decided before');

    await Promise.all(
      Object.entries(UPDATES).map(async ([name, { id, statuses }]) => {
        const client = clientOf(name);
        if (statuses.includes('SignatureVerified')) await client.awaitStatus(id, 'SignatureVerified', END_MS);
        if (statuses.includes('Installing')) await client.allowInstallation();
        await client.awaitStatus(id, 'Installed', END_MS);
      }),
    );
    await clientOf('logs').awaitStatus(9, 'Uploaded', END_MS);
    let open: readonly string[] = [];
    await awaitUntil(
      async () => {
        open = await operationsIn(cluster, 'open');
        return open.length === 0;
      },
      END_MS,
      () => `every operation to end; open: ${open.join(', ')}`,
    );

    for (const [name, { id, statuses }] of Object.entries(UPDATES)) {
      // One that was verified before may hear that its permission takes long.
      const before = statuses[0] === 'Installing' ? ['SignatureVerified'] : [];
      const told = withoutDelayedPermission([...before, ...clientOf(name).statusNames(id)]);
      t.same(told, [...before, ...statuses], `${name}: in order, and no more than that`);
      const charger = await cluster.charger(name);
      t.equal(charger.installCount, 1, `${name}: installed once`);
      t.equal(runningImage(charger), image.sha256);
    }
    t.same(clientOf('done').statusNames(1), [], 'what was told is not told again');
    t.same(withoutRepeats(clientOf('logs').statusNames(9)), ['Uploaded']);
    t.match(await cluster.get('/stations/resetting/boot-reason'), { bootReason: 'RemoteReset' });
    t.equal((await cluster.charger('resetting')).everestStarts, 2, 'reset once');
    const network = clientOf('network').messages.items.filter(({ leaf }) => leaf === 'configure_network_status');
    t.match(network.at(-1)?.json, { request_id: 13, status: 'Ready' });
    t.same(
      await operationsIn(cluster, 'ended'),
      [
        ...[...Object.keys(UPDATES), 'done'].map((name) => `${name} firmware_update Installed`),
        'held firmware_update Superseded',
        'logs log_upload Uploaded',
        'network configure_network Ready',
        'resetting reset Restarted',
      ].sort(),
    );
  });
