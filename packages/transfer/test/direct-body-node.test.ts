/**
 * What `direct-body.ts` takes for granted of Node beyond its documentation, each by itself: a version of Node that changes it
 * fails here first, by name, and not as a download that hangs or a body that is cut in the wrong place.
 */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';

const HEAD = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
const BODY = Buffer.alloc(1_000_000, 'khumbu ');

async function serve(t: Test, say: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => say(socket));
    t.teardown(() => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A request on a connection that is read by `onread`, as `DirectBody` makes it; nothing is handed on by itself. */
async function ask(t: Test, say: (socket: Socket) => void) {
  const port = await serve(t, say);
  const came: Buffer[] = [];
  let isWanted = true;
  const onread = {
    buffer: Buffer.allocUnsafeSlow(65_536),
    callback(length: number, buffer: Uint8Array): boolean {
      came.push(Buffer.from(buffer.subarray(0, length)));
      socket.emit('came');
      return isWanted;
    },
  };
  const socket = connect({ port, host: '127.0.0.1', onread });
  const outgoing = request({ port, host: '127.0.0.1', createConnection: () => socket });
  outgoing.on('error', () => undefined).end();
  t.teardown(() => socket.destroy());
  const stop = (): void => {
    isWanted = false;
  };
  const goOn = (): void => {
    isWanted = true;
    socket.resume();
  };
  return { socket, outgoing, came, stop, goOn };
}

const bytes = (pieces: readonly Buffer[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

void t.test('the client hears an answer by the event data of its socket, and by nothing else', async (t) => {
  const { socket, outgoing } = await ask(t, (peer) => peer.write(HEAD));
  let isAnswered = false;
  outgoing.on('response', () => {
    isAnswered = true;
  });
  await once(socket, 'came');
  await new Promise(setImmediate);
  t.equal(socket.listenerCount('data'), 1, 'one listener: the parser of the client');
  t.equal(socket.listenerCount('readable'), 0);
  t.notOk(isAnswered, 'what onread has read reaches no parser by itself');
});

void t.test('the parser is done with what it was given when emit returns', async (t) => {
  const { socket, outgoing, came } = await ask(t, (peer) => peer.write(HEAD));
  let response: IncomingMessage | undefined;
  outgoing.on('response', (answer) => {
    response = answer;
  });
  await once(socket, 'came');
  for (const byte of HEAD.subarray(0, -1)) socket.emit('data', Buffer.from([byte]));
  t.equal(response, undefined, 'not before the last byte');
  socket.emit('data', HEAD.subarray(-1));
  t.ok(response, 'the response is there before emit returns');
  t.equal(response?.readableLength, 0);
  t.equal(bytes(came), HEAD.length);
});

void t.test('what came with the head is with the response, byte for byte, when emit returns', async (t) => {
  for (const length of [1, 100, 16_384, 65_000]) {
    const { socket, outgoing } = await ask(t, (peer) => peer.write(HEAD));
    let response: IncomingMessage | undefined;
    outgoing.on('response', (answer) => {
      response = answer;
    });
    await once(socket, 'came');
    socket.emit('data', Buffer.concat([HEAD, BODY.subarray(0, length)]));
    t.equal(response?.readableLength, length);
    t.same(response?.read(), BODY.subarray(0, length), 'and can be read at once');
  }
});

void t.test('a callback that says false stops the reading, resume goes on, and no byte is lost', async (t) => {
  const { socket, came, stop, goOn } = await ask(t, (peer) => peer.end(BODY));
  stop();
  await once(socket, 'came');
  const first = bytes(came);
  for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
  t.equal(bytes(came), first, 'nothing more comes');
  t.ok(first < BODY.length);
  const ended = once(socket, 'close');
  goOn();
  await ended;
  t.ok(Buffer.concat(came).equals(BODY));
});
