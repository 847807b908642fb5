/** What is written to a process at a station goes no faster than the network takes it. */
import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { inputOf } from '../src/transports/ssh/session.js';

/** The network takes a piece when it is told to. ssh2 hands over at once what it is given. */
function line() {
  const waiting: (() => void)[] = [];
  const sock = new Duplex({
    highWaterMark: 16,
    read() {},
    write(_piece, _encoding, done) {
      waiting.push(done);
    },
  });
  const given: string[] = [];
  const channel = new Duplex({
    read() {},
    write(piece: Buffer, _encoding, done) {
      given.push(piece.toString());
      sock.write(piece);
      done();
    },
  });
  return { sock, channel, given, take: () => waiting.shift()?.() };
}

await t.test('the next piece is handed over once the network took the one before', async (t) => {
  const { sock, channel, given, take } = line();
  const input = inputOf(channel, sock);
  const [first, second] = ['a'.repeat(20), 'b'.repeat(20)];
  input.write(first);
  const written = new Promise((resolve) => input.write(second, resolve));
  // ssh2 tells of a piece in a later turn.
  await nextTurn();
  t.same(given, [first]);
  take();
  t.same(given, [first, second]);
  await nextTurn();
  take();
  await written;
  input.end();
  await once(input, 'close');
  t.ok(channel.writableEnded);
  t.equal(sock.listenerCount('drain'), 0, 'nothing is left behind');
});

await t.test('it ends with its session, and the session with a failure of ours', async (t) => {
  const { sock, channel } = line();
  const input = inputOf(channel, sock);
  input.write('a'.repeat(20));
  channel.destroy();
  await once(input, 'close');
  t.equal(sock.listenerCount('drain'), 0);

  const other = new PassThrough();
  const failing = inputOf(other, sock);
  failing.destroy(new Error('the image cannot be read'));
  await once(other, 'close');
  t.ok(other.destroyed, 'the program there waits for nothing more');
});
