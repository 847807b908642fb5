/** Requests that do not come to their end, and what is no HTTP at all: over real sockets, with a short limit. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { selfSigned } from '@khumbu/test-support/certificates';
import { awaitUntil, within } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { type Json, KEYS, openRest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

/** More than a machine stands still: a request that it holds up is not one that does not come to its end. */
const LIMIT_MS = 6000;
/** Far beyond any delay of a loaded machine, far below what would be no limit. */
const DEADLINE_MS = 20_000;
const AUTHORIZED = `Host: x\r\nAuthorization: Bearer ${KEYS.read}\r\n`;

const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, app: { requestTimeoutMs: LIMIT_MS } });
await rest.app.listen({ host: '127.0.0.1', port: 0 });
const { port } = rest.app.server.address() as { port: number };

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** Answers with a Content-Length, one after the other. */
function readAnswers(text: string): Answer[] {
  const answers: Answer[] = [];
  let rest = text;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) break;
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const status = Number(first.split(' ')[1]);
    const length = status < 200 ? 0 : Number(headers['content-length'] ?? 0);
    answers.push({ status, headers, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return answers;
}

interface Talk {
  readonly socket: Socket;
  readonly ended: Promise<number>;
  readonly answers: () => Answer[];
}

function talk(t: Test, first: string, socket: Socket = connect(port, '127.0.0.1')): Talk {
  let got = '';
  const began = performance.now();
  socket.setEncoding('latin1').on('data', (text: string) => {
    got += text;
  });
  socket.on('error', () => undefined);
  socket.write(first, 'latin1');
  t.teardown(() => socket.destroy());
  return {
    socket,
    ended: within(once(socket, 'close'), DEADLINE_MS, 'the connection to be closed').then(
      () => performance.now() - began,
    ),
    answers: () => readAnswers(got),
  };
}

/** One piece after the other for as long as the connection is there. */
function drip(t: Test, socket: Socket, pieces: string): void {
  let at = 0;
  const timer = setInterval(() => {
    if (socket.writable) socket.write(pieces.charAt(at++ % pieces.length));
  }, 50);
  t.teardown(() => clearInterval(timer));
}

const isProblem = (t: Test, answer: Answer | undefined, status: number, code: string): void => {
  t.equal(answer?.status, status);
  t.match(answer?.headers['content-type'] ?? '', 'application/problem+json');
  t.match(answer?.headers, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', connection: 'close' });
  t.match(answer?.headers['x-request-id'] ?? '', /./);
  t.match(JSON.parse(answer?.body ?? '{}'), { status, code, type: `urn:khumbu:problem:${code}` });
};

const POST = 'POST /v1/stations/cs-1/reset HTTP/1.1\r\nContent-Type: application/json\r\n';

void t.test('a request that does not come to its end is answered with 408 and its connection closed', async (t) => {
  const kinds: Record<string, [first: string, drip: string]> = {
    'nothing at all': ['', ''],
    'half a request line': ['GET /v1/sta', ''],
    'headers without end': [`GET /v1/stations HTTP/1.1\r\n${AUTHORIZED}`, ''],
    'a header byte by byte': [`GET /v1/stations HTTP/1.1\r\n${AUTHORIZED}X-Slow: `, 'a'],
    'empty lines only': ['', '\r\n'],
    'no body after its length': [`${POST}${AUTHORIZED}Content-Length: 15\r\n\r\n`, ''],
    'half a body': [`${POST}${AUTHORIZED}Content-Length: 15\r\n\r\n{"type"`, ''],
    'a body byte by byte': [`${POST}${AUTHORIZED}Content-Length: 60000\r\n\r\n`, ' '],
    'a chunked body without end': [`${POST}${AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`, ''],
  };
  t.jobs = 16;
  await Promise.all(
    Object.entries(kinds).map(([name, [first, pieces]]) =>
      t.test(name, { buffered: true }, async (t) => {
        const { socket, ended, answers } = talk(t, first);
        if (pieces !== '') drip(t, socket, pieces);
        const tookMs = await ended;
        isProblem(t, answers().at(-1), 408, 'REQUEST_TIMEOUT');
        t.ok(tookMs >= LIMIT_MS * 0.9, `it had its time: ${Math.round(tookMs)} ms`);
      }),
    ),
  );
});

void t.test('without a key, or after an answer, it is no different', async (t) => {
  const get = `GET /v1/stations HTTP/1.1\r\n${AUTHORIZED}\r\n`;
  const kinds: Record<string, [first: string, drip: string, statuses: number[]]> = {
    'no key and no body': [`${POST}Host: x\r\nContent-Length: 15\r\n\r\n`, '', [401]],
    'no key and a slow body': [`${POST}Host: x\r\nContent-Length: 60000\r\n\r\n`, ' ', [401]],
    'nothing after an answer': [get, '', [200]],
    'empty lines after an answer': [get, '\r\n', [200, 408]],
    'half a request after an answer': [`${get}GET /v1`, '', [200, 408]],
    'a slow header after an answer': [`${get}GET /v1/stations HTTP/1.1\r\nX-Slow: `, 'a', [200, 408]],
  };
  t.jobs = 16;
  await Promise.all(
    Object.entries(kinds).map(([name, [first, pieces, statuses]]) =>
      t.test(name, { buffered: true }, async (t) => {
        const { socket, ended, answers } = talk(t, first);
        if (pieces !== '') drip(t, socket, pieces);
        await ended;
        t.strictSame(
          answers()
            .map(({ status }) => status)
            .slice(0, statuses.length),
          statuses,
        );
      }),
    ),
  );
});

void t.test('a reader of events, and whoever asks again and again, is left alone', async (t) => {
  const events = talk(t, `GET /v1/events HTTP/1.1\r\n${AUTHORIZED}\r\n`);
  let isOver = false;
  void events.ended.then(() => {
    isOver = true;
  });
  const monotonic = talk(t, '');
  const began = performance.now();
  let asked = 0;
  await awaitUntil(
    () => {
      if (monotonic.answers().length === asked) {
        asked += 1;
        monotonic.socket.write(`GET /v1/stations HTTP/1.1\r\n${AUTHORIZED}\r\n`);
      }
      return performance.now() - began > 3 * LIMIT_MS && monotonic.answers().length > 3;
    },
    DEADLINE_MS,
    'some answers in three times the limit',
  );
  t.equal(isOver, false);
  t.ok(monotonic.answers().every(({ status }) => status === 200));
  events.socket.destroy();
  monotonic.socket.destroy();
});

void t.test('a TLS handshake that does not come to its end ends too, and so does what follows one', async (t) => {
  const files = await selfSigned(t.testdir(), 'slow.example');
  const secure = await openRest(t, {
    redis,
    stations: { 'cs-1': {} },
    app: {
      requestTimeoutMs: LIMIT_MS,
      https: { cert: readFileSync(files.certificateFile), key: readFileSync(files.keyFile) },
    },
  });
  await secure.app.listen({ host: '127.0.0.1', port: 0 });
  const at = (secure.app.server.address() as { port: number }).port;
  const silent = talk(t, '\x16', connect(at, '127.0.0.1'));
  const open = () => connectTls({ port: at, host: '127.0.0.1', rejectUnauthorized: false });
  const half = talk(t, 'GET /v1', open());
  const after = talk(t, `GET /v1/stations HTTP/1.1\r\n${AUTHORIZED}\r\n`, open());
  drip(t, after.socket, '\r\n');
  await Promise.all([silent.ended, half.ended, after.ended]);
  isProblem(t, half.answers().at(-1), 408, 'REQUEST_TIMEOUT');
  t.strictSame(
    after.answers().map(({ status }) => status),
    [200, 408],
  );
});

void t.test('what is no HTTP is told so, as a problem', async (t) => {
  const kinds: Record<string, [sent: string, status: number, code: string]> = {
    'a request line nobody reads': ['what is this?\r\n\r\n', 400, 'REQUEST_MALFORMED'],
    'an unknown method': ['FROB / HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'REQUEST_MALFORMED'],
    'an unknown version': ['GET / HTTP/9.9\r\nHost: x\r\n\r\n', 400, 'REQUEST_MALFORMED'],
    'HTTP/2 without asking': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'REQUEST_MALFORMED'],
    'a header without a colon': ['GET / HTTP/1.1\r\nHost\r\n\r\n', 400, 'REQUEST_MALFORMED'],
    'two lengths': [`${POST}${AUTHORIZED}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, 400, 'REQUEST_MALFORMED'],
    'a length that is none': [`${POST}${AUTHORIZED}Content-Length: x\r\n\r\n`, 400, 'REQUEST_MALFORMED'],
    'no host': ['GET /v1/stations HTTP/1.1\r\n\r\n', 400, 'REQUEST_MALFORMED'],
    'two hosts': ['GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', 400, 'REQUEST_MALFORMED'],
    'the same host twice': ['GET /livez HTTP/1.0\r\nHost: x\r\nhost: x\r\n\r\n', 400, 'REQUEST_MALFORMED'],
    'a tunnel': ['CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n', 400, 'REQUEST_MALFORMED'],
    'headers without measure': [`GET / HTTP/1.1\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
    'an address without measure': [`GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
    'an expectation nobody knows': [
      `GET /livez HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n`,
      417,
      'EXPECTATION_UNKNOWN',
    ],
    'bytes of TLS': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'REQUEST_MALFORMED'],
  };
  for (const [name, [sent, status, code]] of Object.entries(kinds)) {
    await t.test(name, async (t) => {
      const { ended, answers } = talk(t, sent);
      await ended;
      isProblem(t, answers().at(-1), status, code);
    });
  }
});

void t.test('what follows a whole request does not take its answer away', async (t) => {
  // A body that is longer than its Content-Length.
  const { ended, answers } = talk(
    t,
    `${POST}${AUTHORIZED.replace(KEYS.read, KEYS.operate)}Content-Length: 15\r\n\r\n{"type":"Soft"}}}\r\n\r\n`,
  );
  await ended;
  const [first, second] = answers();
  t.equal(first?.status, 202);
  t.match(JSON.parse(first?.body ?? '{}') as Json, { kind: 'reset' });
  isProblem(t, second, 400, 'REQUEST_MALFORMED');
});

void t.test('nobody’s half a body is an error of ours', async (t) => {
  const { socket } = talk(t, `${POST}${AUTHORIZED.replace(KEYS.read, KEYS.operate)}Content-Length: 15\r\n\r\n{"ty`);
  await once(socket, 'connect');
  await awaitUntil(
    async () =>
      (await new Promise((resolve) => rest.app.server.getConnections((_error, count) => resolve(count)))) === 1,
    DEADLINE_MS,
    'the connection',
  );
  socket.destroy();
  await awaitUntil(
    async () =>
      (await new Promise((resolve) => rest.app.server.getConnections((_error, count) => resolve(count)))) === 0,
    DEADLINE_MS,
    'its end',
  );
  t.strictSame(
    rest.lines.filter(({ level, msg }) => level === 'error' || Number(level) >= 50 || msg === 'request failed'),
    [],
  );
});
