import { randomBytes } from 'node:crypto';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { startOrigin } from '@khumbu/test-support/origin';
import t, { type Test } from 'tap';
import { type RateLimiter, TAIL_BYTES, type TransferContext } from '../src/port.js';
import { bringTo, createDownload } from '../src/transfer.js';

const CONTENT = randomBytes(3_000_000);
const policy = createLocationPolicy({ allowedSchemes: ['http', 'https'], allowedHosts: [], allowLoopback: true });
const { signal } = new AbortController();

/** Lets pieces by only after a turn of the loop, and counts. */
function stage() {
  let taken = 0;
  let waiting = 0;
  let mostWaiting = 0;
  const limiter: RateLimiter = {
    async take(bytes) {
      taken += bytes;
      waiting += 1;
      mostWaiting = Math.max(mostWaiting, waiting);
      await new Promise(setImmediate);
      waiting -= 1;
    },
  };
  return { limiter, taken: () => taken, mostWaiting: () => mostWaiting };
}

async function origin(t: Test, tlsDir?: string) {
  const server = await startOrigin(tlsDir === undefined ? {} : { tlsDir });
  t.teardown(() => server.close());
  return server;
}

async function read(location: string, context: TransferContext, abort = signal): Promise<Buffer> {
  const opened = await createDownload(location, context)({ offset: 0, signal: abort });
  if (opened.kind === 'unchanged') throw new Error('unasked');
  const pieces: Buffer[] = [];
  await opened.readBody((piece) => void pieces.push(Buffer.from(piece)));
  return Buffer.concat(pieces);
}

for (const [name, isTls, contentLength] of [
  ['by length', false, true],
  ['in chunks', false, false],
  ['by TLS', true, true],
] as const) {
  void t.test(
    `a limiter is asked for each byte of a download ${name}, and nothing is lost while it is waited for`,
    async (t) => {
      const server = await origin(t, isTls ? t.testdir({}) : undefined);
      const { limiter, taken } = stage();
      const url = server.serve('/fw', CONTENT, { contentLength });
      // Less than the whole wait: none of it is a stall.
      const bytes = await read(url, { policy, limiter, stallMs: 20_000, ca: server.caPem });
      t.ok(bytes.equals(CONTENT));
      t.equal(taken(), CONTENT.length);
    },
  );
}

for (const isTls of [false, true]) {
  void t.test(`what comes again to be compared passes it as well${isTls ? ', by TLS' : ''}`, async (t) => {
    const server = await origin(t, isTls ? t.testdir({}) : undefined);
    const url = server.serve('/fw', CONTENT);
    const { limiter, taken } = stage();
    const open = createDownload(url, { policy, limiter, stallMs: 20_000, ca: server.caPem });
    const first = await open({ offset: 0, signal });
    if (first.kind !== 'whole') throw new Error(first.kind);
    first.drop();
    const { validators, total } = first;
    const offset = 1_000_000;
    const tail = CONTENT.subarray(offset - TAIL_BYTES, offset);
    const rest = await open({ offset, validators, total, tail, signal });
    if (rest.kind !== 'part') throw new Error(rest.kind);
    // Nothing is lost that comes before there is a reader.
    await new Promise(setImmediate);
    const pieces: Buffer[] = [];
    await rest.readBody((piece) => void pieces.push(Buffer.from(piece)));
    t.ok(Buffer.concat(pieces).equals(CONTENT.subarray(offset)), 'and is not handed on');
    t.equal(taken(), CONTENT.length - offset + TAIL_BYTES);
  });
}

void t.test('time between what was compared and its reader is no stall, and an abort ends it', async (t) => {
  const server = await origin(t);
  const url = server.serve('/fw', CONTENT);
  const open = createDownload(url, { policy, stallMs: 5000 });
  const first = await open({ offset: 0, signal });
  if (first.kind !== 'whole') throw new Error(first.kind);
  first.drop();
  const offset = 1_000_000;
  const { validators } = first;
  const held = { offset, validators, total: CONTENT.length, tail: CONTENT.subarray(offset - TAIL_BYTES, offset) };
  const rest = await open({ ...held, signal });
  if (rest.kind !== 'part') throw new Error(rest.kind);
  await new Promise((resolve) => void setTimeout(resolve, 8000));
  let size = offset;
  await rest.readBody((piece) => {
    size += piece.length;
  });
  t.equal(size, CONTENT.length);
  const abort = new AbortController();
  const other = await open({ ...held, signal: abort.signal });
  if (other.kind !== 'part') throw new Error(other.kind);
  abort.abort(new Error('paused'));
  await t.rejects(
    other.readBody(() => undefined),
    { message: 'paused' },
  );
  const full = new Error('no space');
  const third = await open({ ...held, signal });
  if (third.kind !== 'part') throw new Error(third.kind);
  const fail = (): void => {
    throw full;
  };
  await t.rejects(third.readBody(fail), full);
});

void t.test('time at the limiter is no stall, and an abort ends it', async (t) => {
  const server = await origin(t);
  const url = server.serve('/fw', CONTENT);
  let isFirst = true;
  const late: RateLimiter = {
    take: () => {
      if (!isFirst) return undefined;
      isFirst = false;
      return new Promise((resolve) => void setTimeout(resolve, 8000));
    },
  };
  t.ok((await read(url, { policy, limiter: late, stallMs: 5000 })).equals(CONTENT));
  const abort = new AbortController();
  const never: RateLimiter = {
    take: (_bytes, given) =>
      new Promise((_resolve, reject) => {
        given.addEventListener('abort', () => reject(given.reason as Error));
        abort.abort(new Error('paused'));
      }),
  };
  await t.rejects(read(url, { policy, limiter: never, stallMs: 20_000 }, abort.signal), { message: 'paused' });
});

void t.test('a limiter is asked for each byte of an upload', async (t) => {
  const server = await origin(t);
  const url = new URL(server.receive('/up'));
  const { limiter, taken, mostWaiting } = stage();
  const { Readable } = await import('node:stream');
  const pieces = Array.from({ length: 30 }, (_, at) => CONTENT.subarray(at * 100_000, (at + 1) * 100_000));
  const body = { size: CONTENT.length, contentType: 'application/gzip', open: () => Readable.from(pieces) };
  const location = { scheme: 'http', url, host: '127.0.0.1', port: server.port, fragment: '' } as const;
  const context = { policy, limiter, stallMs: 20_000 };
  t.same(await bringTo(location, body, { context, signal }), { bytes: CONTENT.length });
  t.ok(server.uploads.items[0]?.body.equals(CONTENT));
  t.equal(taken(), CONTENT.length);
  t.equal(mostWaiting(), 1, 'nothing is read meanwhile');
});
