import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { parseLocation } from '@khumbu/shared/locations/location';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { startFaultyLine } from '@khumbu/test-support/faulty-line';
import { startS3 } from '@khumbu/test-support/s3';
import t, { type Test } from 'tap';
import { conformance } from '../src/conformance/conformance.js';
import type { ConformanceServer } from '../src/conformance/conformance-server.js';
import { bringTo } from '../src/transfer.js';

const policy = createLocationPolicy({ allowedSchemes: ['s3'], allowedHosts: [], allowLoopback: false });
/** Of what the suite has it go on with. */
const SIZE = 3_000_000;
/** How often the store is asked by one call. */
const TRIES = 3;

const LIES = ['bytes from elsewhere', 'no validators', 'the former validators'] as const;
/** What of Koa's context it sees and changes. */
interface Exchange {
  readonly method: string;
  readonly request: { readonly headers: Record<string, string | undefined> };
  readonly response: { readonly status: number; readonly headers: Record<string, string | undefined> };
  set(name: string, value: string): void;
  remove(name: string): void;
}

/** Goes on with whatever it has, whatever If-Range says, and tells of it what the lie is. */
function lyingStore() {
  let validators: readonly (readonly [string, string])[] = [];
  const store = {
    lie: undefined as (typeof LIES)[number] | undefined,
    middleware: async (exchange: Exchange, next: () => Promise<void>): Promise<void> => {
      const { lie } = store;
      const { headers } = exchange.request;
      const from = /^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1];
      if (exchange.method !== 'GET' || lie === undefined || from === undefined) {
        await next();
        const { status, headers: said } = exchange.response;
        if (exchange.method === 'GET' && status === 200)
          validators = ['etag', 'last-modified'].map((name) => [name, said[name] ?? ''] as const);
        return;
      }
      delete headers['if-range'];
      if (lie === 'bytes from elsewhere') headers.range = `bytes=0-${SIZE - Number(from) - 1}`;
      await next();
      if (lie === 'bytes from elsewhere') exchange.set('content-range', `bytes ${from}-${SIZE - 1}/${SIZE}`);
      for (const [name, value] of validators)
        if (lie === 'the former validators') exchange.set(name, value);
        else exchange.remove(name);
    },
  };
  return store;
}

async function makeServer(t: Test): Promise<ConformanceServer> {
  const dir = t.testdir({});
  const store = lyingStore();
  const s3 = await startS3({ dir: join(dir, 's3'), middleware: store.middleware });
  const line = await startFaultyLine(s3.port);
  const account = {
    S3_REGION: s3.region,
    S3_ACCESS_KEY: s3.accessKey,
    S3_SECRET_KEY: s3.secretKey,
    S3_BUCKET: s3.bucket,
  };
  const direct = createObjectStore({ ...account, S3_ENDPOINT: s3.endpoint });
  const objects = createObjectStore({ ...account, S3_ENDPOINT: `http://127.0.0.1:${line.port}` }, { stallMs: 5000 });
  t.teardown(async () => {
    objects.close();
    direct.close();
    await line.close();
    await s3.stop();
  });
  const put = (key: string, content: Buffer): Promise<unknown> =>
    direct.putStream({
      bucket: s3.bucket,
      key,
      body: Readable.from([content], { objectMode: false }),
      contentType: 'application/octet-stream',
    });
  return {
    context: { policy, stallMs: 20_000, objects },
    location: `s3://${s3.bucket}/images/fw%20image+1.bin`,
    absent: { location: `s3://${s3.bucket}/images/absent`, reason: 'http_404' },
    tellsUnchanged: true,
    async serve(content) {
      line.heal();
      store.lie = undefined;
      await put('images/fw image+1.bin', content);
    },
    sent: () => line.carried('down'),
    cutAfter: (bytes) => line.cut('down', bytes),
    stallAfter: (bytes) => line.stall('down', bytes),
    lies: LIES.map((lie) => ({
      name: lie,
      begin() {
        store.lie = lie;
      },
    })),
    upload: { location: `s3://${s3.bucket}/logs/a.gz` },
    async received() {
      const path = join(dir, randomUUID());
      if ((await direct.stat(s3.bucket, 'logs/a.gz')) === undefined) return undefined;
      await direct.getToFile({ bucket: s3.bucket, key: 'logs/a.gz', path });
      return readFile(path);
    },
    keepsHalves: 's3rver 4.0.4 keeps what came of a PUT that was cut; S3 answers IncompleteBody',
    cutUpload: () => line.cut('up', 500_000, TRIES),
    stallUpload: () => line.stall('up', 500_000, TRIES),
  };
}

void t.test('s3', (t) => conformance(t, makeServer));

void t.test('s3: a half that a server has kept is not taken for what was brought', async (t) => {
  const server = await makeServer(t);
  const { signal } = new AbortController();
  const content = Buffer.alloc(3_000_000, 'x');
  const body = () => ({ size: undefined, contentType: 'application/gzip', open: () => Readable.from([content]) });
  const parsed = parseLocation(server.upload.location);
  if (!parsed.ok) throw new Error(parsed.reason);
  const mark = { name: 'operation', value: 'log-1', sha256Name: 'sha256', bytesName: 'bytes' };
  const put = () => bringTo(parsed.location, body(), { context: server.context, signal, mark });
  await server.cutUpload();
  await t.rejects(put(), { code: 'TRANSFER_FAILED' });
  t.equal((await put()).bytes, content.length);
  t.ok((await server.received())?.equals(content));
  const before = server.sent();
  t.match(await put(), { bytes: content.length, object: { sha256: /^[0-9a-f]{64}$/ } }, 'it is there already');
  t.ok(server.sent() - before < 100_000);
});
