/** What stores say when they do not do what was asked: whose fault it is, whether another try can help. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { createObjectStore, type ObjectStore } from '../src/object-store.js';
import type { StoreError } from '../src/store-error.js';
import { startS3Server } from './s3-server.js';

const BUCKET = 'depot';
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function server(test: Test, answer: Answer): Promise<string> {
  const http = createServer((request, response) => {
    request.resume().on('end', () => answer(request, response));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  test.teardown(() => {
    http.close();
    http.closeAllConnections();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

function storeAt(test: Test, endpoint: string): ObjectStore {
  const account = { S3_ACCESS_KEY: 'S3RVER', S3_SECRET_KEY: 'S3RVER', S3_REGION: 'us-east-1' };
  const store = createObjectStore({ S3_ENDPOINT: endpoint, S3_BUCKET: BUCKET, ...account });
  test.teardown(() => store.close());
  return store;
}

const put = (store: ObjectStore, key = 'k', bytes = Buffer.from('content')): Promise<unknown> =>
  store.putStream({ bucket: BUCKET, key, body: Readable.from([bytes], { objectMode: false }), contentType: 'a/b' });

const failure = (work: Promise<unknown>): Promise<StoreError> =>
  work.then(
    () => Promise.reject(new Error('must fail')),
    (error: unknown) => error as StoreError,
  );

const xml = (code: string, more = ''): string =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>secret words</Message>${more}</Error>`;

interface Row {
  readonly name: string;
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly code: string;
  readonly says: RegExp;
  readonly retryable?: boolean;
}
const HOUR_AGO = (): string => new Date(Date.now() - 3600_000).toUTCString();

const ROWS: readonly Row[] = [
  {
    name: 'AWS, Garage: another region, which they name',
    status: 400,
    body: xml('AuthorizationHeaderMalformed', '<Region>garage</Region>'),
    code: 'S3_WRONG_REGION',
    says: /region garage: set S3_REGION/,
  },
  {
    name: 'another region, unnamed',
    status: 400,
    body: xml('AuthorizationHeaderMalformed'),
    code: 'S3_WRONG_REGION',
    says: /S3_REGION/,
  },
  {
    name: 'another region, denied',
    status: 403,
    body: xml('AuthorizationHeaderMalformed'),
    code: 'S3_WRONG_REGION',
    says: /S3_REGION/,
  },
  {
    name: 'a bucket made elsewhere',
    status: 400,
    body: xml('IllegalLocationConstraintException'),
    code: 'S3_WRONG_REGION',
    says: /S3_REGION/,
  },
  {
    name: 'AWS: the region in a header alone',
    status: 400,
    headers: { 'x-amz-bucket-region': 'eu-west-1' },
    code: 'S3_WRONG_REGION',
    says: /region eu-west-1: set S3_REGION/,
  },
  {
    name: 'AWS: for good at another endpoint',
    status: 301,
    body: xml('PermanentRedirect', '<Endpoint>x.s3.eu-west-1.amazonaws.com</Endpoint>'),
    headers: { 'x-amz-bucket-region': 'eu-west-1' },
    code: 'S3_WRONG_ENDPOINT',
    says: /S3_ENDPOINT and S3_REGION.*region eu-west-1/,
  },
  {
    name: 'a login page',
    status: 302,
    headers: { location: '/login' },
    code: 'S3_WRONG_ENDPOINT',
    says: /S3_ENDPOINT/,
  },
  { name: 'a gateway in front', status: 308, code: 'S3_WRONG_ENDPOINT', says: /S3_ENDPOINT/ },
  { name: 'Ceph, Versity: a quota', status: 403, body: xml('QuotaExceeded'), code: 'S3_QUOTA', says: /full.*quota/ },
  { name: 'MinIO: a quota', status: 400, body: xml('XMinioAdminBucketQuotaExceeded'), code: 'S3_QUOTA', says: /full/ },
  { name: 'MinIO: a full disk', status: 507, body: xml('XMinioStorageFull'), code: 'S3_QUOTA', says: /full/ },
  { name: 'a full disk without words', status: 507, code: 'S3_QUOTA', says: /full/ },
  { name: 'wrong key', status: 403, body: xml('InvalidAccessKeyId'), code: 'S3_DENIED', says: /keys/ },
  {
    name: 'wrong secret, or another region where stores do not say so',
    status: 403,
    body: xml('SignatureDoesNotMatch'),
    code: 'S3_DENIED',
    says: /S3_SECRET_KEY and S3_REGION/,
  },
  { name: 'no right', status: 403, body: xml('AccessDenied'), code: 'S3_DENIED', says: /rights/ },
  {
    name: 'a clock that is off',
    status: 403,
    body: xml('RequestTimeTooSkewed'),
    code: 'S3_UNAVAILABLE',
    says: /clock/,
    retryable: true,
  },
  {
    name: 'a clock that is off, told as a denial',
    status: 403,
    body: xml('AccessDenied'),
    headers: { date: HOUR_AGO() },
    code: 'S3_UNAVAILABLE',
    says: /clock/,
    retryable: true,
  },
  { name: 'no bucket', status: 404, body: xml('NoSuchBucket'), code: 'S3_NO_SUCH_BUCKET', says: /S3_BUCKET/ },
  { name: 'slow down', status: 503, body: xml('SlowDown'), code: 'S3_UNAVAILABLE', says: /HTTP 503/, retryable: true },
  { name: 'too many', status: 429, code: 'S3_UNAVAILABLE', says: /429/, retryable: true },
  {
    name: 'throttled',
    status: 400,
    body: xml('Throttling'),
    code: 'S3_UNAVAILABLE',
    says: /Throttling/,
    retryable: true,
  },
  { name: 'busy', status: 409, body: xml('OperationAborted'), code: 'S3_UNAVAILABLE', says: /./, retryable: true },
  { name: 'cut', status: 400, body: xml('RequestTimeout'), code: 'S3_UNAVAILABLE', says: /./, retryable: true },
  { name: 'broken', status: 500, body: xml('InternalError'), code: 'S3_UNAVAILABLE', says: /500/, retryable: true },
  { name: 'a gateway without store', status: 502, code: 'S3_UNAVAILABLE', says: /502/, retryable: true },
  { name: 'a 307 that says nowhere', status: 307, code: 'S3_UNAVAILABLE', says: /307/, retryable: true },
  { name: 'a proxy’s limit', status: 413, code: 'S3_BAD_REQUEST', says: /HTTP 413/ },
  { name: 'what nobody knows', status: 418, body: xml('Teapot'), code: 'S3_BAD_REQUEST', says: /Teapot/ },
  { name: 'read only', status: 405, body: xml('MethodNotAllowed'), code: 'S3_NOT_SUPPORTED', says: /support/ },
  { name: 'unknown', status: 501, body: xml('NotImplemented'), code: 'S3_NOT_SUPPORTED', says: /support/ },
];

void t.test(
  'every answer is told as what it is, with the setting to look at, and tried again only if that can help',
  async (t) => {
    let row: Row | undefined;
    let puts = 0;
    const endpoint = await server(t, (_request, response) => {
      puts += 1;
      response.writeHead(row?.status ?? 500, { 'content-type': 'application/xml', ...row?.headers });
      response.end(row?.body ?? '');
    });
    const store = storeAt(t, endpoint);
    for (const next of ROWS) {
      row = next;
      puts = 0;
      const { code, retryable, message } = await failure(put(store));
      t.match(
        { code, retryable, message },
        { code: next.code, retryable: next.retryable ?? false, message: next.says },
        next.name,
      );
      t.equal(puts, next.retryable ? 3 : 1, `${next.name}: tries`);
      t.notMatch(message, /secret words|S3RVER/, 'never in the words of the store');
    }
  },
);

void t.test('a question whose answer has no body is asked again in a way that has one', async (t) => {
  const words: Record<string, string> = {
    S3_WRONG_REGION: xml('AuthorizationHeaderMalformed', '<Region>garage</Region>'),
    S3_DENIED: xml('AccessDenied'),
    S3_UNAVAILABLE: xml('RequestTimeTooSkewed'),
  };
  for (const [code, body] of Object.entries(words)) {
    for (const status of [400, 403]) {
      const endpoint = await server(t, ({ method }, response) => {
        response.writeHead(status, { 'content-type': 'application/xml' });
        response.end(method === 'HEAD' ? undefined : body);
      });
      t.match(await failure(storeAt(t, endpoint).stat(BUCKET, 'k')), { code }, `${code} ${status}`);
    }
  }
});

void t.test('a 307 is followed to another host, with a signature for that host', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'khumbu-s3-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const real = await startS3Server(directory, BUCKET);
  t.teardown(() => real.close());
  const seen: string[] = [];
  const front = await server(t, (request, response) => {
    seen.push(`${request.method}`);
    const code = xml('TemporaryRedirect', '<Endpoint>elsewhere</Endpoint>');
    response
      .writeHead(307, { location: `${real.endpoint}${request.url}`, 'content-type': 'application/xml' })
      .end(code);
  });
  const store = storeAt(t, front);
  const big = Buffer.alloc(12 * 1024 * 1024, 'x');
  await put(store, 'small');
  await put(store, 'big', big);
  t.match(await storeAt(t, real.endpoint).stat(BUCKET, 'big'), { bytes: big.length });
  t.match(await store.stat(BUCKET, 'small'), { bytes: 7 });
  const path = join(directory, 'back');
  await store.getToFile({ bucket: BUCKET, key: 'big', path });
  t.ok((await readFile(path)).equals(big));
  t.same(new Set(seen), new Set(['GET', 'HEAD', 'POST', 'PUT']));
  const url = await store.presignFoundGet({ bucket: BUCKET, key: 'small' }, 60);
  t.equal(new URL(url).origin, real.endpoint);
  t.equal(await (await fetch(url)).text(), 'content');
});

void t.test('who is sent in circles gives up, and nobody is sent from TLS to plain text', async (t) => {
  let asked = 0;
  const circle: string = await server(t, (request, response) => {
    asked += 1;
    response.writeHead(307, { location: `${circle}${request.url}` }).end();
  });
  t.match(await failure(put(storeAt(t, circle))), { code: 'S3_UNAVAILABLE', retryable: true });
  t.equal(asked, 12, 'three tries of four requests');
  for (const location of ['ftp://elsewhere/x', 'http://[', '']) {
    const odd = await server(t, (_request, response) => response.writeHead(307, { location }).end());
    t.match(await failure(put(storeAt(t, odd))), { code: 'S3_UNAVAILABLE' }, location);
  }
});

void t.test('content that is not what was put there is told, and no file comes of it', async (t) => {
  const endpoint = await server(t, (_request, response) => response.writeHead(200, { etag: '"e"' }).end('other'));
  const dir = t.testdir({});
  const input = { bucket: BUCKET, key: 'k', path: join(dir, 'f') };
  const store = storeAt(t, endpoint);
  t.match(await failure(store.getToFile({ ...input, sha256: '0'.repeat(64) })), {
    code: 'S3_CORRUPT',
    retryable: false,
  });
  await t.rejects(readFile(input.path), { code: 'ENOENT' });
  const sha256 = 'd9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa';
  await store.getToFile({ ...input, sha256 });
  t.equal(await readFile(input.path, 'utf8'), 'other');
});
