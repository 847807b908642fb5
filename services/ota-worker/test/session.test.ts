import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fetchImage } from '@khumbu/ota-worker/fetching/fetch-image';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import t, { type Test } from 'tap';
import { handlerOrigin } from './handler-origin.js';

const IMAGE = Buffer.alloc(20_000, 'x');
type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const policy = createLocationPolicy({ allowedSchemes: ['http'], allowedHosts: [], allowLoopback: true });
type Failure = { reason?: string; code?: string; message?: string };
async function get(t: Test, location: string): Promise<{ bytes?: Buffer } & Failure> {
  const signal = new AbortController().signal;
  const spoolDir = t.testdir({});
  try {
    const result = await fetchImage({ location, key: 'k', spoolDir, policy, maxBytes: 1e6, stallMs: 20_000, signal });
    return result.kind === 'fetched' ? { bytes: readFileSync(result.path) } : {};
  } catch (error) {
    return error as Failure;
  }
}

interface Wanted {
  readonly algorithm?: 'MD5' | 'MD5-sess' | 'SHA-256';
  readonly qop?: string;
  /** A nonce is stale after so many uses. */
  readonly uses?: number;
}
/** RFC 7616 from the server's side. */
function digestServer({ algorithm, qop, uses = 1000 }: Wanted): Handler {
  let nonce = randomUUID();
  const used = new Set<string>();
  const hash = (...parts: string[]) =>
    createHash(algorithm === 'SHA-256' ? 'sha256' : 'md5')
      .update(parts.join(':'))
      .digest('hex');
  return (request, response) => {
    const text = request.headers.authorization ?? '';
    const of = (name: string) => new RegExp(`[ ,]${name}="?([^",]*)`).exec(text)?.[1] ?? '';
    const plain = hash('op', 'fw', 's:ecret');
    const a1 = algorithm === 'MD5-sess' ? hash(plain, of('nonce'), of('cnonce')) : plain;
    const a2 = hash(request.method ?? '', request.url ?? '');
    const parts = qop ? [of('nonce'), of('nc'), of('cnonce'), 'auth', a2] : [of('nonce'), a2];
    const isRight = text.startsWith('Digest ') && of('response') === hash(a1, ...parts) && of('uri') === request.url;
    const isFresh = of('nonce') === nonce && used.size < uses && !(qop && used.has(of('nc')));
    if (isRight && isFresh) {
      used.add(of('nc'));
      return void response.writeHead(200, { 'content-length': IMAGE.length }).end(IMAGE);
    }
    if (isRight) {
      nonce = randomUUID();
      used.clear();
    }
    const more = [algorithm && `algorithm=${algorithm}`, qop && `qop="${qop}"`, isRight && 'stale=true'].filter(
      Boolean,
    );
    const challenge = [`Digest realm="fw", nonce="${nonce}"`, ...more].join(', ');
    response.writeHead(401, { 'www-authenticate': challenge }).end();
  };
}

void t.test('a server that takes digest authentication only gives the image', async (t) => {
  const cases: Wanted[] = [
    {},
    { qop: 'auth' },
    { algorithm: 'MD5', qop: 'auth' },
    { algorithm: 'MD5', qop: 'auth-int,auth' },
    { algorithm: 'MD5-sess', qop: 'auth' },
    { algorithm: 'SHA-256', qop: 'auth' },
  ];
  for (const wanted of cases) {
    const server = await handlerOrigin(t, digestServer(wanted));
    const { bytes, message } = await get(t, `http://op:s%3Aecret@${server.base}/dir/fw.bin?a=1&b=%20`);
    t.ok(bytes?.equals(IMAGE), JSON.stringify([wanted, message]));
    t.equal(server.requests.length, 2);
    t.match(server.requests[0]?.headers.authorization, /^Basic /, 'as ever, at first');
  }
});

void t.test('a nonce that has grown stale is renewed', async (t) => {
  const serve = digestServer({ qop: 'auth', uses: 0 });
  const renewed = digestServer({ qop: 'auth' });
  let asked = 0;
  const server = await handlerOrigin(t, (request, response) => {
    asked += 1;
    if (asked === 3) return void response.writeHead(200).end(IMAGE);
    (asked < 3 ? serve : renewed)(request, response);
  });
  t.ok((await get(t, `http://op:s%3Aecret@${server.base}/fw.bin`)).bytes?.equals(IMAGE));
  t.equal(asked, 3);
  const never = await handlerOrigin(t, digestServer({ qop: 'auth', uses: 0 }));
  t.match(await get(t, `http://op:s%3Aecret@${never.base}/fw.bin`), { reason: 'http_401' });
  t.equal(never.requests.length, 3, 'not for ever');
});

void t.test('who is not let in is told what is wanted, and nothing secret', async (t) => {
  const refuse =
    (challenge: string): Handler =>
    (_request, response) =>
      void response.writeHead(401, { 'www-authenticate': challenge }).end();
  const cases: [string, string, number][] = [
    ['Digest realm="hush", nonce="1", qop="auth", algorithm=SHA-256', 'it wants Digest (SHA-256, qop auth)', 2],
    ['Digest realm="hush", nonce="1", algorithm=SHA-512-256', 'it wants Digest (SHA-512-256)', 1],
    ['Basic realm="hush"', 'it wants Basic', 1],
    ['Negotiate', 'it wants Negotiate', 1],
  ];
  for (const [challenge, words, asked] of cases) {
    const server = await handlerOrigin(t, refuse(challenge));
    const error = await get(t, `http://op:hush@${server.base}/fw.bin`);
    t.match(error, { code: 'FETCH_PERMANENT', reason: 'http_401' });
    t.ok(error.message?.endsWith(words), words);
    t.notMatch(error.message ?? '', /hush/);
    t.equal(server.requests.length, asked);
  }
  const server = await handlerOrigin(t, refuse('Digest nonce="1"'));
  t.match(await get(t, `http://${server.base}/fw.bin`), { message: 'the server answered 401; it wants Digest' });
  t.equal(server.requests.length, 1);
});

void t.test('a digest is answered to its own origin alone', async (t) => {
  const stranger = await handlerOrigin(t, (_request, response) => {
    response.writeHead(401, { 'www-authenticate': 'Digest realm="fw", nonce="x", qop="auth"' }).end();
  });
  const server = await handlerOrigin(t, (_request, response) => {
    response.writeHead(302, { location: `http://${stranger.base}/fw.bin` }).end();
  });
  t.match(await get(t, `http://op:secret@${server.base}/fw.bin`), { reason: 'http_401' });
  t.same(
    stranger.requests.map(({ headers }) => headers.authorization),
    [undefined],
  );
});

void t.test('a cookie goes back to the origin that set it, within one download', async (t) => {
  const cases: [string, string | undefined][] = [
    ['sess=1; Path=/; HttpOnly', 'sess=1'],
    ['sess=1; SameSite=Strict; Max-Age=60', 'sess=1'],
    ['a="q=1"; Expires=Wed, 21 Oct 2048 07:28:00 GMT', 'a="q=1"'],
    ['sess=1; Path=/elsewhere', undefined],
    ['sess=1; Max-Age=0', undefined],
    ['sess=1; Domain=example.com', undefined],
    ['=;;; \u0001', undefined],
    [`big=${'x'.repeat(5000)}`, undefined],
  ];
  for (const [set, expected] of cases) {
    const server = await handlerOrigin(t, (request, response) => {
      if (request.url === '/fw.bin') {
        response.setHeader('set-cookie', Buffer.from(set, 'latin1').toString('latin1').replace('\u0001', '\t'));
        return void response.writeHead(302, { location: '/there' }).end();
      }
      response.writeHead(200).end(IMAGE);
    });
    t.ok((await get(t, `http://${server.base}/fw.bin`)).bytes?.equals(IMAGE));
    t.equal(server.requests[1]?.headers.cookie, expected, set.slice(0, 60));
    t.ok((await get(t, `http://${server.base}/there`)).bytes);
    t.equal(server.requests[2]?.headers.cookie, undefined, 'another download knows nothing of it');
  }
});

void t.test('a portal may send the same address again, with its cookie', async (t) => {
  const server = await handlerOrigin(t, (request, response) => {
    if (/\bsess=1/.test(request.headers.cookie ?? '')) return void response.writeHead(200).end(IMAGE);
    response.writeHead(302, { 'set-cookie': ['other=2', 'sess=1; Path=/; HttpOnly'], location: '/fw.bin' }).end();
  });
  t.ok((await get(t, `http://${server.base}/fw.bin`)).bytes?.equals(IMAGE));
  t.equal(server.requests[1]?.headers.cookie, 'other=2; sess=1');
});

void t.test('no other origin gets a cookie, neither by port nor by domain', async (t) => {
  const stranger = await handlerOrigin(t, (_request, response) => void response.writeHead(200).end(IMAGE));
  const port = stranger.base.split(':')[1];
  for (const target of [`http://${stranger.base}/fw.bin`, `http://localhost:${port}/fw.bin`]) {
    const server = await handlerOrigin(t, (_request, response) => {
      const cookies = ['a=1; Path=/', 'b=2; Path=/; Domain=127.0.0.1', 'c=3; Path=/; Domain=localhost'];
      response.writeHead(307, { 'set-cookie': cookies, location: target }).end();
    });
    await get(t, `http://${server.base}/fw.bin`);
  }
  t.same(
    stranger.requests.map(({ headers }) => headers.cookie).filter((cookie) => cookie !== undefined),
    [],
  );
});

void t.test('a cookie of a refusal and a digest go together', async (t) => {
  const digest = digestServer({ qop: 'auth' });
  const server = await handlerOrigin(t, (request, response) => {
    if (!request.headers.cookie) response.setHeader('set-cookie', 'sess=1');
    digest(request, response);
  });
  t.ok((await get(t, `http://op:s%3Aecret@${server.base}/fw.bin`)).bytes?.equals(IMAGE));
  t.equal(server.requests[1]?.headers.cookie, 'sess=1');
});
