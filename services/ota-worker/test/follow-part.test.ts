/** A part file is put into the object store behind the download: without holding it open, and without waiting for anything. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { appendFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreError } from '@khumbu/object-store/store-error';
import { PieceKeeper } from '@khumbu/ota-worker/pieces/keep-pieces';
import type { Held, Piece } from '@khumbu/ota-worker/pieces/piece-names';
import { type PieceStore, sha256Of } from '@khumbu/ota-worker/pieces/piece-store';
import { createTurns } from '@khumbu/ota-worker/pieces/piece-turns';
import { whenAborted } from '@khumbu/shared/runtime/abort';
import { ifExists } from '@khumbu/shared/runtime/errors';
import { awaitUntil } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';

// What a run waits with keeps no process alive.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

const MIB = 1024 * 1024;
const PATIENCE_MS = 20_000;
const validators = { etag: '"1"' };
const forever = (signal: AbortSignal): Promise<never> =>
  whenAborted(signal).then(() => Promise.reject(new Error('aborted')));

/** Keeps nothing but what it was asked for. */
function fakeStore(more: Partial<PieceStore> = {}) {
  const put: Piece[] = [];
  const removed: string[][] = [];
  const store: PieceStore = {
    inTurn: createTurns(2),
    find: async () => ({ objects: [], held: [] }),
    begin: async (_fetch, generation) => ({ key: 'begun', generation, bytes: 1, sha256: '', offset: undefined }),
    async put(_fetch, { generation, offset }, content) {
      const piece = {
        key: `${generation}/${offset}`,
        generation,
        offset,
        bytes: content.length,
        sha256: sha256Of(content),
      };
      put.push(piece);
      return piece;
    },
    read: async () => Buffer.alloc(0),
    removeGenerations: async (_fetch, gone) => void removed.push([...gone]),
    listLeft: async () => async () => 0,
    sweep: async () => 0,
    ...more,
  };
  return { store, put, removed };
}

async function stage(t: Test, bytes: number, more?: Partial<PieceStore>, held: readonly Held[] = []) {
  const path = join(t.testdir({}), 'a.part');
  await writeFile(path, randomBytes(bytes));
  const warnings: string[] = [];
  const fake = fakeStore(more);
  const keeper = new PieceKeeper(fake.store, 'f', held, { warn: (_about, said) => void warnings.push(said) });
  keeper.follow({ path, validators, labels: {} });
  t.teardown(() => keeper.end('came'));
  return { ...fake, path, keeper, warnings };
}

const isOpen = (path: string): boolean =>
  readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
    } catch {
      return false;
    }
  });

void t.test('between two pieces the file is not open, and one that is gone is followed no further', async (t) => {
  const { path, put, keeper, warnings } = await stage(t, 2 * MIB);
  await awaitUntil(() => put.length === 2, PATIENCE_MS, 'two pieces');
  await awaitUntil(() => !isOpen(path), PATIENCE_MS, 'the file to be closed');
  await rm(path);
  await keeper.end('broken off');
  t.equal(put.length, 2);
  t.same(warnings, []);
  t.equal(await ifExists(rm(path)), undefined);
});

void t.test('the end of a run does not wait for a store that is silent', { timeout: 180_000 }, async (t) => {
  for (const how of ['broken off', 'of no use', 'came'] as const) {
    let asked = false;
    const begin: PieceStore['begin'] = (_fetch, _generation, _begun, signal) => {
      asked = true;
      return forever(signal);
    };
    const removeGenerations: PieceStore['removeGenerations'] = (_fetch, _gone, _needed, signal) => forever(signal);
    const { keeper } = await stage(t, 2 * MIB, { begin, removeGenerations });
    await awaitUntil(() => asked, PATIENCE_MS, 'the first piece to be on its way');
    const began = performance.now();
    await keeper.end(how);
    const ms = performance.now() - began;
    // Two seconds are its own, and some more those of a busy machine; a piece that is waited for is given up after eighteen.
    t.ok(ms < 12_000, `${how}: ${Math.round(ms)} ms`);
  }
});

const earlier = (bytes: number, tag = '"0"'): Held => {
  const piece = { key: 'old', generation: 'old', offset: 0, bytes, sha256: '' };
  return {
    generation: 'old',
    begun: { validators: { etag: tag }, startedAt: 1, goesOnFrom: [] },
    pieces: [piece],
    bytes,
  };
};

void t.test('what is outdated is removed beside the next put', async (t) => {
  let asked = 0;
  const removeGenerations: PieceStore['removeGenerations'] = (_fetch, _gone, _needed, signal) => {
    asked += 1;
    return forever(signal);
  };
  const { put, keeper } = await stage(t, 3 * MIB, { removeGenerations }, [earlier(MIB)]);
  await awaitUntil(() => put.length === 3, PATIENCE_MS, 'all of it');
  t.equal(asked, 1, 'though that does not end');
  await keeper.end('came');
});

void t.test('what is shorter by now is removed once it is passed, and not before', async (t) => {
  const { path, put, removed, keeper } = await stage(t, MIB, {}, [{ ...earlier(2 * MIB, '"1"'), pieces: [] }]);
  await awaitUntil(() => put.length === 1, PATIENCE_MS, 'the first piece');
  t.same(removed, []);
  await appendFile(path, randomBytes(2 * MIB));
  await awaitUntil(() => put.length === 3, PATIENCE_MS, 'the others');
  await keeper.end('came');
  t.same(removed, [['old']]);
});

void t.test('a piece that says otherwise is of other content: its generation goes', async (t) => {
  const { put, removed, keeper } = await stage(t, MIB, {}, [earlier(MIB / 2, '"1"')]);
  await awaitUntil(() => put.length === 1, PATIENCE_MS, 'the first piece');
  await keeper.end('came');
  t.same(removed, [['old']]);
});

void t.test('the next file finds that out as well', async (t) => {
  const few = 100 * 1024;
  const { path, put, removed, keeper } = await stage(t, few, {}, [earlier(few, '"1"')]);
  const next = `${path}2`;
  await writeFile(next, randomBytes(MIB));
  await keeper.end('came');
  t.same(removed, [], 'nothing was put in its place yet');
  keeper.follow({ path: next, validators, labels: {} });
  await awaitUntil(() => put.length === 1, PATIENCE_MS, 'the first piece');
  await keeper.end('came');
  t.same(removed, [['old']]);
});

void t.test('a longer piece of an earlier run is waited for', async (t) => {
  const { put, keeper } = await stage(t, MIB, {}, [earlier(2 * MIB, '"1"')]);
  await keeper.end('broken off');
  t.same(put, []);
});

void t.test('keys that may not remove: nothing more is put, and it is told', async (t) => {
  const denied = async (): Promise<never> => {
    throw new StoreError('S3_DENIED', 'remove: denied');
  };
  const { path, put, keeper, warnings } = await stage(t, MIB, { removeGenerations: denied }, [earlier(MIB)]);
  await awaitUntil(() => warnings.length === 1, PATIENCE_MS, 'a warning');
  await appendFile(path, randomBytes(MIB));
  keeper.follow({ path, validators, labels: {} });
  await keeper.end('broken off');
  t.equal(put.length, 1);
  t.match(warnings, [/not removed/]);
});
