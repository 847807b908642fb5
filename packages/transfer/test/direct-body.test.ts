import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { request as requestTls } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { selfSigned } from '@khumbu/test-support/certificates';
import t, { type Test } from 'tap';
import { DirectBody } from '../src/schemes/http/direct-body.js';

const BODY = randomBytes(3_000_000);
const CRLF = '\r\n';
const head = (...lines: string[]): Buffer => Buffer.from(['HTTP/1.1 200 OK', ...lines, '', ''].join(CRLF));
const withLength = (length = BODY.length): Buffer => head(`Content-Length: ${length}`);
const chunked = (body: Buffer, size: number): Buffer => {
  const pieces: Buffer[] = [head('Transfer-Encoding: chunked')];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    pieces.push(Buffer.from(`${piece.length.toString(16)}${CRLF}`), piece, Buffer.from(CRLF));
  }
  return Buffer.concat([...pieces, Buffer.from(`0${CRLF}${CRLF}`)]);
};

type Say = (socket: Socket) => unknown;
/** One write after the other, each with a packet of its own. */
const pieces =
  (...bytes: Buffer[]): Say =>
  async (socket) => {
    socket.setNoDelay(true);
    for (const piece of bytes) {
      await new Promise((resolve) => socket.write(piece, resolve));
      await new Promise(setImmediate);
    }
  };

async function serve(t: Test, say: Say, tls = false) {
  const certificate = tls ? await selfSigned(t.testdir(), 'server') : undefined;
  const onSocket = (socket: Socket): void => {
    socket.on('error', () => undefined);
    socket.once('data', () => void say(socket));
  };
  const server = certificate
    ? createTlsServer({ key: certificate.keyPem, cert: certificate.certificatePem }, onSocket)
    : createServer(onSocket);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { port: (server.address() as AddressInfo).port, ca: certificate?.certificatePem };
}

async function ask(t: Test, say: Say, tls = false) {
  const { port, ca } = await serve(t, say, tls);
  const direct = new DirectBody(tls ? 'https:' : 'http:');
  const { createConnection } = direct;
  const options = { host: '127.0.0.1', port, createConnection, ...(ca === undefined ? {} : { ca }) };
  const outgoing = (tls ? requestTls : request)({ ...options, rejectUnauthorized: false });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', (answer) => {
      direct.begin(answer);
      resolve(answer);
    });
    outgoing.on('error', reject).end();
  });
  response.on('error', () => undefined);
  t.teardown(() => response.destroy());
  return { direct, response };
}

async function piecesOf(direct: DirectBody): Promise<Buffer[]> {
  const got: Buffer[] = [];
  await direct.read((piece) => void got.push(Buffer.from(piece)));
  return got;
}
const bodyOf = async (direct: DirectBody): Promise<Buffer> => Buffer.concat(await piecesOf(direct));

/** What was sent has certainly come as far as it can. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
}

const all = Buffer.concat([withLength(), BODY]);
const small = BODY.subarray(0, 10);
const WHOLE: readonly [string, Say, Buffer][] = [
  ['head and body at once', pieces(all), BODY],
  ['the head alone, then the body', pieces(withLength(), BODY), BODY],
  ['the head byte by byte', pieces(...Array.from(withLength(), (byte) => Buffer.from([byte])), BODY), BODY],
  ['a little of the body with the head', pieces(all.subarray(0, 100), all.subarray(100)), BODY],
  ['a small body with its head', pieces(Buffer.concat([withLength(10), small])), small],
  ['no body at all', pieces(withLength(0)), Buffer.alloc(0)],
  ['more than was said', pieces(Buffer.concat([withLength(10), BODY])), small],
  ['more than was said, later', pieces(withLength(10), BODY), small],
  ['chunks', pieces(chunked(BODY, 70_000)), BODY],
  ['small chunks', pieces(chunked(BODY.subarray(0, 20_000), 7)), BODY.subarray(0, 20_000)],
  ['no length: it ends with the connection', (socket) => socket.end(Buffer.concat([head(), BODY])), BODY],
];

for (const tls of [false, true]) {
  for (const [name, say, expected] of WHOLE) {
    void t.test(`${tls ? 'TLS' : 'TCP'}: ${name}`, async (t) => {
      const { direct } = await ask(t, say, tls);
      const got = await piecesOf(direct);
      await settle();
      t.ok(Buffer.concat(got).equals(expected));
      t.ok(
        got.every((piece) => piece.length > 0),
        'no empty piece, also not past the end',
      );
    });
  }

  void t.test(`${tls ? 'TLS' : 'TCP'}: whoever reads late misses nothing`, async (t) => {
    const { direct } = await ask(t, pieces(all.subarray(0, 100), all.subarray(100)), tls);
    await settle();
    t.ok((await bodyOf(direct)).equals(BODY));
  });

  void t.test(`${tls ? 'TLS' : 'TCP'}: a connection that ends early is an error`, async (t) => {
    const { direct } = await ask(t, (socket) => socket.end(all.subarray(0, 1_000_000)), tls);
    await t.rejects(bodyOf(direct), { code: 'ECONNRESET' });
  });

  void t.test(`${tls ? 'TLS' : 'TCP'}: what the reader throws ends it`, async (t) => {
    const { direct, response } = await ask(t, pieces(all), tls);
    let calls = 0;
    const enough = (): undefined => {
      calls += 1;
      throw new Error('enough');
    };
    await t.rejects(direct.read(enough), { message: 'enough' });
    t.equal(calls, 1);
    t.ok(response.destroyed);
  });
}
