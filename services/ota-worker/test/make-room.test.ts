import { readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fetchImage } from '@khumbu/ota-worker/fetching/fetch-image';
import { sharedSpool } from '@khumbu/ota-worker/images/image-store';
import { makeRoom, oneAtATime, sweepImages, whatMakesRoom } from '@khumbu/ota-worker/images/sweep';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { awaitUntil } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';

const HOUR_MS = 3_600_000;
const NOW = Date.UTC(2030, 0, 1);
const image = (name: string, hoursOld: number, bytes = 10) => ({ name, bytes, at: NOW - hoursOld * HOUR_MS });

void t.test('which images make room: the oldest, none that is needed or young, none in vain', async (t) => {
  const images = [image('old', 3), image('needed', 2), image('older', 1), image('young', 0)];
  const going = (bytes: number) => whatMakesRoom(images, new Set(['needed']), bytes, NOW).map(({ name }) => name);
  t.same(going(5), ['old']);
  t.same(going(10), ['old']);
  t.same(going(11), ['old', 'older']);
  t.same(going(21), [], 'it would not do');
  t.same(going(Number.POSITIVE_INFINITY), ['old', 'older'], 'as much as there is');
});

/** A spool with two old images. */
function spoolOf(t: Test): { spool: string; folder: string } {
  const spool = t.testdir({ images: { a: '0123456789', b: '0123456789' } });
  const folder = join(spool, 'images');
  const hourAgo = new Date(Date.now() - HOUR_MS);
  for (const name of ['a', 'b']) utimesSync(join(folder, name), hourAgo, hourAgo);
  return { spool, folder };
}
/** What is asked between the listing of the folder and the look at its files; meanwhile another process removes `gone`. */
const removing = (gone: string) => async (): Promise<ReadonlySet<string>> => {
  rmSync(gone);
  return new Set();
};

void t.test('images that another process removes meanwhile are gone, which is what was wanted', async (t) => {
  const all = Number.POSITIVE_INFINITY;
  const one = spoolOf(t);
  // Listed, but not to be looked at: as if it had gone between the two.
  symlinkSync(join(one.folder, 'nowhere'), join(one.folder, 'c'));
  t.equal(await makeRoom(one.spool, all, removing(join(one.folder, 'a')), Date.now()), 20, 'its room is free as well');
  t.same(readdirSync(one.folder), ['c']);
  const other = spoolOf(t);
  t.equal(await sweepImages(other.spool, removing(join(other.folder, 'a')), Date.now() + HOUR_MS), 1);
  t.same(readdirSync(other.folder), []);
  t.equal(await makeRoom(t.testdir({}), all, async () => new Set(), Date.now()), 0, 'nothing was ever fetched');
});

void t.test('room is made for one after the other, and what was made while one waited is for it too', async (t) => {
  const rounds: ((freed: number) => void)[] = [];
  const failures: ((error: Error) => void)[] = [];
  const make = oneAtATime(
    () =>
      new Promise((resolve, reject) => {
        rounds.push(resolve);
        failures.push(reject);
      }),
  );
  const both = Promise.all([make(5), make(7)]);
  await awaitUntil(() => rounds.length === 1, 5000, 'the first round');
  rounds[0]?.(12);
  t.same(await both, [12, 12]);
  t.equal(rounds.length, 1, 'the second one has been served');
  const failing = make(1);
  const next = make(2);
  await awaitUntil(() => rounds.length === 2, 5000, 'the second round');
  failures[1]?.(new Error('broken'));
  await t.rejects(failing, { message: 'broken' });
  await awaitUntil(() => rounds.length === 3, 5000, 'the third round');
  rounds[2]?.(0);
  t.equal(await next, 0, 'what failed, or was freed before, does not count for it');
});

void t.test('images leave the disk; one that was asked for just now stays', async (t) => {
  const { spool, folder } = spoolOf(t);
  t.ok(await sharedSpool(spool).has({ sha256: 'a', sizeBytes: 10 }, new AbortController().signal));
  t.equal(await makeRoom(spool, Number.POSITIVE_INFINITY, async () => new Set(), Date.now()), 10);
  t.same(readdirSync(folder), ['a']);
  t.equal(await makeRoom(spool, 1, async () => new Set(), Date.now()), 0);
});

void t.test('a download that does not fit asks for room once, and fails with what is missing', async (t) => {
  const spool = t.testdir({});
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': String(1e15), etag: '"v1"' }).write('x');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const asked: number[] = [];
  const answers = [1, 0];
  const fetching = fetchImage({
    location: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    key: 'image',
    spoolDir: spool,
    policy: createLocationPolicy({ allowedSchemes: ['http'], allowedHosts: [], allowLoopback: true }),
    maxBytes: 1e16,
    stallMs: 20_000,
    signal: new AbortController().signal,
    makeRoom: async (bytes) => {
      asked.push(bytes);
      writeFileSync(join(spool, 'asked'), '');
      return answers.shift() ?? 0;
    },
  });
  await t.rejects(fetching, {
    code: 'FETCH_RETRYABLE',
    reason: 'no_space',
    message: /lacks \d+; free space in SPOOL_DIR/,
  });
  t.equal(asked.length, 2, 'again after room was made, not again without');
  t.ok(asked.every((bytes) => bytes > 1e14));
  t.same(readdirSync(join(spool, 'fetching')), [], 'nothing is kept that keeps the spool full');
});
