import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { fetchImage } from '@khumbu/ota-worker/fetching/fetch-image';
import type { FetchOptions } from '@khumbu/ota-worker/fetching/fetch-options';
import { DEFAULT_USER_AGENT } from '@khumbu/shared/http/user-agent';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { resultFor } from '@khumbu/steps/firmware-update/fetch-results';
import type { Downloaded } from '@khumbu/steps/firmware-update/image-ports';
import { BEGIN_BYTES, isWebPage, readLabels } from '@khumbu/transfer/labels';
import t from 'tap';
import { handlerOrigin } from './handler-origin.js';

const policy = createLocationPolicy({ allowedSchemes: ['http'], allowedHosts: [], allowLoopback: true });
const optionsFor = (spoolDir: string, location: string, changes: Partial<FetchOptions> = {}): FetchOptions => ({
  location,
  key: 'image',
  spoolDir,
  policy,
  maxBytes: 10_000_000,
  stallMs: 20_000,
  signal: new AbortController().signal,
  ...changes,
});

type Ended = { reason: string; code?: string; bytes?: Buffer; result?: Downloaded; message?: string };
/** How one try ends: with the bytes that were published, or with the reason. */
async function tryFetch(options: FetchOptions): Promise<Ended> {
  try {
    const result = await fetchImage(options);
    return { reason: result.kind, result, ...(result.kind === 'fetched' ? { bytes: readFileSync(result.path) } : {}) };
  } catch (error) {
    return error as Ended;
  }
}
const left = (spool: string) => readdirSync(join(spool, 'fetching'));

void t.test('an image of no bytes, or of fewer than the least size, is no image', async (t) => {
  const cases: [string, Record<string, string>, Buffer, object, string][] = [
    ['no length, nothing', { 'content-length': '0' }, Buffer.alloc(0), {}, 'empty'],
    ['chunked, no chunk', { 'transfer-encoding': 'chunked' }, Buffer.alloc(0), {}, 'empty'],
    ['compressed nothing', { 'content-encoding': 'gzip' }, zlib.gzipSync(''), {}, 'empty'],
    ['labelled nothing', { 'content-encoding': 'gzip' }, Buffer.alloc(0), {}, 'empty'],
    ['less than the setting', {}, Buffer.alloc(999), { minBytes: 1000 }, 'too_small'],
    ['as much as the setting', {}, Buffer.alloc(1000), { minBytes: 1000 }, 'fetched'],
    ['one byte', {}, Buffer.from('x'), {}, 'fetched'],
  ];
  for (const [name, headers, body, changes, reason] of cases) {
    const spool = t.testdir({});
    const server = await handlerOrigin(
      t,
      (_request, response) => void response.writeHead(200, { etag: '"v1"', ...headers }).end(body),
    );
    const ended = await tryFetch(optionsFor(spool, `${server.url}/fw.bin`, changes));
    t.equal(ended.reason, reason, name);
    if (reason !== 'fetched') t.equal(ended.code, 'FETCH_RETRYABLE', `${name}: it may still be written`);
    t.same(left(spool), [], `${name}: the next try begins anew`);
  }
});

void t.test('a web page is told from an image by its type and its first bytes', async (t) => {
  const page = '\uFEFF\n<!-- portal --> <!DOCTYPE HTML><html><body>Log in</body></html>';
  const cases: [string, string, string | Buffer, boolean][] = [
    ['a page', 'text/html; charset=utf-8', page, true],
    ['a page in capitals', 'TEXT/HTML', '<HTML><BODY>', true],
    ['XHTML', 'application/xhtml+xml', '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">', true],
    ['an image of a server that calls everything a page', 'text/html', '\u0000\u0001binary', false],
    ['a page that is the image, by its type', 'application/octet-stream', page, false],
    ['text that only looks a little like it', 'text/html', '<htmlish', false],
    ['an element of another language', 'text/html', '<a:firmware xmlns:a="urn:x">', false],
    ['XML', 'text/html', '<?xml version="1.0"?><!-- v2 --><firmware/>', false],
    ['comments one by one', 'text/html', `${'<!-- -->\n'.repeat(200)}<p>Log in`, true],
    ['a long comment', 'text/html', `<!-- ${'licence '.repeat(1000)}-->\r\n<html>`, true],
    ['a comment without an end', 'text/html', '<!-- <html>', false],
    ['a processing instruction with a >', 'text/html', '<?xml-stylesheet title="a>b"?><html>', true],
    ['UTF-16', 'text/html; charset=utf-16', Buffer.from('\uFEFF<html><body>Log in', 'utf16le'), true],
    ['UTF-16, the other way round', 'text/html', Buffer.from('\uFEFF <html><body>Log in', 'utf16le').swap16(), true],
  ];
  for (const [name, type, body, webPage] of cases) {
    const server = await handlerOrigin(
      t,
      (_request, response) => void response.writeHead(200, { 'content-type': type }).end(body),
    );
    const { result } = await tryFetch(optionsFor(t.testdir({}), `${server.url}/fw.bin`));
    t.equal(result?.kind === 'fetched' && result.webPage === true, webPage, name);
  }
});

void t.test('looking for a web page takes no longer for what nearly is one', async (t) => {
  for (const again of ['<!---->', '<!-- -->', '<?xml?>', '<!--', ' ', '<', '<!DOCTYPE ', '-->', '\uFEFF']) {
    const begin = Buffer.from(again.repeat(20_000).slice(0, BEGIN_BYTES));
    const before = process.cpuUsage().user;
    t.equal(isWebPage({ html: true }, begin), false, again);
    t.ok(process.cpuUsage(undefined).user - before < 2_000_000, `${again}: by far less than two seconds`);
  }
});

void t.test('a web page is an image only to those who have a signature to judge it by', async (t) => {
  const result = { ok: true, image: { sha256: 'a', sizeBytes: 7 }, webPage: true } as const;
  t.match(resultFor(result, { signed: false }), { ok: false, permanent: false, reason: 'web_page' });
  t.equal(resultFor(result, { signed: true }), result);
  const { webPage: _webPage, ...image } = result;
  t.equal(resultFor(image, { signed: false }), image);
});

void t.test('every request says who asks', async (t) => {
  const server = await handlerOrigin(t, (request, response) => {
    if (request.url === '/fw.bin') return void response.writeHead(302, { location: '/there' }).end();
    response.writeHead(200).end('image');
  });
  t.equal((await tryFetch(optionsFor(t.testdir({}), `${server.url}/fw.bin`))).reason, 'fetched');
  t.match(DEFAULT_USER_AGENT, /^khumbu\/\d+\.\d+\.\d+/);
  t.same(
    server.requests.map(({ headers }) => headers['user-agent']),
    [DEFAULT_USER_AGENT, DEFAULT_USER_AGENT],
  );
  await tryFetch(optionsFor(t.testdir({}), `${server.url}/there`, { userAgent: 'depot 7' }));
  t.equal(server.requests[2]?.headers['user-agent'], 'depot 7');
});

const IMAGE = randomBytes(400_000);

void t.test(
  'a server that refuses to go on in the middle, in whatever words, is asked once for the whole',
  async (t) => {
    const refusals = [400, 403, 404, 405, 406, 409, 410, 412, 416, 422, 451, 500, 501, 502, 503, 504, 520, 0];
    for (const status of refusals) {
      const spool = t.testdir({});
      let whole = 0;
      const server = await handlerOrigin(t, (request, response) => {
        if (request.headers.range !== undefined)
          return void (status === 0 ? request.socket.destroy() : response.writeHead(status).end('no'));
        whole += 1;
        response.writeHead(200, { etag: '"v1"', 'content-length': IMAGE.length });
        if (whole > 1) return void response.end(IMAGE);
        response.write(IMAGE.subarray(0, 200_000), () => response.socket?.end());
      });
      const options = optionsFor(spool, `${server.url}/fw.bin`);
      t.equal((await tryFetch(options)).reason, 'cut');
      const { reason, bytes } = await tryFetch(options);
      t.equal(reason, 'fetched', `range answered by ${status || 'the end of the connection'}`);
      t.ok(bytes?.equals(IMAGE));
      t.same(
        server.requests.map(({ headers }) => headers.range !== undefined),
        // What may be a fault of the moment is asked for once more, when the server is seen to be well.
        status === 0 || (status >= 500 && status !== 501) ? [false, true, false, true, false] : [false, true, false],
      );
    }
  },
);

void t.test('one refusal of the moment costs nothing of what is held', async (t) => {
  const OVERLAP = 64 * 1024;
  for (const status of [500, 502, 503, 504, 0]) {
    let ranges = 0;
    let plain = 0;
    const server = await handlerOrigin(t, (request, response) => {
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      ranges += from > 0 ? 1 : 0;
      plain += from > 0 ? 0 : 1;
      if (from > 0 && ranges === 1)
        return void (status === 0 ? request.socket.destroy() : response.writeHead(status).end('no'));
      const head = { etag: '"v1"', 'content-length': IMAGE.length - from };
      if (from > 0) {
        response.writeHead(206, { ...head, 'content-range': `bytes ${from}-${IMAGE.length - 1}/${IMAGE.length}` });
        return void response.end(IMAGE.subarray(from));
      }
      response.writeHead(200, head);
      // The first one is cut; the second one never ends, which holds nothing up.
      response.write(IMAGE.subarray(0, plain === 1 ? 200_000 : 1), () => (plain === 1 ? response.socket?.end() : 0));
    });
    const options = optionsFor(t.testdir({}), `${server.url}/fw.bin`);
    t.equal((await tryFetch(options)).reason, 'cut');
    const seen: number[] = [];
    const { bytes } = await tryFetch({ ...options, onProgress: (size) => void seen.push(size) });
    t.ok(bytes?.equals(IMAGE), `${status}`);
    t.ok((seen[0] ?? 0) > 200_000, 'it goes on from what is held');
    t.same(
      server.requests.map(({ headers }) => headers.range),
      [undefined, `bytes=${200_000 - OVERLAP}-`, undefined, `bytes=${200_000 - OVERLAP}-`],
    );
  }
});

void t.test('one refusal of the moment costs nothing of what is known', async (t) => {
  for (const status of [502, 0]) {
    const server = await handlerOrigin(t, (request, response) => {
      if (request.headers['if-none-match'] !== undefined)
        return void (status === 0 ? request.socket.destroy() : response.writeHead(status).end('no'));
      response.writeHead(200, { etag: '"v1"', 'content-length': IMAGE.length }).end(IMAGE);
    });
    const known = { etag: '"v1"' };
    const { reason } = await tryFetch(optionsFor(t.testdir({}), `${server.url}/fw.bin`, { known }));
    t.equal(reason, 'unchanged', String(status));
  }
});

void t.test('a condition that is refused is left out as well', async (t) => {
  for (const status of [400, 412, 501]) {
    const server = await handlerOrigin(t, (request, response) => {
      if (request.headers['if-none-match'] !== undefined) return void response.writeHead(status).end();
      response.writeHead(200, { etag: '"v2"' }).end(IMAGE);
    });
    const known = { etag: '"v1"' };
    const { reason } = await tryFetch(optionsFor(t.testdir({}), `${server.url}/fw.bin`, { known }));
    t.equal(reason, 'fetched', String(status));
  }
});

void t.test('where the whole is refused too, that is the answer, and what is held stays for another try', async (t) => {
  for (const [status, code, kept] of [
    [500, 'FETCH_RETRYABLE', true],
    [404, 'FETCH_PERMANENT', false],
  ] as const) {
    const spool = t.testdir({});
    let asked = 0;
    const server = await handlerOrigin(t, (_request, response) => {
      asked += 1;
      if (asked > 1) return void response.writeHead(status).end();
      response.writeHead(200, { etag: '"v1"', 'content-length': IMAGE.length });
      response.write(IMAGE.subarray(0, 200_000), () => response.socket?.end());
    });
    const options = optionsFor(spool, `${server.url}/fw.bin`);
    await tryFetch(options);
    t.match(await tryFetch(options), { code, reason: `http_${status}` });
    t.equal(asked, 3, 'once with a range, once without');
    t.equal(left(spool).length > 0, kept);
  }
  const later = await handlerOrigin(t, (request, response) => {
    if (request.headers.range !== undefined) return void response.writeHead(503, { 'retry-after': '9' }).end();
    response.writeHead(200, { etag: '"v1"', 'content-length': IMAGE.length });
    response.write(IMAGE.subarray(0, 200_000), () => response.socket?.end());
  });
  const options = optionsFor(t.testdir({}), `${later.url}/fw.bin`);
  await tryFetch(options);
  t.match(await tryFetch(options), { reason: 'http_503', retryAfterS: 9 }, 'not now is no word on ranges');
  t.equal(later.requests.length, 2);
});

const TEXT = Buffer.from('firmware '.repeat(50_000));
const GZ = zlib.gzipSync(TEXT);

void t.test('bytes are taken as they come where the label is a remark on the file', async (t) => {
  const xs = Buffer.alloc(20_000, 'x');
  // Of random bytes every thirtieth file begins like a block that brotli has only copied: these do not.
  const noCoding = Buffer.concat([Buffer.from('KHMB'), IMAGE]);
  const cases: [string, string, Buffer][] = [
    ...[
      'x-gzip',
      'gzip',
      'GZIP',
      'aws-chunked',
      '',
      'utf-8',
      'binary',
      'none',
      'identity',
      'deflate',
      'br',
      'zstd',
      'compress',
      'gzip, aws-chunked',
    ].map((label): [string, string, Buffer] => [label, '/firmware-1.2.bin', xs]),
    ['br', '/fw.bin', noCoding],
    ['deflate', '/fw.bin', noCoding],
    ['gzip', '/firmware.tar.gz', GZ],
    ['x-gzip', '/firmware.TGZ', GZ],
    ['x-gzip', '/download?file=7', GZ],
    ['zstd', '/fw.tar.zst', Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), xs])],
  ];
  for (const [label, path, body] of cases) {
    const server = await handlerOrigin(t, (_request, response) => {
      const type = path.startsWith('/download') ? 'application/x-gzip' : 'application/octet-stream';
      response.writeHead(200, { 'content-encoding': label, 'content-length': body.length, 'content-type': type });
      response.end(body);
    });
    const { bytes, reason } = await tryFetch(optionsFor(t.testdir({}), `${server.url}${path}`));
    t.equal(reason, 'fetched', `${label} ${path}`);
    t.ok(bytes?.equals(body), `${label} ${path}: as they came`);
  }
});

void t.test('what was compressed on its way although identity was asked for is decoded', async (t) => {
  const named = { 'content-disposition': 'attachment; filename="fw.tar.gz"' };
  const cases: [string, string, Record<string, string>, Buffer, Buffer][] = [
    ['gzip', '/fw.bin', { 'content-encoding': 'gzip' }, GZ, TEXT],
    ['x-gzip', '/fw', { 'content-encoding': 'X-GZIP' }, GZ, TEXT],
    ['of unknown length', '/fw.img', { 'content-encoding': 'gzip', 'transfer-encoding': 'chunked' }, GZ, TEXT],
    ['zlib', '/fw.bin', { 'content-encoding': 'deflate' }, zlib.deflateSync(TEXT), TEXT],
    ['deflate without its frame', '/fw.bin', { 'content-encoding': 'deflate' }, zlib.deflateRawSync(TEXT), TEXT],
    ['brotli', '/fw.bin', { 'content-encoding': 'br' }, zlib.brotliCompressSync(TEXT), TEXT],
    ['in two members', '/fw.bin', { 'content-encoding': 'gzip' }, Buffer.concat([GZ, GZ]), Buffer.concat([TEXT, TEXT])],
    ['the label lost on the way', '/fw.bin', { etag: '"5e1-gzip"' }, GZ, TEXT],
    ['a .gz compressed once more', '/fw.bin.gz', { 'content-encoding': 'gzip' }, zlib.gzipSync(GZ), GZ],
    [
      'a large .gz compressed once more',
      '/a.gz',
      { 'content-encoding': 'gzip' },
      zlib.gzipSync(zlib.gzipSync(IMAGE)),
      zlib.gzipSync(IMAGE),
    ],
    ['a .gz by its name in the head, once', '/get', { 'content-encoding': 'gzip', ...named }, GZ, GZ],
  ];
  for (const [name, path, headers, body, wanted] of cases) {
    const spool = t.testdir({});
    const server = await handlerOrigin(t, (_request, response) => void response.writeHead(200, headers).end(body));
    const { bytes, reason, result } = await tryFetch(optionsFor(spool, `${server.url}${path}?x=.gz`));
    t.equal(reason, 'fetched', name);
    t.ok(bytes?.equals(wanted), `${name}: the right bytes`);
    const sha256 = createHash('sha256').update(wanted).digest('hex');
    t.match(result, { sha256, sizeBytes: wanted.length });
    const asCame = createHash('sha256').update(body).digest('hex');
    const isDecoded = !wanted.equals(body);
    t.match(result, isDecoded ? { asCame: { sha256: asCame, sizeBytes: body.length } } : { asCame: undefined });
    t.same(readdirSync(join(spool, 'images')).sort(), [...new Set([sha256, asCame])].sort(), 'and nothing else');
    t.same(left(spool), []);
  }
});

void t.test('what was compressed on its way and cannot be decoded is refused, never published', async (t) => {
  const zstd = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), randomBytes(1000)]);
  const framed = Buffer.concat([Buffer.from(`4e20;chunk-signature=${'a'.repeat(64)}\r\n`), Buffer.alloc(20_000, 'x')]);
  const bomb = zlib.gzipSync(Buffer.alloc(11_000_000));
  const cases: [string, Record<string, string>, Buffer, string][] = [
    ['cut off', { 'content-encoding': 'gzip' }, GZ.subarray(0, -9), 'content_encoding'],
    [
      'bytes behind its end',
      { 'content-encoding': 'gzip' },
      Buffer.concat([GZ, Buffer.from('signature')]),
      'content_encoding',
    ],
    [
      'zeros behind its end',
      { 'content-encoding': 'gzip' },
      Buffer.concat([GZ, Buffer.alloc(512)]),
      'content_encoding',
    ],
    ['damaged', { 'content-encoding': 'gzip' }, Buffer.from(GZ).fill(7, 40, 60), 'content_encoding'],
    ['zlib, cut off', { 'content-encoding': 'deflate' }, zlib.deflateSync(TEXT).subarray(0, -9), 'content_encoding'],
    [
      'brotli, cut off',
      { 'content-encoding': 'br' },
      zlib.brotliCompressSync(IMAGE).subarray(0, 300_000),
      'content_encoding',
    ],
    ['zstd that is none', { 'content-encoding': 'zstd' }, zstd, 'content_encoding'],
    ['compress', { 'content-encoding': 'compress' }, Buffer.from([0x1f, 0x9d, 0x90, 1, 2, 3]), 'content_encoding'],
    ['several codings', { 'content-encoding': 'br, gzip' }, GZ, 'content_encoding'],
    ['larger than an image may be', { 'content-encoding': 'gzip' }, bomb, 'too_large'],
    ['in frames of an upload to S3', { 'content-encoding': 'aws-chunked' }, framed, 'content_encoding'],
    ['compressed by the transfer', { 'transfer-encoding': 'gzip, chunked' }, GZ, 'transfer_encoding'],
  ];
  for (const [name, headers, body, reason] of cases) {
    const spool = t.testdir({});
    const server = await handlerOrigin(
      t,
      (_request, response) => void response.writeHead(200, { etag: '"v1"', ...headers }).end(body),
    );
    t.equal((await tryFetch(optionsFor(spool, `${server.url}/fw.bin`))).reason, reason, name);
    t.same(readdirSync(join(spool, 'images')), [], `${name}: nothing is published`);
    t.same(left(spool), [], `${name}: the next try begins anew`);
  }
});

void t.test('a coding is remembered over a cut, and decoded once all is there', async (t) => {
  const coded = zlib.gzipSync(IMAGE);
  const server = await handlerOrigin(t, (request, response) => {
    const from = Number(/\d+/.exec(request.headers.range ?? '0')?.[0]);
    const rest = { 'content-range': `bytes ${from}-${coded.length - 1}/${coded.length}` };
    response.writeHead(from > 0 ? 206 : 200, {
      etag: '"v1"',
      'content-length': coded.length - from,
      ...(from > 0 ? rest : { 'content-encoding': 'gzip', 'content-type': 'text/html' }),
    });
    if (from > 0) return void response.end(coded.subarray(from));
    response.write(coded.subarray(0, 200_000), () => response.socket?.end());
  });
  const options = optionsFor(t.testdir({}), `${server.url}/fw.bin`);
  t.equal((await tryFetch(options)).reason, 'cut');
  const { bytes, result } = await tryFetch(options);
  t.ok(bytes?.equals(IMAGE));
  t.match(result, { etag: '"v1"' });
});

void t.test('an ETag that had another size before tells of a coding that nobody named', async (t) => {
  const half = IMAGE.length / 2;
  const cases: [string, string, Buffer, string][] = [
    ['compressed', '"v1"', zlib.gzipSync(IMAGE), 'decoded'],
    ['another file, compressed', '"v1"', GZ, 'content_encoding'],
    ['another file of another ETag, that is gzip', '"v2"', GZ, 'as it came'],
    ['another file under the same ETag, that is no gzip', '"v1"', TEXT, 'as it came'],
  ];
  for (const [name, etag, body, wanted] of cases) {
    let asked = 0;
    const server = await handlerOrigin(t, (_request, response) => {
      asked += 1;
      if (asked > 1) return void response.writeHead(200, { etag, 'content-length': body.length }).end(body);
      response.writeHead(200, { etag: '"v1"', 'content-length': IMAGE.length });
      response.write(IMAGE.subarray(0, half), () => response.socket?.end());
    });
    const options = optionsFor(t.testdir({}), `${server.url}/fw.bin`);
    t.equal((await tryFetch(options)).reason, 'cut');
    const { bytes, reason } = await tryFetch(options);
    const got = bytes?.equals(IMAGE) ? 'decoded' : bytes?.equals(body) ? 'as it came' : reason;
    t.equal(got, wanted, name);
  }
});

void t.test('what a head says of a file', async (t) => {
  const of = (headers: Record<string, string>, ...paths: string[]) => readLabels({ status: 200, headers }, paths);
  t.same(of({}), {});
  t.same(of({ 'content-encoding': 'gzip' }, '/fw.bin'), { coding: 'gzip' });
  t.same(of({ 'content-encoding': 'gzip' }, '/fw.bin', '/cdn/fw.bin.gz'), { coding: 'gzip', codedAtRest: true });
  t.same(of({ 'content-encoding': 'gzip', 'content-type': 'application/gzip' }, '/x'), {
    coding: 'gzip',
    codedAtRest: true,
  });
  const utf8Name = { 'content-encoding': 'gzip', 'content-disposition': "attachment; filename*=UTF-8''fw.tgz" };
  t.same(of(utf8Name, '/x'), { coding: 'gzip', codedAtRest: true });
  t.same(of({ 'content-encoding': 'identity, gzip' }), { coding: 'gzip' });
  t.same(of({ 'content-encoding': 'gzip, gzip' }), { coding: 'gzip', moreCodings: true });
  t.same(of({ etag: 'W/"1-gzip"' }), { coding: 'gzip' });
  t.same(of({ etag: '"gzip"' }), {});
  t.same(of({ 'content-encoding': 'gzip, aws-chunked' }), { coding: 'gzip', awsChunked: true });
});
