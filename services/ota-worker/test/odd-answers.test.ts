import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import * as zlib from 'node:zlib';
import { fetchImage } from '@khumbu/ota-worker/fetching/fetch-image';
import type { FetchOptions } from '@khumbu/ota-worker/fetching/fetch-options';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { fileNamesOf } from '@khumbu/transfer/labels';
import t, { type Test } from 'tap';

const IMAGE = Buffer.from(Array.from({ length: 20_000 }, (_, at) => 97 + (at % 26)));
/** Of which the half is held. */
const LONG = Buffer.concat(Array.from({ length: 20 }, () => IMAGE));
const HELD = LONG.length / 2;
const OVERLAP = 64 * 1024;
const policy = createLocationPolicy({ allowedSchemes: ['http'], allowedHosts: [], allowLoopback: true });

const head = (status: string, ...lines: string[]): string => `HTTP/1.1 ${[status, ...lines, '', ''].join('\r\n')}`;
const whole = (body: Buffer, ...lines: string[]): Buffer =>
  Buffer.concat([Buffer.from(head('200 OK', `Content-Length: ${body.length}`, ...lines)), body]);

/** Answers the head of each request with exact bytes. The result has the heads. */
async function origin(t: Test, answer: (head: string, socket: Socket, count: number) => void) {
  const heads: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => {}); // the client may be done first
    socket.on('data', (bytes) => {
      if (text.includes('\r\n\r\n')) return;
      text += bytes.toString('latin1');
      if (text.includes('\r\n\r\n')) answer(text, socket, heads.push(text));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { heads, base: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

type Ended = { bytes?: Buffer; reason?: string; code?: string };
async function get(spoolDir: string, location: string, changes: Partial<FetchOptions> = {}): Promise<Ended> {
  const signal = new AbortController().signal;
  const options = { key: 'k', spoolDir, policy, maxBytes: 10_000_000, stallMs: 60_000, signal, ...changes };
  try {
    const result = await fetchImage({ location, ...options });
    return result.kind === 'fetched' ? { bytes: readFileSync(result.path) } : {};
  } catch (error) {
    return error as Ended;
  }
}

void t.test('an answer that is none ends the try at once', async (t) => {
  const answers: [string, string][] = [
    ['other protocols', head('101 Switching Protocols', 'Connection: upgrade', 'Upgrade: h2c')],
    ['an interim answer and no other', head('103 Early Notifications')],
    ['nothing', ''],
    ['no HTTP', 'hello\r\n\r\n'],
  ];
  for (const [name, bytes] of answers) {
    const { base } = await origin(t, (_head, socket) => void socket.end(bytes));
    const { code, reason } = await get(t.testdir({}), `${base}/fw.bin`);
    t.match(reason, /^(bad_response|cut)$/, name);
    t.equal(code, 'FETCH_RETRYABLE', name);
  }
});

void t.test('answers that are unusual and right are taken', async (t) => {
  const chunk = (bytes: Buffer, extension = '') =>
    Buffer.concat([Buffer.from(`${bytes.length.toString(16)}${extension}\r\n`), bytes, Buffer.from('\r\n')]);
  const answers: [string, Buffer][] = [
    [
      'interim answers before it',
      Buffer.concat([Buffer.from(head('103 E', 'Link: </a>') + head('102 P')), whole(IMAGE)]),
    ],
    ['HTTP/1.0 without a length', Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), IMAGE])],
    [
      'no reason phrase',
      Buffer.concat([Buffer.from(`HTTP/1.1 200\r\nContent-Length: ${IMAGE.length}\r\n\r\n`), IMAGE]),
    ],
    [
      'chunks with extensions and trailers',
      Buffer.concat([
        Buffer.from(head('200 OK', 'Transfer-Encoding: chunked')),
        chunk(IMAGE.subarray(0, 7), ';a="b"'),
        chunk(IMAGE.subarray(7)),
        Buffer.from('0\r\nX-Sum: 1\r\n\r\n'),
      ]),
    ],
    ['more bytes than it said', Buffer.concat([whole(IMAGE), IMAGE])],
    ['a head of 20 KiB', whole(IMAGE, `Content-Security-Policy: ${'a'.repeat(20_000)}`)],
    [
      '60 long cookies',
      whole(IMAGE, ...Array.from({ length: 60 }, (_, at) => `Set-Cookie: c${at}=${'a'.repeat(1000)}`)),
    ],
    [
      'what a proxy has changed (203)',
      Buffer.from(whole(IMAGE).toString('latin1').replace('200 OK', '203 Non-Authoritative Information'), 'latin1'),
    ],
  ];
  for (const [name, bytes] of answers) {
    const { base } = await origin(t, (_head, socket) => void socket.end(bytes));
    t.same((await get(t.testdir({}), `${base}/fw.bin`)).bytes, IMAGE, name);
  }
});

void t.test('a range that is answered by anything but the file is followed by a request for the whole', async (t) => {
  const answers: [string, string][] = [
    ['nothing to show', head('204 No Content')],
    ['not modified, though nothing was compared', head('304 Not Modified')],
    ['choices', head('300 Multiple Choices', 'Content-Length: 0')],
    ['created', head('201 Created', 'Content-Length: 0')],
    ['a page of a firewall', whole(Buffer.from('<html>Blocked'), 'Content-Type: text/html').toString('latin1')],
    ['the way to a page that refuses', head('302 Found', 'Location: /refused', 'Content-Length: 0')],
    ['the way to itself, for ever', head('302 Found', 'Location: /fw.bin', 'Content-Length: 0')],
    ['the way to where nobody may ask', head('302 Found', 'Location: http://169.254.1.1/blocked', 'Content-Length: 0')],
    ['the way to no server', head('302 Found', 'Location: about:blank', 'Content-Length: 0')],
    ['other protocols', head('101 Switching Protocols', 'Connection: upgrade', 'Upgrade: h2c')],
  ];
  for (const [name, refusal] of answers) {
    const { base, heads } = await origin(t, (text, socket, count) => {
      if (text.startsWith('GET /refused')) return void socket.end(head('403 Forbidden', 'Content-Length: 0'));
      if (/^range:/im.test(text)) return void socket.end(refusal);
      const file = whole(LONG, 'ETag: "v1"');
      if (count > 1) return void socket.end(file);
      socket.end(file.subarray(0, file.length - LONG.length + HELD));
    });
    const spool = t.testdir({});
    t.equal((await get(spool, `${base}/fw.bin`)).reason, 'cut', name);
    t.same((await get(spool, `${base}/fw.bin`)).bytes, LONG, name);
    t.match(heads[1], new RegExp(`^range: bytes=${HELD - OVERLAP}-`, 'im'), `${name}: it was asked to go on`);
    t.notMatch(heads.at(-1), /^(range|if-)/im, name);
  }
});

void t.test('an address in a redirect is taken as browsers do, escaped or not', async (t) => {
  const targets: [string, Buffer, string][] = [
    ['UTF-8', Buffer.from('/Zürich.bin'), '/Z%C3%BCrich.bin'],
    ['Latin-1', Buffer.from('/Zürich.bin', 'latin1'), '/Z%C3%BCrich.bin'],
    ['blanks', Buffer.from('/Firmware v1.bin'), '/Firmware%20v1.bin'],
    ['escaped already', Buffer.from('/Z%C3%BCrich.bin'), '/Z%C3%BCrich.bin'],
    ['a fragment', Buffer.from('/fw2.bin#top'), '/fw2.bin'],
    ['beside it', Buffer.from('fw2.bin?a=b'), '/fw2.bin?a=b'],
  ];
  for (const [name, target, wanted] of targets) {
    const { base, heads } = await origin(t, (text, socket) => {
      if (!text.startsWith('GET /fw.bin ')) return void socket.end(whole(IMAGE));
      const [before, after] = head('302 Found', 'Location: |', 'Content-Length: 0').split('|');
      socket.end(Buffer.concat([Buffer.from(before ?? ''), target, Buffer.from(after ?? '')]));
    });
    t.same((await get(t.testdir({}), `${base}/fw.bin`)).bytes, IMAGE, name);
    t.equal(heads[1]?.split(' ')[1], wanted, name);
  }
});

void t.test('a label is read however it is written, and a name wherever it stands', async (t) => {
  const zipped = zlib.gzipSync(IMAGE);
  const cases: [string, string, string, Buffer][] = [
    ['/fw.bin', 'GZIP', 'capitals', IMAGE],
    ['/fw.bin', 'gzip;q=1.0', 'a weight', IMAGE],
    ['/fw.bin', '"gzip"', 'quoted', IMAGE],
    ['/fw.bin', 'identity, gzip', 'identity first', IMAGE],
    ['/download?file=fw.tar.gz', 'gzip', 'a name in the query', zipped],
    ['/download?file=fw.bin&x=1', 'gzip', 'another name in the query', IMAGE],
    ['/fw.tar%2egz', 'gzip', 'an escaped name', zipped],
    ['/fw.tgz;v=1', 'gzip', 'a name with parameters', zipped],
  ];
  for (const [path, label, name, wanted] of cases) {
    const { base } = await origin(t, (_head, socket) => void socket.end(whole(zipped, `Content-Encoding: ${label}`)));
    t.same((await get(t.testdir({}), `${base}${path}`)).bytes, wanted, name);
  }
  t.same(fileNamesOf(new URL('http://h/a%ff%2ebin;x/b;y?c=%2Fd.gz&e&f=.gz&g=1.5/6')), ['/a%ff.bin;x/b', '/d.gz']);
});

void t.test(
  'the frames of an upload that a store has kept are refused, what only begins like them is not',
  async (t) => {
    const signature = `;chunk-signature=${'0'.repeat(64)}`;
    const frame = (more: string) => Buffer.concat([Buffer.from(`${IMAGE.length.toString(16)}${more}\r\n`), IMAGE]);
    const end = Buffer.from('\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n');
    const cases: [string, Buffer, string | undefined][] = [
      ['signed frames', Buffer.concat([frame(signature), end]), 'content_encoding'],
      ['frames with a checksum behind them', Buffer.concat([frame(''), end]), 'content_encoding'],
      ['a text with a number in its first line', Buffer.concat([Buffer.from('4e\r\n'), IMAGE]), undefined],
      ['a number and nothing', Buffer.from('ffff\r\n'), undefined],
    ];
    for (const [name, body, reason] of cases) {
      const { base } = await origin(
        t,
        (_head, socket) => void socket.end(whole(body, 'Content-Encoding: aws-chunked')),
      );
      const ended = await get(t.testdir({}), `${base}/fw.bin`);
      t.equal(ended.reason, reason, name);
      if (reason === undefined) t.same(ended.bytes, body, name);
    }
  },
);
