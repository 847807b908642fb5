/** Who reads what the depot keeps holds a place; over real HTTP. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { awaitUntil, within } from '@khumbu/test-support/events';
import Fastify from 'fastify';
import t, { type Test } from 'tap';
import { createReaders, type Pace } from '../src/http/artifacts/readers.js';
import { createContentServer } from '../src/http/artifacts/serve-content.js';

const MIB = 1024 * 1024;
const HOUR = 3600_000;
const PIECE = randomBytes(64 * 1024);
/** More than the buffers on the way hold. */
const SIZE = 64 * MIB;

async function stage(t: Test, mostReaders: number, leastPace: Pace) {
  const app = Fastify();
  const stopping = new AbortController();
  const serve = createContentServer({
    mostReaders,
    leastPace,
    busy: 'no place',
    stallMs: HOUR,
    stopping: stopping.signal,
  });
  const source = {
    what: 'noise',
    type: 'application/octet-stream',
    size: SIZE,
    read: async () =>
      Readable.from(
        (function* () {
          for (;;) yield PIECE;
        })(),
        { objectMode: false },
      ),
  };
  app.get('/', (asked, reply) => serve(asked, reply, async () => ({ source, etag: '"a"' })));
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(async () => {
    stopping.abort();
    app.server.closeAllConnections();
    await app.close();
  });
  const { port } = app.server.address() as AddressInfo;
  return async (range = `bytes=0-${SIZE - 1}`): Promise<IncomingMessage> => {
    const outgoing = request({ port, agent: false, headers: { range } }).end();
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    return response;
  };
}

/** All of it; rejects where it was cut off. */
async function bytesOf(response: IncomingMessage): Promise<number> {
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) bytes += piece.length;
  return bytes;
}

void t.test(
  'who takes a little now and then makes room for one more, who has been slow for longest first',
  async (t) => {
    const open = await stage(t, 2, { bytes: 1024 * MIB, ms: 0 });
    const slow = await open();
    await once(slow, 'readable');
    const later = await open();
    const next = await open('bytes=0-99');
    t.equal(next.statusCode, 206);
    t.equal(await bytesOf(next), 100);
    await within(t.rejects(bytesOf(slow), 'it is told that this was not all'), 20_000, 'the slow one to be cut off');
    t.equal(await bytesOf(later), SIZE, 'the other one goes on');
  },
);

void t.test('nobody makes room before the time is over, or where there is room', async (t) => {
  const open = await stage(t, 2, { bytes: 1024 * MIB, ms: HOUR });
  const first = await open();
  const second = await open();
  t.equal((await open()).statusCode, 500, 'no place');
  t.equal(await bytesOf(first), SIZE);
  t.equal(await bytesOf(second), SIZE);
  await awaitUntil(async () => (await open('bytes=0-99')).statusCode === 206, 20_000, 'their places to be free');
});

void t.test('who has taken its bytes is measured anew', (t) => {
  const cut: string[] = [];
  const readers = createReaders(2, { bytes: 10, ms: 0 });
  const [one, two] = ['one', 'two'].map((name) => readers.admit(() => cut.push(name)));
  if (!one || !two) throw new Error('there are two places');
  one.took(4);
  two.took(9);
  one.took(6);
  const three = readers.admit(() => cut.push('three'));
  t.same(cut, ['two'], 'it has not taken them yet');
  two.leave();
  t.ok(three && readers.admit(() => cut.push('four')));
  t.same(cut, ['two', 'one'], 'who was cut off frees its place once alone');
  t.end();
});
