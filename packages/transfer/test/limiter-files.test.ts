/** A limit on bytes a second, and transfers with file servers. */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasAccounts } from '@khumbu/test-support/accounts';
import { makeAuthority } from '@khumbu/test-support/certificates';
import { ScriptedFtp } from '@khumbu/test-support/scripted-ftp';
import { ScriptedSftp } from '@khumbu/test-support/scripted-sftp';
import { startSftpServer } from '@khumbu/test-support/sftp-server';
import { hasSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import type { RateLimiter, TransferContext } from '../src/port.js';
import { createFtpTransport } from '../src/schemes/ftp/ftp.js';
import { createSftpTransport } from '../src/schemes/sftp/sftp.js';
import { asked, bodyOf, bytesOf, contextOf, locationOf, never } from './file-transfers.js';

const CONTENT = randomBytes(3_000_000);
const LONG_AGO = new Date('2020-01-02T03:04:05Z');
const HELD_BYTES = 1_000_000;
const TAIL = CONTENT.subarray(HELD_BYTES - 64 * 1024, HELD_BYTES);
/** A tenth of a second of 100 kB/s. */
const PIECE_BYTES = 10_000;
/** The longest piece that comes: a buffer for the kernel has a least size, and what TLS has deciphered is as it was sent. */
const LONGEST: Readonly<Record<string, number>> = { ftp: 16 * 1024, ftps: 64 * 1024 };

/** Lets pieces by only after some turns of the loop, and counts. `sent`: by the server so far, where it tells. */
function stage(sent = () => 0) {
  let taken = 0;
  let waiting = 0;
  let mostWaiting = 0;
  let longest = 0;
  let mostAhead = 0;
  const limiter: RateLimiter = {
    pieceBytes: PIECE_BYTES,
    async take(bytes) {
      taken += bytes;
      longest = Math.max(longest, bytes);
      waiting += bytes;
      mostWaiting = Math.max(mostWaiting, waiting);
      for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate);
      waiting -= bytes;
      mostAhead = Math.max(mostAhead, sent() - taken);
    },
  };
  return {
    limiter,
    taken: () => taken,
    longest: () => longest,
    mostWaiting: () => mostWaiting,
    mostAhead: () => mostAhead,
  };
}

interface Place {
  /** With a slash at its end; the file to read is `f`, the one to bring `up`. */
  readonly at: string;
  readonly context: Partial<TransferContext>;
  /** Where the server tells how much it has sent, and no more of that waits in the kernel. */
  readonly sent?: () => number;
  readonly received: () => Buffer | undefined;
}

const scripted = async (t: Test, isTls: boolean): Promise<Place> => {
  const authority = isTls ? await makeAuthority(join(t.testdir({}), 'ca'), 'Depot') : undefined;
  const server = await ScriptedFtp.start(
    await authority?.issue({ name: 'server', subjectAltName: 'IP:127.0.0.1,DNS:localhost' }),
  );
  t.teardown(() => server.stop());
  server.put('f', CONTENT);
  return {
    at: `${isTls ? 'ftps' : 'ftp'}://fw:secret@127.0.0.1:${server.port}/`,
    context: { ca: authority?.certificatePem },
    received: () => server.files.get('up')?.bytes,
  };
};

const places: Readonly<Record<string, (t: Test) => Promise<Place>>> = {
  ftp: (t) => scripted(t, false),
  ftps: (t) => scripted(t, true),
  async sftp(t) {
    const server = await ScriptedSftp.start();
    t.teardown(() => server.stop());
    server.put('/f', CONTENT);
    return {
      at: `sftp://fw:secret@127.0.0.1:${server.port}/`,
      context: { knownHosts: server.knownHosts },
      sent: () => server.sent,
      received: () => server.files.get('/up')?.bytes,
    };
  },
  async 'sftp of OpenSSH'(t) {
    const dir = await mkdtemp(join(tmpdir(), 'khumbu-limiter-'));
    chmodSync(dir, 0o755);
    t.teardown(() => rm(dir, { recursive: true, force: true }));
    const server = await startSftpServer({ dir });
    t.teardown(() => server.stop());
    const path = join(server.home, 'f');
    writeFileSync(path, CONTENT);
    utimesSync(path, LONG_AGO, LONG_AGO);
    chownSync(path, server.id, server.id);
    return {
      at: `sftp://${server.user}:${server.password}@127.0.0.1:${server.port}/~/`,
      context: { knownHosts: await readFile(server.knownHostsFile, 'utf8') },
      received: () => readFileSync(join(server.home, 'up')),
    };
  },
};

for (const [name, place] of Object.entries(places)) {
  const skip = name === 'sftp of OpenSSH' && !(hasSshd() && hasAccounts());
  await t.test(
    `${name}: the limiter is asked for each byte, in small pieces, one after the other`,
    { skip },
    async (t) => {
      const { at, context, sent, received } = await place(t);
      const create = name.startsWith('sftp') ? createSftpTransport : createFtpTransport;
      const down = stage(sent);
      const reading = create(contextOf({ ...context, limiter: down.limiter }));
      const opened = await reading.open(locationOf(`${at}f`), asked());
      t.ok((await bytesOf(opened)).equals(CONTENT));
      t.equal(down.taken(), CONTENT.length);
      const longest = LONGEST[name] ?? PIECE_BYTES;
      t.ok(down.longest() <= longest, `${down.longest()} bytes at once`);
      t.ok(down.mostWaiting() <= longest, `${down.mostWaiting()} bytes wait`);
      if (sent) t.ok(down.mostAhead() <= 4 * PIECE_BYTES, `${down.mostAhead()} bytes are sent ahead`);

      const rest = stage();
      const { validators = {} } = opened.kind === 'whole' ? opened : {};
      const goingOn = create(contextOf({ ...context, limiter: rest.limiter }));
      const held = { offset: HELD_BYTES, total: CONTENT.length, validators, tail: TAIL };
      const part = await goingOn.open(locationOf(`${at}f`), asked(held));
      t.match(part, { kind: 'part', offset: HELD_BYTES });
      t.ok((await bytesOf(part)).equals(CONTENT.subarray(HELD_BYTES)));
      t.equal(rest.taken(), TAIL.length + CONTENT.length - HELD_BYTES, 'with what is compared before');
      t.ok(rest.mostWaiting() <= longest, `${rest.mostWaiting()} bytes wait`);

      const up = stage();
      const writing = create(contextOf({ ...context, limiter: up.limiter }));
      const brought = await writing.put(locationOf(`${at}up`), bodyOf(CONTENT), { signal: never() });
      t.same(brought, { bytes: CONTENT.length });
      t.ok(received()?.equals(CONTENT));
      t.equal(up.taken(), CONTENT.length);
      t.ok(up.longest() <= PIECE_BYTES, `${up.longest()} bytes at once`);
      t.ok(up.mostWaiting() <= PIECE_BYTES, `${up.mostWaiting()} bytes wait`);
    },
  );
}
