/** Two real gateways on one Redis and one broker: what stations do is told by both, over HTTP and HTTPS. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { answersOn, freePort } from '@khumbu/shared/runtime/free-port';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { selfSigned } from '@khumbu/test-support/certificates';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil, collector } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import { startMosquitto } from '@khumbu/test-support/mosquitto';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';

const MAIN = fileURLToPath(new URL('../bundle/main.js', import.meta.url));
const KEY = 'process-key';
const START_MS = 20_000;

const dir = t.testdir();
const redis = await startRedis({ dir: join(dir, 'redis') });
const broker = await startMosquitto({ dir: join(dir, 'mosquitto') });
t.teardown(async () => {
  await redis.stop();
  await broker.stop();
});
const keysFile = join(dir, 'keys.json');
const sha256 = createHash('sha256').update(KEY).digest('hex');
writeFileSync(keysFile, JSON.stringify([{ name: 'tool', sha256, scopes: ['admin'] }]));
const stationsFile = join(dir, 'stations.yaml');
writeFileSync(stationsFile, 'unknown_stations: simulated\n');
const first = await selfSigned(dir, 'first.example');
const second = await selfSigned(dir, 'second.example');
const tls = { cert: join(dir, 'tls.pem'), key: join(dir, 'tls.key') };
copyFileSync(first.certificateFile, tls.cert);
copyFileSync(first.keyFile, tls.key);

async function startGateway(env: Record<string, string> = {}) {
  const port = await freePort();
  const { NODE_OPTIONS: _options, ...inherited } = process.env;
  const child = await startChild(process.execPath, [MAIN], {
    env: {
      ...inherited,
      REDIS_URL: redis.url,
      MQTT_URL: broker.url,
      HTTP_PORT: String(port),
      API_KEYS_FILE: keysFile,
      STATIONS_FILE: stationsFile,
      // There are none here, and on a slow machine the tests take longer than the default.
      WORKERS_GONE_AFTER_S: '3600',
      LOG_LEVEL: 'info',
      ...env,
    },
  });
  t.teardown(() => child.end('SIGTERM'));
  return { child, port };
}
const spoolDir = join(dir, 'spool');
const [left, underWay] = ['left.part', 'under-way.part'].map((name) => join(spoolDir, 'incoming', name)) as [
  string,
  string,
];
mkdirSync(join(spoolDir, 'incoming'), { recursive: true });
for (const file of [left, underWay]) writeFileSync(file, 'part of an image');
utimesSync(left, 1, 1);
const plain = await startGateway({ SPOOL_DIR: spoolDir });
const secure = await startGateway({ HTTPS_CERT_FILE: tls.cert, HTTPS_KEY_FILE: tls.key });
const base = `http://127.0.0.1:${plain.port}`;
await awaitUntil(
  async () => {
    if (plain.child.exit()) throw new Error(plain.child.output());
    const answer = await fetch(`${base}/readyz`).catch(() => undefined);
    // A gateway leads before it serves REST, so that one is ready tells nothing of the other.
    return answer?.status === 200 && (await answersOn(secure.port));
  },
  START_MS,
  'the gateways to be ready',
);

const call = async (path: string, init: RequestInit = {}) => {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const response = await fetch(`${base}/v1${path}`, { ...init, headers });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

/** Called again while a busy machine has no time to read or to decide: nothing has happened then. */
const decided = (...asked: Parameters<typeof call>) =>
  awaitUntil(
    async () => {
      const answer = await call(...asked);
      return answer.status !== 503 && answer;
    },
    20_000,
    'a decision',
  );

/** The events of one gateway as they come. */
async function follow(t: Test, url: string, get: typeof getHttp | typeof getHttps) {
  const events = collector<Record<string, unknown>>();
  const headers = { authorization: `Bearer ${KEY}` };
  const open = async (): Promise<IncomingMessage | undefined> => {
    const outgoing = get(url, { headers, rejectUnauthorized: false } as object);
    outgoing.on('error', () => undefined);
    t.teardown(() => outgoing.destroy());
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    if (response.statusCode === 200) return response;
    response.resume();
    return undefined;
  };
  // A gateway that is too busy to read refuses a stream as any other request.
  const response = await awaitUntil(open, START_MS, 'the events to be told');
  let text = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data: ')) events.push(JSON.parse(line.slice(6)) as Record<string, unknown>);
    }
  });
  return events;
}

const everest = (t: Test, moduleId: string, heartbeatMs: number): Promise<EverestClient> =>
  startEverestClient({ mqttUrl: broker.url, moduleId, heartbeatMs }).then((client) => {
    t.teardown(() => client.close());
    return client;
  });

void t.test('what happens to stations is told by every gateway', async (t) => {
  const seen = await Promise.all([
    follow(t, `${base}/v1/events?type=station`, getHttp),
    follow(t, `https://127.0.0.1:${secure.port}/v1/events?type=station`, getHttps),
  ]);
  const everywhere = async (change: string): Promise<void> => {
    for (const events of seen) {
      await events.awaitItem((event) => event.stationId === 'cs-1' && event.change === change, 15_000, change);
    }
  };
  const client = await everest(t, 'cs-1', 300);
  await everywhere('heard');
  // From the second heartbeat on it can be missed.
  const isBeating = async (): Promise<boolean> => {
    const { firstSeenAt, lastSeenAt, away } = (await call('/stations/cs-1')).body;
    return away === false && Date.parse(String(lastSeenAt)) - Date.parse(String(firstSeenAt)) > 600;
  };
  await awaitUntil(isBeating, 8000, 'the station to be there');
  client.stopHeartbeats();
  await everywhere('away');
  // A machine that stood still may have found it away before, and have heard the last of its heartbeats since.
  await awaitUntil(async () => (await call('/stations/cs-1')).body.away === true, 15_000, 'it to be shown as away');
  client.startHeartbeats(300);
  await everywhere('restarted');
  await everywhere('back');
  const duplicate = await everest(t, 'cs-1', 250);
  await everywhere('conflict');
  const refused = await decided('/stations/cs-1/reset', { method: 'POST', body: '{"type":"Soft"}' });
  t.strictSame([refused.status, refused.body.code], [409, 'STATION_IN_CONFLICT']);
  await duplicate.close();
});

void t.test('EVerest and REST meet in one slot', async (t) => {
  const client = await everest(t, 'cs-2', 1000);
  await awaitUntil(async () => (await call('/stations/cs-2')).status === 200, 5000, 'the station to be known');
  const request = { request_id: 5, location: 'http://files.example/x' };
  const { reply } = await askUntilDecided('update_firmware', () => client.request('update_firmware', request));
  t.equal(reply, 'Accepted');
  const body = '{"location":"http://files.example/y"}';
  const path = '/stations/cs-2/firmware-updates';
  await awaitUntil(
    async () => (await call(path, { method: 'POST', body })).body.code === 'SLOT_TAKEN_BY_EVEREST',
    3000,
    'the slot to be EVerest’s',
  );
  const order = '{"location":"http://files.example/y","replace":true}';
  const replaced = await decided(path, { method: 'POST', body: order });
  t.equal(replaced.status, 202);
  await client.awaitStatus(5, 'DownloadFailed');
  const canceled = await decided(`${path}/${String(replaced.body.operationId)}`, { method: 'DELETE' });
  t.equal(canceled.body.status, 'Canceled');
  await client.awaitStatus(-1, 'DownloadFailed');
});

void t.test('HTTPS alone where it is set up, with the certificate that is there now', async (t) => {
  const nameOf = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const outgoing = getHttps(`https://127.0.0.1:${secure.port}/livez`, { rejectUnauthorized: false, agent: false });
      outgoing.on('error', reject);
      outgoing.on('response', (response) => {
        const { socket } = response;
        response.resume();
        resolve(socket instanceof TLSSocket ? String(socket.getPeerCertificate().subject.CN) : '');
      });
    });
  t.equal(await nameOf(), 'first.example');
  await t.rejects(fetch(`http://127.0.0.1:${secure.port}/livez`));
  const files = async (): Promise<string> => {
    const outgoing = getHttps(`https://127.0.0.1:${secure.port}/readyz`, { rejectUnauthorized: false, agent: false });
    const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return (JSON.parse(text) as { files: string }).files;
  };
  const filesAre = (wanted: RegExp): Promise<unknown> =>
    awaitUntil(
      async () => wanted.test(await files()),
      25_000,
      () => `files to be ${wanted}`,
    );
  copyFileSync(second.certificateFile, tls.cert);
  await filesAre(/^not usable: HTTPS_KEY_FILE: it is not the key of the certificate in HTTPS_CERT_FILE$/);
  t.equal(await nameOf(), 'first.example', 'the last pair that fits together stays');
  truncateSync(tls.key, 60);
  await filesAre(/HTTPS_KEY_FILE: it is cut off within a line/);
  writeFileSync(tls.key, readFileSync(second.keyFile, 'utf8').slice(0, 120));
  await filesAre(/HTTPS_KEY_FILE: it is no private key that can be used/);
  t.equal(await nameOf(), 'first.example');
  copyFileSync(second.keyFile, tls.key);
  await awaitUntil(async () => (await nameOf()) === 'second.example', 25_000, 'the renewed certificate');
  await filesAre(/^ok$/);
});

void t.test(
  'an issuer with a weak key stops the start with one line; one that cannot be reached does not',
  async (t) => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'small' }];
    const issuer = createServer((_request, response) => response.end(JSON.stringify({ keys })));
    await new Promise<void>((resolve) => void issuer.listen(0, '127.0.0.1', resolve));
    t.teardown(() => issuer.close());
    const env = { JWT_ISSUER: 'https://issuer.example', JWT_AUDIENCE: 'khumbu' };
    const url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`;
    const { child } = await startGateway({ ...env, JWT_JWKS_URL: url });
    t.equal((await child.exited).code, 1);
    t.match(child.output(), /^JWT_JWKS_URL: the key "small" is weak: RSA with 1024 bits, at least 2048 are needed$/m);

    const nobody = await startGateway({ ...env, JWT_JWKS_URL: `http://127.0.0.1:${await freePort()}/jwks` });
    const ask = (path: string): Promise<Response | undefined> =>
      fetch(`http://127.0.0.1:${nobody.port}${path}`).catch(() => undefined);
    const ready = await awaitUntil(
      async () => {
        if (nobody.child.exit()) throw new Error(nobody.child.output());
        const answer = await ask('/readyz');
        return answer?.status === 200 ? ((await answer.json()) as Record<string, unknown>) : undefined;
      },
      START_MS,
      'the gateway to be ready',
    );
    t.match(ready, { files: /^not usable: JWT_JWKS_URL cannot be read: .*ECONNREFUSED/ });
    t.match(await (await ask('/metrics'))?.text(), /^khumbu_file_unusable\{file="JWT_JWKS_URL"\} 1$/m);
    await nobody.child.end('SIGTERM');
  },
);

void t.test('half a configuration does not start, and says which half', async (t) => {
  for (const [env, named] of [
    [{ HTTPS_CERT_FILE: tls.cert }, 'HTTPS_KEY_FILE'],
    [{ HTTPS_CERT_FILE: first.certificateFile, HTTPS_KEY_FILE: second.keyFile }, /^HTTPS_KEY_FILE: it is not the key/m],
    [{ MQTT_CA_FILE: first.keyFile }, /^MQTT_CA_FILE: there is no certificate in it$/m],
    [{ JWT_JWKS_URL: 'http://127.0.0.1:1/jwks' }, 'JWT_ISSUER'],
    [{ API_KEYS_FILE: join(dir, 'nothing.json') }, 'API_KEYS_FILE'],
  ] as const) {
    const { child } = await startGateway(env);
    const { code } = await child.exited;
    t.equal(code, 1);
    t.match(child.output(), named);
  }
});

void t.test('what a killed gateway left of an upload is removed by the next one', async (t) => {
  await awaitUntil(() => !existsSync(left), 20_000, 'its removal');
  t.ok(existsSync(underWay));
});
