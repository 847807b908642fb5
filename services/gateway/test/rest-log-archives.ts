/**
 * The archives that the depot keeps, over REST: listed, and downloaded in ranges, from a real S3 server. Called by `rest.test.ts`,
 * which counts the routes that were answered with success.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { createCopyRecords } from '@khumbu/operations/log-copies/copy-records';
import type { LogCopy } from '@khumbu/operations/log-copies/log-copy';
import { within } from '@khumbu/test-support/events';
import type { RedisServer } from '@khumbu/test-support/redis';
import { startS3 } from '@khumbu/test-support/s3';
import type { Test } from 'tap';
import type { AppOptions } from '../src/http/app.js';
import { KEYS, openRest } from './rest-harness.js';

const LIST = '/v1/log-archives';
const BYTES = randomBytes(100_000);
const SHA256 = createHash('sha256').update(BYTES).digest('hex');
const DAY_MS = 24 * 3600_000;

async function stage(t: Test, redis: RedisServer, app: Partial<AppOptions> = {}, stallMs?: number) {
  const s3 = await startS3({ dir: t.testdir() });
  const account = { S3_REGION: s3.region, S3_ACCESS_KEY: s3.accessKey, S3_SECRET_KEY: s3.secretKey };
  const settings = { S3_ENDPOINT: s3.endpoint, S3_BUCKET: s3.bucket, ...account };
  const objects = createObjectStore(settings, stallMs === undefined ? {} : { stallMs });
  const patient = createObjectStore(settings);
  t.teardown(async () => {
    objects.close();
    patient.close();
    await s3.stop();
  });
  const archives = { bucket: s3.bucket, objects, publicObjects: objects, urlSeconds: 60 };
  const copies = { days: { DiagnosticsLog: 30, SecurityLog: 0 }, quotaBytes: 1_000_000 };
  const rest = await openRest(t, { redis, stations: { 'cs-1': {}, 'cs-2': {} }, archives, copies, app });
  const records = createCopyRecords(rest.redis, rest.store.keys);
  const put = (key: string, operation: string, bytes = BYTES) =>
    patient.putStream({
      bucket: s3.bucket,
      key,
      body: Readable.from([bytes], { objectMode: false }),
      contentType: 'application/gzip',
      metadata: { 'khumbu-operation': operation },
    });
  const keep = async (operationId: string, changes: Partial<LogCopy> = {}, bytes = BYTES): Promise<LogCopy> => {
    const key = `logs/cs-1/${operationId}.tar.gz`;
    const { etag } = await put(key, operationId, bytes);
    const copy: LogCopy = {
      operationId,
      station: 'cs-1',
      type: 'DiagnosticsLog',
      bucket: s3.bucket,
      key,
      fileName: `${operationId}.tar.gz`,
      format: 'gzip',
      createdAt: Date.UTC(2026, 10, 1),
      bytes: bytes.length,
      etag,
      sha256: SHA256,
      ...changes,
    };
    await records.keep(copy);
    return copy;
  };
  return { rest, s3, put, keep };
}

export async function judgeArchiveLists(t: Test, redis: RedisServer): Promise<void> {
  const { rest, keep } = await stage(t, redis);
  await keep('log-a', { oldest: '2026-10-31T00:00:00Z' });
  await keep('log-b', { type: 'SecurityLog', createdAt: Date.UTC(2026, 10, 2) });
  await keep('log-c', { station: 'cs-2', createdAt: Date.UTC(2026, 10, 3) });
  const ids = async (query: string): Promise<string[]> =>
    ((await rest.call('GET', `${LIST}${query}`, { key: KEYS.read })).body.items as LogCopy[]).map(
      (one) => one.operationId,
    );
  t.strictSame(await ids(''), ['log-c', 'log-b', 'log-a']);
  t.strictSame(await ids('?station=cs-1'), ['log-b', 'log-a']);
  t.strictSame(await ids('?type=DiagnosticsLog'), ['log-c', 'log-a']);
  t.strictSame(await ids('?since=2026-11-02T00:00:00Z&until=2026-11-02T12:00:00Z'), ['log-b']);
  const first = await rest.call('GET', `${LIST}?limit=2`);
  t.match(first.body, { keptArchives: 3, keptBytes: 3 * BYTES.length, quotaBytes: 1_000_000 });
  t.strictSame(await ids(`?limit=2&cursor=${String(first.body.nextCursor)}`), ['log-a']);
  t.match((await rest.call('GET', `${LIST}?cursor=x`)).body, { status: 400, code: 'CURSOR_INVALID' });
  const one = await rest.call('GET', `${LIST}/log-a`, { key: KEYS.read });
  t.strictSame(one.body, {
    operationId: 'log-a',
    stationId: 'cs-1',
    type: 'DiagnosticsLog',
    createdAt: '2026-11-01T00:00:00.000Z',
    keptUntil: new Date(Date.UTC(2026, 10, 1) + 30 * DAY_MS).toISOString(),
    oldest: '2026-10-31T00:00:00Z',
    fileName: 'log-a.tar.gz',
    format: 'gzip',
    sizeBytes: BYTES.length,
    sha256: SHA256,
  });
  t.notHas((await rest.call('GET', `${LIST}/log-b`)).body, { keptUntil: '' }, 'no date is set for its type');
  t.match((await rest.call('GET', `${LIST}/log-x`)).body, { status: 404, code: 'ARCHIVE_UNKNOWN' });
  t.equal((await rest.call('GET', LIST, { key: null })).status, 401);
}

export async function judgeArchiveContent(t: Test, redis: RedisServer): Promise<void> {
  const { rest, keep } = await stage(t, redis);
  await keep('log-a');
  const url = `${LIST}/log-a/content`;
  const raw = (headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') =>
    rest.app.inject({ method, url, headers: { authorization: `Bearer ${KEYS.read}`, ...headers } });
  const whole = await raw();
  const { etag } = whole.headers;
  t.equal(whole.statusCode, 200);
  t.match(whole.headers, {
    'content-type': 'application/gzip',
    'content-length': String(BYTES.length),
    'content-disposition': 'attachment; filename="log-a.tar.gz"',
    'accept-ranges': 'bytes',
    etag: `"${SHA256}"`,
    'cache-control': 'no-store',
  });
  t.ok(whole.rawPayload.equals(BYTES));
  t.equal((await rest.call('GET', url)).status, 200);
  const rest2 = await raw({ range: 'bytes=60000-', 'if-range': String(etag) });
  t.equal(rest2.statusCode, 206);
  t.equal(rest2.headers['content-range'], `bytes 60000-99999/${BYTES.length}`);
  t.ok(Buffer.concat([BYTES.subarray(0, 60_000), rest2.rawPayload]).equals(BYTES));
  t.equal((await raw({ range: 'bytes=60000-', 'if-range': '"other"' })).statusCode, 200);
  t.ok((await raw({ range: 'bytes=-5' })).rawPayload.equals(BYTES.subarray(-5)));
  t.match((await raw({ range: 'bytes=0-1,5-6' })).headers, { 'content-type': /^multipart\/byteranges/ });
  t.match(await raw({ range: `bytes=${BYTES.length}-` }), {
    statusCode: 416,
    headers: { 'content-range': `bytes */${BYTES.length}` },
  });
  t.equal((await raw({ 'if-none-match': String(etag) })).statusCode, 304);
  const head = await raw({}, 'HEAD');
  t.equal(head.statusCode, 200);
  t.equal(head.headers['content-length'], String(BYTES.length));
  t.equal(head.rawPayload.length, 0);
  const handedOut = rest.lines.filter(({ request }) => request === 'log archive');
  t.match(handedOut[0], { audit: true, caller: 'read', station: 'cs-1', operationId: 'log-a' });
}

export async function judgeSlowReaders(t: Test, redis: RedisServer): Promise<void> {
  // More than a machine stands still: a store that it holds up is not silent.
  const stallMs = 6000;
  const { rest, keep } = await stage(t, redis, { readerStallMs: 4 * stallMs }, stallMs);
  // More than the buffers on the way hold.
  const bytes = randomBytes(24 * 1024 * 1024);
  await keep('log-a', {}, bytes);
  await rest.app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => rest.app.server.closeAllConnections());
  const { port } = rest.app.server.address() as AddressInfo;
  const open = async (): Promise<IncomingMessage> => {
    const headers = { authorization: `Bearer ${KEYS.read}` };
    const outgoing = request({ port, path: `${LIST}/log-a/content`, headers, agent: false }).end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    return response;
  };
  const pausing = await open();
  const pieces: Buffer[] = [];
  for await (const piece of pausing as AsyncIterable<Buffer>) {
    if (pieces.length === 5) await setTimeout(1.5 * stallMs);
    pieces.push(piece);
  }
  t.ok(Buffer.concat(pieces).equals(bytes), 'longer than the store may be silent');
  const connected = once(rest.app.server, 'connection');
  const away = await open();
  const [socket] = (await connected) as [Socket];
  await within(once(socket, 'close'), 60_000, 'a reader who takes nothing any more to be cut off');
  await t.rejects(buffer(away), 'and it is told that this was not all');
}

export async function judgeLostArchives(t: Test, redis: RedisServer): Promise<void> {
  const { rest, keep, put, s3 } = await stage(t, redis);
  const { key } = await keep('log-a');
  const get = () => rest.call('GET', `${LIST}/log-a/content`);
  await put(key, 'log-b');
  t.match(await get(), { status: 404, body: { code: 'ARCHIVE_UNKNOWN' } });
  await put(key, 'log-a', Buffer.from('shorter'));
  t.match(await get(), { status: 404, body: { code: 'ARCHIVE_UNKNOWN' } });
  s3.failWith(503);
  t.match(await get(), { status: 503, body: { code: 'OBJECT_STORE_UNREACHABLE' } });
}
