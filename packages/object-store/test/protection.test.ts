/** Encryption, object lock and tags: done by a store that can, and a clear answer of one that cannot. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { S3Context, S3Middleware } from '@khumbu/embedded-run/multipart-uploads';
import t, { type Test } from 'tap';
import { createObjectStore } from '../src/object-store.js';
import type { Protection } from '../src/protection.js';
import { startS3Server } from './s3-server.js';

const BUCKET = 'depot';
const MIB = 1024 * 1024;
const ALL: Protection = {
  encryption: { algorithm: 'aws:kms', kmsKey: 'key-7' },
  lock: { mode: 'COMPLIANCE', days: 30 },
  tags: { site: 'north & south', kind: 'logs' },
};

async function stage(test: Test, intercept?: S3Middleware) {
  const directory = await mkdtemp(join(tmpdir(), 'khumbu-protection-'));
  test.teardown(() => rm(directory, { recursive: true, force: true }));
  const heads: Readonly<Record<string, string | undefined>>[] = [];
  const server = await startS3Server(directory, BUCKET, async (context, next) => {
    const isBegin = context.method === 'POST' && 'uploads' in context.query;
    if (isBegin || context.method === 'PUT') heads.push(context.headers);
    await (intercept ? intercept(context, next) : next());
  });
  test.teardown(() => server.close());
  const account = { S3_ACCESS_KEY: 'S3RVER', S3_SECRET_KEY: 'S3RVER', S3_REGION: 'us-east-1', S3_BUCKET: BUCKET };
  const store = createObjectStore({ S3_ENDPOINT: server.endpoint, ...account });
  test.teardown(() => store.close());
  const put = (bytes: number, protection?: Protection) =>
    store.putStream({
      bucket: BUCKET,
      key: 'k',
      body: Readable.from([Buffer.alloc(bytes, 'x')], { objectMode: false }),
      contentType: 'application/gzip',
      ...(protection === undefined ? {} : { protection }),
    });
  return { server, store, put, heads };
}

/** What S3 answers to a request for what it was told of an object. */
const answers =
  (retention: string, tags: string): S3Middleware =>
  async (context, next) => {
    if (context.method === 'GET' && 'retention' in context.query) say(context, retention);
    else if (context.method === 'GET' && 'tagging' in context.query) say(context, tags);
    else {
      await next();
      const encryption = context.headers['x-amz-server-side-encryption'];
      if (encryption) (context as S3Context & SetsHeaders).set('x-amz-server-side-encryption', encryption);
    }
  };
/** Of Koa. */
interface SetsHeaders {
  set(name: string, value: string): void;
}
function say(context: S3Context, body: string): void {
  context.status = body.includes('<Error>') ? 404 : 200;
  context.body = body;
}
const LOCKED = '<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate></Retention>';
const NOT_LOCKED = '<Error><Code>NoSuchObjectLockConfiguration</Code></Error>';
const TAGGED =
  '<Tagging><TagSet><Tag><Key>site</Key><Value>north</Value></Tag><Tag><Key>kind</Key><Value>logs</Value></Tag></TagSet></Tagging>';
const NOT_TAGGED = '<Tagging><TagSet></TagSet></Tagging>';

void t.test('a store that can is asked for it, with plain checksums alone', async (t) => {
  const { put, heads, store } = await stage(t, answers(LOCKED, TAGGED));
  for (const bytes of [10, 9 * MIB]) {
    heads.length = 0;
    t.equal((await put(bytes, ALL)).bytes, bytes);
    const [begun, ...parts] = heads;
    t.match(begun, {
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'key-7',
      'x-amz-object-lock-mode': 'COMPLIANCE',
      'x-amz-object-lock-retain-until-date': /^\d{4}-\d\d-\d\dT/,
      'x-amz-tagging': 'site=north+%26+south&kind=logs',
    });
    t.ok(parts.length > 0 && parts.every((head) => /^[A-Za-z0-9+/]{22}==$/.test(head['content-md5'] ?? '')));
    t.notMatch(JSON.stringify(heads), /x-amz-checksum|x-amz-trailer|aws-chunked/);
  }
  await put(10);
  t.match(heads.at(-1), { 'content-md5': /==$/ }, 'also without protection');
  t.match(await store.stat(BUCKET, 'k'), { bytes: 10 });
});

void t.test('a store that takes it and does nothing keeps nothing', async (t) => {
  const rows: readonly (readonly [Protection, S3Middleware | undefined, RegExp])[] = [
    [{ encryption: { algorithm: 'AES256' } }, undefined, /does not encrypt by AES256/],
    [{ lock: { mode: 'GOVERNANCE', days: 1 } }, answers(NOT_LOCKED, ''), /does not lock it in the mode GOVERNANCE/],
    [{ tags: { site: 'north', kind: 'logs' } }, answers('', NOT_TAGGED), /does not tag it/],
  ];
  for (const [protection, intercept, message] of rows) {
    const { server, store, put } = await stage(t, intercept);
    await t.rejects(put(10, protection), { code: 'S3_NOT_SUPPORTED', retryable: false, message });
    t.equal(await store.stat(BUCKET, 'k'), undefined, 'no object');
    t.same(await server.unfinished(), []);
  }
});

void t.test('a store that refuses says so; what the keys may not see counts as done', async (t) => {
  const refusing = await stage(t, async (context, next) => {
    if (context.headers['x-amz-object-lock-mode'] === undefined) return next();
    context.status = 400;
    context.body = '<Error><Code>InvalidRequest</Code></Error>';
  });
  const refused = refusing.put(10, { lock: { mode: 'GOVERNANCE', days: 1 } });
  await t.rejects(refused, { code: 'S3_NOT_SUPPORTED', message: /InvalidRequest.*object lock/ });
  const blind = await stage(t, async (context, next) => {
    if (!('retention' in context.query || 'tagging' in context.query)) return next();
    context.status = 403;
    context.body = '<Error><Code>AccessDenied</Code></Error>';
  });
  t.equal((await blind.put(10, { lock: { mode: 'GOVERNANCE', days: 1 }, tags: { a: 'b' } })).bytes, 10);
});
