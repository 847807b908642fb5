/** What a station may name as a location, in the running depot: its own folder, other people's servers, never ours. */
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { askUntilServed } from '@khumbu/test-support/ask-until-served';
import { awaitUntil } from '@khumbu/test-support/events';
import type { EverestClient } from '@khumbu/test-support/everest-client';
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import { UNSIGNED, withoutRepeats } from '@khumbu/test-support/statuses';
import { Client as S3 } from 'minio';
import t, { type Test } from 'tap';
import { startCluster } from './cluster.js';
import { connect, PATIENCE_MS } from './everest.js';

t.jobs = 4;
const dir = t.testdir({});
const origin = await startOrigin();
t.teardown(() => origin.close());
const cluster = await startCluster(t, { dataDir: `${dir}/data`, env: { GATEWAYS: '2' } });
const { endpoints } = cluster;
const bucket = endpoints.s3Bucket;
const { hostname, port } = new URL(endpoints.s3Endpoint);
const s3 = new S3({
  endPoint: hostname,
  port: Number(port),
  useSSL: false,
  region: endpoints.s3Region,
  accessKey: endpoints.s3AccessKey,
  secretKey: endpoints.s3SecretKey,
});

const test = (name: string, body: (t: Test) => Promise<void>): void => {
  void t.test(name, { buffered: true }, body);
};

interface Operation {
  readonly operationId: string;
  readonly status: string;
  readonly ended: boolean;
  readonly outcome?: { readonly ok: boolean; readonly reason?: string; readonly message?: string };
  readonly history: readonly { readonly reason?: string }[];
}

/** Asked again while the gateway cannot decide: nothing has happened then. */
const post = async (path: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> => {
  const headers = {
    authorization: `Bearer ${endpoints.apiKey}`,
    'content-type': 'application/json',
    'idempotency-key': crypto.randomUUID(),
  };
  const request = { method: 'POST', headers, body: JSON.stringify(body) };
  const ask = () => fetch(`${endpoints.httpUrl}/v1${path}`, request);
  const response = await askUntilServed(ask, PATIENCE_MS, `POST ${path}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

/** The newest operation of a station, once it has ended. */
const ended = (station: string): Promise<Operation> =>
  awaitUntil(
    async () => {
      const list = (await cluster.get(`/operations?station=${station}&limit=1`)) as { items: Operation[] };
      const [newest] = list.items;
      return newest?.ended ? newest : undefined;
    },
    PATIENCE_MS,
    `the operation of ${station} to end`,
  );

const readObject = async (key: string): Promise<string> => {
  let text = '';
  for await (const part of await s3.getObject(bucket, key)) text += String(part);
  return text;
};

/** One try, at once. */
const ONCE = { retries: 1, retry_interval_s: 0 };
const update = async (client: EverestClient, location: string, more: object = {}): Promise<unknown> =>
  (await client.request('update_firmware', { request_id: 7, location, ...ONCE, ...more })).reply;
const upload = async (client: EverestClient, location: string): Promise<unknown> =>
  (await client.request('upload_logs', { request_id: 9, type: 'DiagnosticsLog', location, ...ONCE })).reply;

/** On a busy machine an answer may be the default: asked again then. */
const accepted = async (ask: () => Promise<unknown>): Promise<unknown> =>
  awaitUntil(
    async () => {
      const reply = await ask();
      return JSON.stringify(reply).includes('Rejected') ? undefined : (reply ?? undefined);
    },
    PATIENCE_MS,
    'a request to be accepted',
  );

/** Ways to write an address of this host. */
const HOSTS = ['127.0.0.1', 'localhost', '[::1]', '127.1', '2130706433', '[::ffff:7f00:1]', '127.0.0.2'];

test('no server of the depot is a location, however its address is written', async (t) => {
  const client = await connect(t, cluster, 'prober');
  const line = endpoints as unknown as Record<string, unknown>;
  const urls = [line.redisUrl, line.mqttUrl, line.s3Endpoint, ...(line.httpUrls as string[])].map(String);
  t.equal(urls.length, 5);
  for (const own of urls.map((url) => new URL(url).port)) {
    // At once: each is asked for several times, since a rejection may be the default of a busy gateway.
    await Promise.all(
      HOSTS.map(async (host) => {
        const location = `http://${host}:${own}/x`;
        t.equal(await update(client, location), 'Rejected', location);
      }),
    );
    t.same(await upload(client, `http://127.0.0.1:${own}/`), { upload_logs_status: 'Rejected' });
    const rest = await post('/stations/prober/firmware-updates', { location: `http://127.0.0.1:${own}/x` });
    t.match(rest, { status: 409, body: { code: 'LOCATION_ADDRESS_FORBIDDEN', detail: /depot itself/ } });
  }
});

test('a redirect to a server of the depot is not followed', async (t) => {
  const client = await connect(t, cluster, 'redirected');
  const location = origin.serve('/moved', Buffer.from('x'), { redirect: `${endpoints.httpUrl}/livez` });
  await accepted(() => update(client, location));
  await client.awaitStatus(7, 'DownloadFailed', PATIENCE_MS);
  t.match((await ended('redirected')).outcome, { ok: false, reason: 'location_refused', message: /depot itself/ });
});

test('how a connection fails is told to fleet tools that chose it, and not to who made a station try it', async (t) => {
  const rude = createTcp((socket) => {
    socket.on('error', () => undefined);
    socket.destroy();
  });
  const odd = createTcp((socket) => {
    socket.on('error', () => undefined);
    socket.end('hello\r\n\r\n');
  });
  const plain = createServer((_request, response) => response.end('x'));
  for (const server of [rude, odd, plain]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close());
  }
  const at = (server: { address(): unknown }): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const locations = [
    `http://127.0.0.1:${await freePort()}/x`,
    'http://no-such-host.invalid/x',
    `http://${at(rude)}/x`,
    `http://${at(odd)}/x`,
    `https://${at(plain)}/x`,
  ];
  const told: unknown[] = [];
  const words = new Set<unknown>();
  for (const [index, location] of locations.entries()) {
    const name = `reacher_${index}`;
    const client = await connect(t, cluster, name);
    await accepted(() => update(client, location));
    await client.awaitStatus(7, 'DownloadFailed', PATIENCE_MS);
    const { outcome, history } = await ended(name);
    told.push([outcome, history.map(({ reason }) => reason)]);
    await accepted(() => upload(client, location));
    await client.awaitStatus(9, 'UploadFailure', PATIENCE_MS);
    t.match((await ended(name)).outcome, outcome, `uploads: ${location}`);
    const asked = await post(`/stations/${name}/firmware-updates`, { location, ...ONCE });
    t.equal(asked.status, 202);
    words.add((await ended(name)).outcome?.reason);
  }
  t.equal(new Set(told.map((one) => JSON.stringify(one))).size, 1, 'one word and one sentence for all');
  t.match(told[0], [{ ok: false, reason: 'connection' }]);
  t.same(words, new Set(['bad_response', 'connect', 'cut', 'dns', 'tls']));
});

test('a station puts its logs into its own folder, and takes no images from those of others', async (t) => {
  const mine = await connect(t, cluster, 'mine');
  const other = await connect(t, cluster, 'other');
  const key = 'logs/mine/archive.tar.gz';
  await accepted(() => upload(mine, `s3://${bucket}/${key}`));
  await mine.awaitStatus(9, 'Uploaded', PATIENCE_MS);
  const { operationId } = await ended('mine');
  const before = await s3.statObject(bucket, key);
  t.match(before.metaData, { 'khumbu-operation': operationId });

  for (const place of [key, 'logs/mine/', 'logs/mine/../mine/archive.tar.gz', 'logs/x.tar.gz', 'firmware/sha256/0'])
    t.same(await upload(other, `s3://${bucket}/${place}`), { upload_logs_status: 'Rejected' }, place);
  for (const place of [key, 'firmware/sha256/0', 'anything'])
    t.equal(await update(other, `s3://${bucket}/${place}`), 'Rejected', place);
  t.equal((await s3.statObject(bucket, key)).etag, before.etag);

  const reply = (await accepted(() => upload(other, `s3://${bucket}/logs/`))) as { file_name: string };
  await other.awaitStatus(9, 'Uploaded', PATIENCE_MS);
  t.ok(await s3.statObject(bucket, `logs/other/${reply.file_name}`), 'a folder around it means its own');

  const archive = `${endpoints.httpUrl}/v1/stations/mine/log-uploads/${operationId}/archive`;
  const headers = { authorization: `Bearer ${endpoints.apiKey}` };
  // Asked again while Redis is silent for a moment.
  const fetchArchive = () => askUntilServed(() => fetch(archive, { headers }), PATIENCE_MS, 'the archive');
  t.equal((await fetchArchive()).status, 200, 'fetched through its redirect');
  await s3.putObject(bucket, key, 'something else', undefined, { 'khumbu-operation': operationId });
  t.equal(await readObject(key), 'something else');
  const replaced = await fetchArchive();
  t.match([replaced.status, await replaced.json()], [404, { code: 'ARCHIVE_UNKNOWN' }]);
});

test('images come from the folder of the object store that is meant for them', async (t) => {
  const { bytes } = makeImage(300_000, 'in the store');
  await s3.putObject(bucket, 'images/v2.bin', bytes);
  const client = await connect(t, cluster, 'from_store');
  await accepted(() => update(client, `s3://${bucket}/images/v2.bin`));
  await client.awaitStatus(7, 'Downloaded', PATIENCE_MS);
  await client.allowInstallation();
  await client.awaitStatus(7, 'Installed', PATIENCE_MS);
  t.same(withoutRepeats(client.statusNames(7)), UNSIGNED);

  const places = { 'elsewhere/v2.bin': 202, 'firmware/v2.bin': 409, 'firmware/sha256/0': 409 };
  for (const [place, status] of Object.entries(places)) {
    const known = await post('/stations/from_store/firmware-updates', { location: `s3://${bucket}/${place}`, ...ONCE });
    t.equal(known.status, status, place);
    if (status === 202) t.match((await ended('from_store')).outcome, { reason: 'http_404', message: /does not exist/ });
  }
});
