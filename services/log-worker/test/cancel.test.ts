/**
 * An upload that is canceled ends wherever it is: nobody answers there any more, and nobody would for ten minutes. What is
 * measured is that it ends at all before that, and that the other side sees it go.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { resolveUploadTarget } from '@khumbu/shared/locations/upload-location';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { within } from '@khumbu/test-support/events';
import { startS3 } from '@khumbu/test-support/s3';
import { ScriptedFtp } from '@khumbu/test-support/scripted-ftp';
import t, { type Test } from 'tap';
import { uploadArchive } from '../src/upload/upload-archive.js';
import { allPolicy } from './faults/file-server-faults.js';
import { BUCKET, MIB, madeBytes, PART_BYTES, storeAt, streamOf } from './made-archive.js';

const NEVER_MS = 600_000;
/** Far more than the second that it takes at most, far less than what would end it else. */
const PATIENCE_MS = 60_000;
const never = (): Promise<never> => new Promise(() => {});
const SMALL = madeBytes(100_000);
const BIG = madeBytes(2 * PART_BYTES + MIB);

t.setTimeout(900_000);
const dir = await mkdtemp(join(tmpdir(), 'khumbu-cancel-'));
t.teardown(() => rm(dir, { recursive: true, force: true }));

interface Place {
  readonly location: string;
  readonly openArchive?: (reached: () => void) => Promise<Readable>;
  readonly endpoint?: string;
  /** The other side has seen the connection end. */
  readonly gone?: Promise<unknown>;
}
type Make = (t: Test, reached: () => void) => Promise<Place> | Place;

/** Takes connections and says nothing. */
async function silence(t: Test, onConnected: (socket: Socket) => void) {
  const server = createServer();
  const gone = once(server, 'connection').then(([socket]: Socket[]) => once(socket as Socket, 'close'));
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {});
    t.teardown(() => socket.destroy());
    onConnected(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { port: (server.address() as AddressInfo).port, gone };
}

const silent =
  (scheme: string, waitsFor: 'connection' | 'data' = 'data'): Make =>
  async (t, reached) => {
    const { port, gone } = await silence(t, (socket) => {
      if (waitsFor === 'connection') reached();
      socket.once('data', reached).resume();
    });
    return { location: `${scheme}://127.0.0.1:${port}/x`, gone };
  };

/** The store answers up to one request, and that one never. */
const silentStore =
  (isIt: (line: string) => boolean): Make =>
  async (t, reached) => {
    const middleware = async ({ method, url }: { method: string; url: string }, next: () => Promise<void>) => {
      if (!isIt(`${method} ${url}`)) return next();
      reached();
      return never();
    };
    const server = await startS3({
      dir: await mkdtemp(join(dir, 's3-')),
      bucket: BUCKET,
      middleware: middleware as never,
    });
    t.teardown(() => server.stop());
    return { location: `s3://${BUCKET}/logs/a.tar.gz`, endpoint: server.endpoint };
  };

const ftpSilentAt =
  (command: string): Make =>
  async (t, reached) => {
    const server = await ScriptedFtp.start();
    t.teardown(() => server.stop());
    server.script = {
      answer: (given) => {
        if (given !== command) return undefined;
        reached();
        return '';
      },
    };
    return { location: `ftp://a:b@127.0.0.1:${server.port}/x` };
  };

const endless = async (reached: () => void): Promise<Readable> =>
  streamOf(BIG, (before) => {
    if (before < PART_BYTES) return;
    reached();
    return never();
  });

const PLACES: Readonly<Record<string, Make>> = {
  'the station is asked for its logs': () => ({
    location: 'http://127.0.0.1:1/x',
    openArchive: (reached) => {
      reached();
      return never();
    },
  }),
  'the station is read for a server': () => ({ location: 'http://127.0.0.1:1/x', openArchive: endless }),
  'the station is read for the store': async (t, reached) => ({
    ...(await silentStore(() => false)(t, reached)),
    openArchive: endless,
  }),
  'a server takes the request and does not answer': silent('http'),
  'a server does not begin TLS': silent('https'),
  'a server takes no more of the body': async (t, reached) => {
    // Who does not read does not see the end either.
    const { port } = await silence(t, (socket) => {
      socket.once('readable', reached);
    });
    return { location: `http://127.0.0.1:${port}/x`, openArchive: async () => streamOf(BIG) };
  },
  'the store does not say whether it has it': silentStore((line) => line.startsWith('HEAD ')),
  'the store does not begin the upload': silentStore((line) => /^POST .*[?&]uploads/.test(line)),
  'the store does not take a part': silentStore((line) => /[?&]partNumber=2/.test(line)),
  'the store does not complete': silentStore((line) => /^POST .*[?&]uploadId=/.test(line)),
  'an FTP server does not greet': silent('ftp', 'connection'),
  'an FTP server does not log in': ftpSilentAt('PASS'),
  'an FTP server does not open the file': ftpSilentAt('STOR'),
  'an FTP server does not tell the size': ftpSilentAt('SIZE'),
  'an FTP server does not rename': ftpSilentAt('RNTO'),
};

for (const [name, make] of Object.entries(PLACES)) {
  void t.test(name, { buffered: true }, async (t) => {
    let reached = (): void => {};
    const there = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const { location, openArchive, endpoint, gone } = await make(t, reached);
    const target = resolveUploadTarget(location, 'a.tar.gz');
    if (target.kind === 'refused') throw new Error(target.reason);
    const objects = endpoint === undefined ? undefined : storeAt(endpoint, NEVER_MS);
    t.teardown(() => objects?.close());
    const abort = new AbortController();
    const upload = uploadArchive({
      target,
      openArchive: async () => (openArchive ? openArchive(reached) : streamOf(endpoint ? BIG : SMALL)),
      operationId: 'log-1',
      spoolDir: await mkdtemp(join(dir, 'spool-')),
      delivery: { partBytes: PART_BYTES },
      context: { policy: allPolicy, stallMs: NEVER_MS, objects },
      signal: abort.signal,
    });
    const ended = t.rejects(within(upload, PATIENCE_MS, `the upload to end: ${name}`), { code: 'ABORTED' });
    await within(there, PATIENCE_MS, name);
    abort.abort(new CodedError('ABORTED', 'canceled'));
    await ended;
    if (gone) await within(gone, PATIENCE_MS, 'the other side to see it go');
  });
}
