/** Where an image comes from: the depot's own object store, or anybody's server. */
import { once } from 'node:events';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { OtaWorkerSettings } from '@khumbu/ota-worker/config';
import { createDownload } from '@khumbu/ota-worker/images/download';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import { startS3 } from '@khumbu/test-support/s3';
import t from 'tap';

const never = new AbortController().signal;
const { bytes, sha256 } = makeImage(3_000_000);
const HELD = 1_000_000;

void t.test(
  'what our own object store refuses may be our clock: another try may do, and goes on where it was',
  async (t) => {
    const dir = t.testdir({ s3: {}, spool: { fetching: {} } });
    const fetching = join(dir, 'spool', 'fetching');
    const s3 = await startS3({ dir: join(dir, 's3') });
    const config = loadConfig(OtaWorkerSettings, {
      S3_ENDPOINT: s3.endpoint,
      S3_ACCESS_KEY: s3.accessKey,
      S3_SECRET_KEY: s3.secretKey,
      SPOOL_DIR: join(dir, 'spool'),
    });
    const objects = createObjectStore(config);
    t.teardown(async () => {
      objects.close();
      await s3.stop();
    });
    const path = join(dir, 'image');
    writeFileSync(path, bytes);
    await objects.putFile({ bucket: s3.bucket, key: 'v2.bin', path, contentType: 'application/octet-stream' });
    const etag = `"${(await objects.stat(s3.bucket, 'v2.bin'))?.etag}"`;
    const rules = { allowedSchemes: ['s3', 'http'] as const, allowedHosts: [], allowLoopback: true };
    const makeRoom = async (): Promise<number> => 0;
    const download = createDownload({ config, rules, objects, makeRoom });
    const ask = (location: string) => download(location, 'key', undefined, never, () => undefined);

    // An earlier try got so far.
    const part = join(fetching, 'key.00000000-0000-4000-8000-000000000000');
    const sidecar = {
      validators: { etag },
      total: bytes.length,
      bootId: 'b',
      syncedBytes: HELD,
      closed: true,
      startedAt: 1,
    };
    mkdirSync(fetching, { recursive: true });
    writeFileSync(`${part}.json`, JSON.stringify(sidecar));
    writeFileSync(`${part}.part`, bytes.subarray(0, HELD));

    // So it answers when it reads another time in the signature than on its own clock: RequestTimeTooSkewed.
    s3.failWith(403);
    await t.rejects(ask(`s3://${s3.bucket}/v2.bin`), { code: 'FETCH_RETRYABLE', reason: 'http_403' });
    const kept = readdirSync(fetching).filter((name) => name.endsWith('.part'));
    t.same(
      kept.map((name) => statSync(join(fetching, name)).size),
      [HELD],
    );
    s3.failWith(undefined);
    t.match(await ask(`s3://${s3.bucket}/v2.bin`), { kind: 'fetched', sha256 });
    await t.rejects(ask(`s3://${s3.bucket}/other.bin`), { code: 'FETCH_PERMANENT', reason: 'http_404' });

    const origin = await startOrigin();
    t.teardown(() => origin.close());
    const refused = origin.serve('/v2.bin', bytes, { status: 403 });
    await t.rejects(ask(refused), { code: 'FETCH_PERMANENT', reason: 'http_403' }, 'who else refuses means us');
  },
);

void t.test('what our own object store has against a download is said in its words, and 307 is followed', async (t) => {
  const dir = t.testdir({ s3: {}, spool: {} });
  const s3 = await startS3({ dir: join(dir, 's3') });
  t.teardown(() => s3.stop());
  let answer: (url: string) => { status: number; headers?: Record<string, string>; code?: string } = () => ({
    status: 500,
  });
  const front = createServer((request, response) => {
    const { status, headers, code } = answer(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/xml', ...headers });
    response.end(code === undefined ? '' : `<Error><Code>${code}</Code><Region>garage</Region></Error>`);
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  t.teardown(() => {
    front.close();
    front.closeAllConnections();
  });
  const setUp = (endpoint: string) => {
    const account = { S3_ACCESS_KEY: s3.accessKey, S3_SECRET_KEY: s3.secretKey, SPOOL_DIR: join(dir, 'spool') };
    const config = loadConfig(OtaWorkerSettings, { S3_ENDPOINT: endpoint, ...account });
    const objects = createObjectStore(config);
    t.teardown(() => objects.close());
    const rules = { allowedSchemes: ['s3'] as const, allowedHosts: [], allowLoopback: false };
    const download = createDownload({ config, rules, objects, makeRoom: async () => 0 });
    return { objects, ask: () => download(`s3://${s3.bucket}/v2.bin`, 'key', undefined, never, () => undefined) };
  };
  const path = join(dir, 'image');
  writeFileSync(path, bytes);
  const object = { bucket: s3.bucket, key: 'v2.bin', path, contentType: 'application/octet-stream' };
  await setUp(s3.endpoint).objects.putFile(object);
  const { ask } = setUp(`http://127.0.0.1:${(front.address() as AddressInfo).port}`);

  answer = () => ({ status: 400, code: 'AuthorizationHeaderMalformed' });
  const region = { code: 'FETCH_PERMANENT', reason: 's3_wrong_region', message: /garage: set S3_REGION/ };
  await t.rejects(ask(), region);
  answer = () => ({ status: 301, code: 'PermanentRedirect' });
  await t.rejects(ask(), { code: 'FETCH_PERMANENT', reason: 's3_wrong_endpoint', message: /S3_ENDPOINT/ });
  answer = () => ({ status: 403, code: 'RequestTimeTooSkewed' });
  await t.rejects(ask(), { code: 'FETCH_RETRYABLE', reason: 'http_403', message: /clock/ });
  answer = () => ({ status: 404, code: 'NoSuchBucket' });
  await t.rejects(ask(), { code: 'FETCH_PERMANENT', reason: 'http_404', message: /S3_BUCKET/ });
  answer = (url) => ({ status: 307, headers: { location: `${s3.endpoint}${url}` }, code: 'TemporaryRedirect' });
  t.match(await ask(), { kind: 'fetched', sha256 });
});
