/**
 * What every scheme must do, in both directions, whatever server is behind it. A scheme joins with a test file that runs this
 * against a real server of its kind.
 */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { parseLocation } from '@khumbu/shared/locations/location';
import type { Test } from 'tap';
import type { UploadBody } from '../port.js';
import { bringTo, createDownload } from '../transfer.js';
import { TransferError } from '../transfer-error.js';
import type { ConformanceServer, MakeServer } from './conformance-server.js';
import { Hold, holdAll } from './hold.js';

const SIZE = 3_000_000;
/** What one cut may cost. */
const PER_CUT = 256 * 1024;
const MOST_TRIES = 5;
const { signal } = new AbortController();

const failureOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => new Error('it succeeded'),
    (error: unknown) => error,
  );

/** Not the credentials of the location, in nothing that people may see. */
function holdsNoSecret(t: Test, { location }: Pick<ConformanceServer, 'location'>, error: unknown): void {
  const { username, password } = new URL(location);
  const { message, cause, reason } = error as TransferError;
  const shown = `${message} ${String(cause)} ${reason}`;
  for (const secret of [username, password, decodeURIComponent(password)])
    t.notOk(secret !== '' && shown.includes(secret), 'no credentials in it');
}

/** Run the suite as subtests of `t`. */
export async function conformance(t: Test, makeServer: MakeServer): Promise<void> {
  await whatComes(t, makeServer);
  await whatGoesOn(t, makeServer);
  await whatIsBrought(t, makeServer);
}

async function whatComes(t: Test, makeServer: MakeServer): Promise<void> {
  await t.test('get: whole, of any size, and asked again', async (t) => {
    const server = await makeServer(t);
    for (const content of [Buffer.from('x'), randomBytes(70_000), randomBytes(SIZE)]) {
      await server.serve(content);
      const hold = new Hold(server.location, server.context);
      t.equal(await hold.attempt({ signal }), 'whole');
      t.ok(hold.bytes.equals(content), `${content.length} bytes`);
      if (!server.tellsUnchanged) continue;
      const before = server.sent();
      const again = new Hold(server.location, server.context);
      t.equal(await again.attempt({ signal, known: hold.validators }), 'unchanged');
      t.ok(server.sent() - before <= PER_CUT, 'it is not sent again');
      t.equal(await hold.attempt({ signal }), 'part', 'all of it is held, and still counts');
      t.ok(hold.bytes.equals(content));
    }
  });

  await t.test('get: what is not there, and what the policy refuses', async (t) => {
    const server = await makeServer(t);
    await server.serve(Buffer.from('x'));
    const open = (location: string, context = server.context) =>
      createDownload(location, context)({ offset: 0, signal });
    const absent = await failureOf(open(server.absent.location));
    t.match(absent, { code: 'TRANSFER_FAILED', reason: server.absent.reason, retryable: false });
    holdsNoSecret(t, server, absent);
    const check = { ok: false, code: 'LOCATION_HOST_NOT_ALLOWED', reason: 'not here' } as const;
    const policy = { ...server.context.policy, check: () => check, checkNow: () => Promise.resolve(check) };
    const before = server.sent();
    t.match(await failureOf(open(server.location, { ...server.context, policy })), {
      reason: 'location_refused',
      retryable: false,
    });
    t.equal(server.sent(), before);
  });

  await t.test('get: stalled, aborted, and given up by its reader', async (t) => {
    const server = await makeServer(t);
    const content = randomBytes(SIZE);
    await server.serve(content);
    await server.stallAfter(1_000_000);
    const hold = new Hold(server.location, { ...server.context, stallMs: 2000 });
    const stalled = await failureOf(hold.attempt({ signal }));
    t.match(stalled, { code: 'TRANSFER_FAILED', reason: 'stalled', retryable: true });
    holdsNoSecret(t, server, stalled);
    t.ok(hold.bytes.length > 0 && content.subarray(0, hold.bytes.length).equals(hold.bytes), 'what came is held');

    await server.stallAfter(1_000_000);
    const abort = new AbortController();
    const reason = new Error('paused');
    const other = new Hold(server.location, server.context);
    const onPiece = () => abort.abort(reason);
    t.equal(await failureOf(other.attempt({ signal: abort.signal, onPiece })), reason);
    t.equal(await failureOf(other.attempt({ signal: abort.signal })), reason, 'and before it begins');

    const full = new Error('no space');
    const opened = await createDownload(server.location, server.context)({ offset: 0, signal });
    const read = (): void => {
      throw full;
    };
    t.equal(opened.kind === 'whole' ? await failureOf(opened.readBody(read)) : opened.kind, full);
  });
}

/** Held after a cut, of `content`. */
async function cut(server: ConformanceServer, content: Buffer, at: number): Promise<Hold> {
  await server.serve(content);
  await server.cutAfter(at);
  const hold = new Hold(server.location, server.context);
  const error = await failureOf(hold.attempt({ signal }));
  if (!(error instanceof TransferError && error.reason === 'cut' && error.retryable)) throw error;
  return hold;
}

async function whatGoesOn(t: Test, makeServer: MakeServer): Promise<void> {
  await t.test('get: after cuts it goes on where it stopped', async (t) => {
    const server = await makeServer(t);
    const content = randomBytes(SIZE);
    const hold = await cut(server, content, 900_000);
    t.ok(hold.bytes.length > 0, 'something is held');
    await server.cutAfter(800_000);
    t.match(await failureOf(hold.attempt({ signal })), { reason: 'cut' });
    t.equal(await hold.attempt({ signal }), 'part');
    t.ok(hold.bytes.equals(content));
    t.ok(server.sent() <= SIZE + 2 * PER_CUT, `${server.sent()} bytes for ${SIZE}`);
  });

  await t.test('get: content that has changed meanwhile is fetched anew, whatever its length', async (t) => {
    const server = await makeServer(t);
    for (const size of [SIZE, SIZE - 50_000, SIZE + 50_000, 500_000]) {
      const hold = await cut(server, randomBytes(SIZE), 900_000);
      const now = randomBytes(size);
      await server.serve(now);
      await holdAll(hold, MOST_TRIES, signal);
      t.ok(hold.bytes.equals(now), `${size} bytes now`);
    }
  });

  await t.test('get: of a server that lies nothing is mixed', async (t) => {
    const server = await makeServer(t);
    for (const { name, begin } of server.lies) {
      const hold = await cut(server, randomBytes(SIZE), 900_000);
      const now = randomBytes(SIZE);
      await server.serve(now);
      await begin();
      const error = await failureOf(holdAll(hold, MOST_TRIES, signal));
      const isClear = error instanceof TransferError || (error as Error).message === 'it succeeded';
      t.ok(isClear, `${name}: ${String(error)}`);
      if (!(error instanceof TransferError)) t.ok(hold.bytes.equals(now), `${name}: what came is the file`);
    }
  });
}

/** The server may have had all of it before the client went: never a half. */
async function holdsNoHalf(t: Test, server: ConformanceServer, bytes: Buffer, after: string): Promise<void> {
  if (server.keepsHalves !== undefined) return t.comment(`${after}: ${server.keepsHalves}`);
  const there = await server.received();
  t.ok(there === undefined || there.equals(bytes), `${after}: nothing or all of it, ${there?.length} bytes`);
}

const bodyOf = (bytes: Buffer, onOpen: () => void = () => undefined): UploadBody => ({
  size: bytes.length,
  contentType: 'application/octet-stream',
  open(start = 0) {
    onOpen();
    const pieces: Buffer[] = [];
    for (let at = start; at < bytes.length; at += 100_000) pieces.push(bytes.subarray(at, at + 100_000));
    return Readable.from(pieces);
  },
});

async function whatIsBrought(t: Test, makeServer: MakeServer): Promise<void> {
  const put = (server: ConformanceServer, location: string, body: UploadBody, more: object = {}) => {
    const parsed = parseLocation(location);
    if (!parsed.ok) throw new Error(parsed.reason);
    return bringTo(parsed.location, body, { context: server.context, signal, ...more });
  };

  await t.test('put: whole, of any size, again and again', async (t) => {
    const server = await makeServer(t);
    for (const size of [SIZE, 0, 1, 70_000]) {
      const bytes = randomBytes(size);
      const progress: number[] = [];
      const onProgress = (sent: number) => void progress.push(sent);
      t.match(await put(server, server.upload.location, bodyOf(bytes), { onProgress }), { bytes: size });
      t.ok((await server.received())?.equals(bytes), `${size} bytes`);
      t.same(
        progress,
        progress.toSorted((a, b) => a - b),
      );
      t.equal(progress.at(-1) ?? 0, size);
    }
  });

  await t.test('put: cut, stalled, aborted or failed there is no half of it, and the next try ends well', async (t) => {
    const server = await makeServer(t);
    const { location } = server.upload;
    const bytes = randomBytes(SIZE);
    await server.cutUpload();
    const failed = await failureOf(put(server, location, bodyOf(bytes)));
    t.match(failed, { code: 'TRANSFER_FAILED', retryable: true }, String(failed));
    holdsNoSecret(t, { location }, failed);
    await holdsNoHalf(t, server, bytes, 'cut');

    await server.stallUpload();
    const context = { ...server.context, stallMs: 2000 };
    t.match(await failureOf(put(server, location, bodyOf(bytes), { context })), { retryable: true });
    await holdsNoHalf(t, server, bytes, 'stalled');

    const abort = new AbortController();
    const reason = new Error('superseded');
    const aborting = bodyOf(bytes, () => abort.abort(reason));
    t.equal(await failureOf(put(server, location, aborting, { signal: abort.signal })), reason);

    const broken = new Error('the station is gone');
    const failing: UploadBody = {
      ...bodyOf(bytes),
      open: () =>
        Readable.from(
          (async function* () {
            yield bytes.subarray(0, 100_000);
            throw broken;
          })(),
        ),
    };
    t.equal(await failureOf(put(server, location, failing)), broken);
    await holdsNoHalf(t, server, bytes, 'aborted or failed');
    t.match(await put(server, location, bodyOf(bytes)), { bytes: SIZE });
    t.ok((await server.received())?.equals(bytes));
  });

  await t.test('put: who may not', async (t) => {
    const server = await makeServer(t);
    const { denied, deniedReason } = server.upload;
    if (denied === undefined) return t.comment('the scheme has no credentials of its own');
    const error = await failureOf(put(server, denied, bodyOf(Buffer.from('x'))));
    t.match(error, { code: 'TRANSFER_FAILED', reason: deniedReason, retryable: false });
    holdsNoSecret(t, { location: denied }, error);
    t.ok((await server.received()) === undefined, 'nothing is there');
  });
}
