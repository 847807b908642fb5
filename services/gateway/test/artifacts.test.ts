/** The images that the depot holds, over REST, with curl as the other side. */
import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { noteGiven, noteObtained } from '@khumbu/operations/artifacts/artifact-records';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { startRedis } from '@khumbu/test-support/redis';
import { startS3 } from '@khumbu/test-support/s3';
import t, { type Test } from 'tap';
import { KEYS, openRest, type Rest, type RestOptions } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());
const dir = t.testdir({});
const run = promisify(execFile);

const { bytes, sha256 } = makeImage(700_001);
const md5 = createHash('md5').update(bytes).digest('hex');
const FILE = join(dir, 'charger.raucb');
writeFileSync(FILE, bytes);
const A = '/v1/firmware-artifacts';

interface Stage {
  readonly rest: Rest;
  readonly url: string;
  /** Status, headers and body of a request by curl, with a key that may operate. */
  readonly curl: (path: string, ...args: string[]) => Promise<{ status: number; head: string; body: Buffer }>;
}

async function stage(t: Test, options: Partial<RestOptions> = {}): Promise<Stage> {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {}, 'cs-2': {} }, ...options });
  const url = await rest.app.listen({ host: '127.0.0.1', port: 0 });
  const out = join(dir, `out-${randomUUID()}`);
  return {
    rest,
    url,
    async curl(path, ...args) {
      rmSync(out, { force: true });
      const key = path.includes('signature=') ? [] : ['-H', `Authorization: Bearer ${KEYS.operate}`];
      const where = path.startsWith('http') ? path : `${url}${path}`;
      const { stdout } = await run('curl', ['-sS', '-m', '60', ...key, '-o', out, '-D', '-', ...args, where]);
      const head = stdout.split(/\r\n\r\n/).findLast((part) => part.startsWith('HTTP/')) ?? '';
      const body = existsSync(out) ? readFileSync(out) : Buffer.alloc(0);
      return { status: Number(head.split(' ')[1]), head, body };
    },
  };
}

const json = ({ body }: { body: Buffer }) => JSON.parse(String(body));
const headerOf = (head: string, name: string) => new RegExp(`^${name}: (.*?)\\r?$`, 'im').exec(head)?.[1];

void t.test('what somebody brings in by hand is held, listed, used, and deleted', async (t) => {
  const { rest, curl } = await stage(t);
  const location = 'ftp://user:secret@files.example/fw.raucb?sig=1';
  const put = await curl(`${A}/${sha256}?location=${encodeURIComponent(location)}`, '-T', FILE);
  t.equal(put.status, 201);
  t.equal(headerOf(put.head, 'location'), `${A}/${sha256}`);
  t.match(json(put), {
    sha256,
    md5,
    sizeBytes: bytes.length,
    broughtIn: true,
    uses: 0,
    bytesSaved: 0,
    stations: [],
    sources: [{ by: 'upload', from: 'ftp://files.example/fw.raucb' }],
  });
  t.ok(readFileSync(join(rest.spoolDir, 'images', sha256)).equals(bytes));
  t.same(readdirSync(join(rest.spoolDir, 'incoming')), []);
  t.equal((await curl(`${A}/${sha256}`, '-T', FILE)).status, 200, 'once more');
  t.equal(
    (await curl(`${A}?name=x`, '-X', 'POST', '-H', 'Expect:', '-H', 'Transfer-Encoding: chunked', '-T', FILE)).status,
    200,
  );

  const update = await rest.call('POST', '/v1/stations/cs-1/firmware-updates', { body: { artifact: sha256 } });
  t.match([update.status, update.body.location], [202, `artifact://sha256/${sha256}`]);
  const { operationId } = update.body;
  const refused = await rest.call('DELETE', `${A}/${sha256}`, { key: KEYS.operate });
  t.match(refused, { status: 409, body: { code: 'ARTIFACT_IN_USE', operations: [operationId] } });
  t.equal((await rest.call('DELETE', `/v1/stations/cs-1/firmware-updates/${operationId}`)).status, 200);

  const byLocation = await rest.call('POST', '/v1/stations/cs-2/firmware-updates', {
    body: { location: `artifact://sha256/${sha256.toUpperCase()}` },
  });
  t.equal(byLocation.status, 202);
  await rest.call('DELETE', `/v1/stations/cs-2/firmware-updates/${byLocation.body.operationId}`);

  const removed = await rest.call('DELETE', `${A}/${sha256}`, { key: KEYS.operate });
  t.equal(removed.status, 204);
  t.notOk(existsSync(join(rest.spoolDir, 'images', sha256)));
  t.match(await rest.call('GET', `${A}/${sha256}`), { status: 404, body: { code: 'ARTIFACT_UNKNOWN' } });
  const gone = await rest.call('POST', '/v1/stations/cs-1/firmware-updates', { body: { artifact: sha256 } });
  t.match(gone, { status: 404, body: { code: 'ARTIFACT_UNKNOWN' } });
  for (const body of [{}, { artifact: sha256, location: 'https://a.example/f' }])
    t.match(await rest.call('POST', '/v1/stations/cs-1/firmware-updates', { body }), { status: 422 });
});

void t.test('what is not what it has to be leaves nothing', async (t) => {
  const signer = await makeSigner(join(dir, 'signer'));
  const { rest, curl } = await stage(t, {
    artifacts: { MIN_FIRMWARE_BYTES: 10, MAX_FIRMWARE_BYTES: bytes.length },
  });
  const small = join(dir, 'small');
  const large = join(dir, 'large');
  writeFileSync(small, 'tiny');
  writeFileSync(large, Buffer.concat([bytes, Buffer.from('x')]));
  const certificate = Buffer.from(signer.certificate.certificatePem).toString('base64');
  const signed = (signature: string) => [
    '-H',
    `Khumbu-Signature: ${signature}`,
    '-H',
    `Khumbu-Certificate: ${certificate}`,
  ];
  const other = 'b'.repeat(64);
  const cases: readonly [string, readonly string[], number, string, string?][] = [
    [`${A}/${other}`, ['-T', FILE], 422, 'ARTIFACT_REFUSED', 'hash_mismatch'],
    [`${A}?sha256=${other}`, ['-X', 'POST', '-T', FILE], 422, 'ARTIFACT_REFUSED', 'hash_mismatch'],
    [A, ['-X', 'POST', '-T', small], 422, 'ARTIFACT_REFUSED', 'too_small'],
    [A, ['-X', 'POST', '-T', large], 413, 'BODY_TOO_LARGE'],
    [A, ['-X', 'POST', '-H', 'Transfer-Encoding: chunked', '-T', large], 413, 'BODY_TOO_LARGE'],
    [
      A,
      ['-X', 'POST', '-T', FILE, ...signed(signer.sign(Buffer.from('other')))],
      422,
      'ARTIFACT_REFUSED',
      'signature_bad',
    ],
    [A, ['-X', 'POST', '-T', FILE, '-H', `Khumbu-Certificate: ${certificate}`], 409, 'SIGNATURE_INCOMPLETE'],
    [`${A}?location=no+url`, ['-X', 'POST', '-T', FILE], 422, 'LOCATION_MALFORMED'],
    [A, ['-X', 'POST'], 400, 'BODY_MALFORMED'],
    [A, ['-F', `file=@${FILE}`], 415, 'CONTENT_TYPE_UNSUPPORTED'],
  ];
  for (const [path, args, status, code, reason] of cases) {
    const answer = await curl(path, ...args);
    t.match(
      [answer.status, json(answer)],
      [status, { code, ...(reason ? { reason } : {}) }],
      `${args.join(' ')} ${code}`,
    );
  }
  t.same((await rest.call('GET', A)).body, { items: [] });
  t.same(existsSync(join(rest.spoolDir, 'images')) ? readdirSync(join(rest.spoolDir, 'images')) : [], []);
  t.same(readdirSync(join(rest.spoolDir, 'incoming')), []);
  t.equal((await curl(A, '-X', 'POST', '-T', FILE, ...signed(signer.sign(bytes)))).status, 201);
});

void t.test('an upload may take longer than a request; one that is cut off leaves nothing', async (t) => {
  const { curl, rest } = await stage(t, { app: { requestTimeoutMs: 2000 } });
  // 700 kB at 100 kB/s: three times as long as a request may take.
  t.equal((await curl(`${A}/${sha256}`, '--limit-rate', '100k', '-T', FILE)).status, 201);
  const other = join(dir, 'other');
  writeFileSync(other, makeImage(700_001, 'other').bytes);
  await t.rejects(curl(A, '-X', 'POST', '--limit-rate', '100k', '-m', '1', '-T', other));
  const { awaitUntil } = await import('@khumbu/test-support/events');
  await awaitUntil(() => readdirSync(join(rest.spoolDir, 'incoming')).length === 0, 20_000, 'nothing is left');
  t.equal((await rest.call('GET', A)).body.items.length, 1);
});

void t.test('a gateway that does not see the spool of the ota-workers says so', async (t) => {
  const spool = t.testdir({});
  const { curl, rest } = await stage(t, { artifacts: { SPOOL_DIR: spool } });
  t.match(json(await curl(A, '-X', 'POST', '-T', FILE)), { code: 'ARTIFACT_ELSEWHERE', detail: /no ota-worker/ });
  writeFileSync(join(spool, 'spool-id'), 'another\n');
  t.match(json(await curl(A, '-X', 'POST', '-T', FILE)), { code: 'ARTIFACT_ELSEWHERE', detail: /not the one/ });
  t.equal((await rest.call('GET', A)).status, 200);
});

void t.test('a list is the newest first, page by page, with what each image saved', async (t) => {
  const { rest } = await stage(t);
  const { store } = rest;
  const image = (n: number) => ({ sha256: String(n).repeat(64), sizeBytes: n * 1000 });
  for (const n of [1, 2, 3, 4]) {
    const transaction = store.transaction();
    const location = `https://u:p@files.example/${n}?X-Amz-Signature=abc`;
    noteObtained(transaction, image(n), {
      location,
      fetchedBytes: n * 1000,
      at: 1_700_000_000_000 + Math.floor(n / 2),
    });
    for (const station of ['cs-1', 'cs-2', 'cs-3'].slice(0, n))
      noteGiven(transaction, image(n), station, 1_700_000_100_000);
    await store.commit(transaction);
  }
  const seen: string[] = [];
  let cursor = '';
  do {
    const page = await rest.call('GET', `${A}?limit=1${cursor}`);
    t.equal(page.status, 200);
    seen.push(...page.body.items.map(({ sha256: id }: { sha256: string }) => id[0]));
    cursor = page.body.nextCursor === undefined ? '' : `&cursor=${page.body.nextCursor}`;
  } while (cursor !== '');
  t.same(seen, ['4', '3', '2', '1']);
  const { body } = await rest.call('GET', `${A}/${'3'.repeat(64)}`);
  t.match(body, {
    bytesSaved: 6000,
    uses: 3,
    stationCount: 3,
    stations: ['cs-3', 'cs-2', 'cs-1'],
    broughtIn: false,
    sources: [{ by: 'fetched', from: 'https://files.example/3' }],
    lastUsedAt: '2023-11-14T22:15:00.000Z',
  });
  t.notMatch(JSON.stringify(body), /Signature|u:p/);
  t.match(await rest.call('GET', `${A}?cursor=bm90`), { status: 400, body: { code: 'CURSOR_INVALID' } });
});

async function withS3(t: Test): Promise<Partial<RestOptions>> {
  const s3 = await startS3({ dir: t.testdir({}) });
  t.teardown(() => s3.stop());
  const config = {
    S3_ENDPOINT: s3.endpoint,
    S3_REGION: s3.region,
    S3_ACCESS_KEY: s3.accessKey,
    S3_SECRET_KEY: s3.secretKey,
    S3_BUCKET: s3.bucket,
  };
  t.teardown(() => createObjectStore(config).close());
  return { artifacts: { ...config, FIRMWARE_STORE: 's3' } };
}

for (const kept of ['spool', 's3'] as const)
  void t.test(`a station pulls the bytes by a signed URL: kept in ${kept}`, async (t) => {
    let wall = Date.now();
    const now = () => ({ wall, monotonic: wall });
    const { rest, curl } = await stage(t, { now, ...(kept === 's3' ? await withS3(t) : {}) });
    t.equal((await curl(`${A}/${sha256}`, '-T', FILE)).status, 201);
    const asked = await curl(
      `${A}/${sha256}/content-url`,
      '-H',
      'Content-Type: application/json',
      '-d',
      '{"seconds":60}',
    );
    t.equal(asked.status, 200);
    const { url } = json(asked);
    const etag = `"${sha256}"`;

    const whole = await curl(url);
    t.match(
      [whole.status, headerOf(whole.head, 'etag'), headerOf(whole.head, 'content-length')],
      [200, etag, String(bytes.length)],
    );
    t.ok(whole.body.equals(bytes));
    const head = await curl(url, '-I', '-r', '0-9');
    t.match([head.status, headerOf(head.head, 'content-length')], [200, String(bytes.length)]);
    const size = bytes.length;
    for (const [range, from, to] of [
      ['0-0', 0, 0],
      ['5-', 5, size - 1],
      ['-7', size - 7, size - 1],
      ['699999-9999999', 699_999, size - 1],
      [`-${size + 5}`, 0, size - 1],
    ] as const) {
      const part = await curl(url, '-r', range);
      t.match([part.status, headerOf(part.head, 'content-range')], [206, `bytes ${from}-${to}/${size}`], range);
      t.ok(part.body.equals(bytes.subarray(from, to + 1)), range);
    }
    const beyond = await curl(url, '-r', `${size}-`);
    t.match([beyond.status, headerOf(beyond.head, 'content-range')], [416, `bytes */${size}`]);
    for (const header of [
      'Range: bytes=5-2',
      'Range: lines=0-1',
      'Range: bytes=a-5',
      `If-Range: "other"\r\nRange: bytes=0-1`,
    ])
      t.equal((await curl(url, ...header.split('\r\n').flatMap((line) => ['-H', line]))).status, 200, header);
    t.equal((await curl(url, '-H', `If-Range: ${etag}`, '-r', '0-1')).status, 206);
    t.equal(
      (await curl(url, '-H', `If-Range: W/${etag}`, '-r', '0-1')).status,
      200,
      'a weak one is no validator for ranges',
    );
    t.equal((await curl(url, '-H', `If-None-Match: "x", W/${etag}`)).status, 304);
    t.equal((await curl(url, '-H', 'If-Match: "x"')).status, 412);

    const multi = await curl(url, '-H', 'Range: bytes=0-9, 600000-600009,-3');
    t.equal(multi.status, 206);
    t.equal(Number(headerOf(multi.head, 'content-length')), multi.body.length);
    const boundary = /boundary=(\w+)/.exec(headerOf(multi.head, 'content-type') ?? '')?.[1];
    const parts = multi.body.toString('latin1').split(`--${boundary}`);
    t.same([parts.length, parts[0], parts.at(-1)], [5, '', '--\r\n']);
    const found = parts.slice(1, -1).map((part) => {
      const [heads = '', ...rest] = part.slice(2, -2).split('\r\n\r\n');
      return [headerOf(heads, 'Content-Range'), rest.join('\r\n\r\n')];
    });
    const wanted = [
      [0, 9],
      [600_000, 600_009],
      [size - 3, size - 1],
    ].map(([from = 0, to = 0]) => [`bytes ${from}-${to}/${size}`, bytes.subarray(from, to + 1).toString('latin1')]);
    t.same(found, wanted);

    const answers = await Promise.all(
      [url.replace(/expires=\d+/, 'expires=9999999999'), url.replace(sha256, 'c'.repeat(64)), `${url}x`].map((wrong) =>
        rest.app.inject({ method: 'GET', url: wrong.replace(/^https?:\/\/[^/]+/, '') }),
      ),
    );
    t.same(
      answers.map(({ statusCode }) => statusCode),
      [401, 401, 401],
    );
    wall += 61_000;
    const late = await curl(url);
    t.match([late.status, json(late)], [401, { code: 'NOT_AUTHENTICATED', detail: /expired/ }]);
    t.equal((await curl(`${A}/${sha256}/content`, '-r', '0-0')).status, 206, 'a key is as good');
    t.equal((await rest.call('DELETE', `${A}/${sha256}`)).status, 204);
    t.equal((await curl(`${A}/${sha256}/content`)).status, 404);
  });

void t.test('bytes that are lost or shorter than they were are never filled up', async (t) => {
  const { rest, curl } = await stage(t);
  const folder = join(rest.spoolDir, 'images');
  mkdirSync(folder, { recursive: true });
  t.equal((await curl(`${A}/${sha256}`, '-T', FILE)).status, 201);
  const { place } = rest.artifacts;
  const { find } = place;
  Object.assign(place, {
    find: async (...of: Parameters<typeof find>) => {
      const found = await find(...of);
      return found && { ...found, sizeBytes: found.sizeBytes + 10 };
    },
  });
  await t.rejects(curl(`${A}/${sha256}/content`), /transfer closed|end of response/);
});

void t.test('readers that take nothing, and those that leave early, keep nobody from the bytes', async (t) => {
  const { rest, curl } = await stage(t);
  t.equal((await curl(`${A}/${sha256}`, '-T', FILE)).status, 201);
  const { place } = rest.artifacts;
  const { find, read } = place;
  const { url: signed } = json(
    await curl(`${A}/${sha256}/content-url`, '-H', 'Content-Type: application/json', '-d', '{}'),
  );
  const gone = new AbortController();
  let looked = 0;
  let reading = 0;
  const answers: Promise<unknown>[] = [];
  const ask = (many: number) => {
    for (let n = 0; n < many; n++) answers.push(fetch(signed, { signal: gone.signal }).catch(() => undefined));
  };

  // More than the turns that any route gives, and their bytes never come.
  Object.assign(place, {
    read: async (...of: Parameters<typeof read>) => {
      reading += 1;
      return new Promise((_resolve, reject) => {
        of[2].addEventListener('abort', () => reject(new Error('gone')), { once: true });
      });
    },
  });
  ask(20);
  await awaitUntil(() => reading === 20, 20_000, 'the slow readers');
  Object.assign(place, { read });
  t.equal((await curl(signed)).status, 200);
  gone.abort();
  await Promise.all(answers);

  // Those leave while their image is looked for.
  for (let round = 0; round < 3; round++) {
    const leaving = new AbortController();
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const closed: Promise<unknown>[] = [];
    const onConnection = (socket: NodeJS.EventEmitter): void =>
      void closed.push(new Promise((resolve) => socket.once('close', resolve)));
    rest.app.server.on('connection', onConnection);
    looked = 0;
    Object.assign(place, {
      find: async (...of: Parameters<typeof find>) => {
        looked += 1;
        await released;
        return find(...of);
      },
    });
    const left = Array.from({ length: 40 }, () => fetch(signed, { signal: leaving.signal }).catch(() => undefined));
    await awaitUntil(() => looked === 40, 20_000, 'all to be looked for');
    leaving.abort();
    await Promise.all([...left, ...closed]);
    rest.app.server.off('connection', onConnection);
    release();
    Object.assign(place, { find });
  }
  t.equal((await curl(signed)).status, 200, 'more have left than may read at once');
});

void t.test('who has sent an image hears the end, however long it takes to keep it', async (t) => {
  const { rest, curl } = await stage(t);
  const { place } = rest.artifacts;
  const { add } = place;
  const sockets: Socket[] = [];
  rest.app.server.on('connection', (socket: Socket) => sockets.push(socket));
  rest.app.server.setTimeout(60_000);
  Object.assign(place, {
    add: async (...of: Parameters<typeof add>) => {
      // A slow store, slower than the limit of the socket, which is short from here on, where there is one: no event is awaited,
      // the time itself is what is tested.
      for (const socket of sockets) if (socket.timeout) socket.setTimeout(100);
      await pause(1000);
      return add(...of);
    },
  });
  t.equal((await curl(`${A}/${sha256}`, '-T', FILE)).status, 201);
});
