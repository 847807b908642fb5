/** Pieces of a download are there until the image is committed, and not longer. */
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import {
  type FirmwareFetchRecord,
  fetchKey,
  joinFetch,
  newFetch,
} from '@khumbu/operations/kinds/firmware-fetch/record';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { listLeftParts } from '@khumbu/ota-worker/fetching/resume-download';
import { objectStoreImages } from '@khumbu/ota-worker/images/image-store';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { createFetch } from '@khumbu/steps/firmware-update/fetch';
import type { ImageStore } from '@khumbu/steps/firmware-update/image-ports';
import { removeUnlessWanted } from '@khumbu/steps/firmware-update/leftovers';
import { awaitUntil } from '@khumbu/test-support/events';
import { startOrigin } from '@khumbu/test-support/origin';
import { openRedis } from '@khumbu/test-support/redis';
import { startS3 } from '@khumbu/test-support/s3';
import t, { type Test } from 'tap';
import { type PiecesWorker, piecesWorker } from './pieces-worker.js';
import { depsOf, ONE_FETCH, offeredUpdate, profileOf } from './update-stage.js';

const MIB = 1024 * 1024;
const OVERLAP = 64 * 1024;
const PATIENCE_MS = 20_000;
const PATH = '/fw.bin';
const IMAGE = randomBytes(3 * MIB);
const never = new AbortController().signal;
const now = () => momentOf(Date.now());
const { redis } = await openRedis(t, t.testdir({}));

async function stage(t: Test, name: string, middleware?: Parameters<typeof startS3>[0]['middleware']) {
  const dir = t.testdir({ s3: {} });
  const s3 = await startS3({ dir: join(dir, 's3'), ...(middleware && { middleware }) });
  const origin = await startOrigin();
  const workers: PiecesWorker[] = [];
  t.teardown(async () => {
    for (const { objects } of workers) objects.close();
    await origin.close();
    await s3.stop();
  });
  const url = origin.serve(PATH, IMAGE, [{ cutAfterBytes: 2 * MIB }, {}]);
  const store = createStore(redis, name);
  const key = fetchKey(url, []);
  const update = offeredUpdate(now(), { state: 'Downloading' });
  const { fetch, generation } = joinFetch(newFetch(key.id, key.location, now()), update.id, key.location, now());
  const waiter = { ...update, fetch: { id: key.id, generation } };
  if (!(await store.commit(store.transaction().put(fetch).put(waiter)))) throw new Error('not stored');
  const worker = (folder: string): PiecesWorker => {
    const made = piecesWorker(join(dir, folder), s3.endpoint);
    workers.push(made);
    return made;
  };
  const a = worker('a');
  await t.rejects(
    a.download(url, key.id, undefined, never, () => undefined),
    { code: 'FETCH_RETRYABLE' },
  );
  const objects = async (): Promise<number> => (await a.pieces.find(key.id, never)).objects.length;
  return { s3, store, worker, objects, id: key.id, sent: () => origin.stats(PATH).bodyBytes };
}

/** Another worker takes the fetch up. */
async function takeUp(
  { download, objects, pieces, spoolDir }: PiecesWorker,
  store: Store,
  id: string,
  around: (images: ImageStore) => ImageStore = (images) => images,
): Promise<FirmwareFetchRecord | undefined> {
  const images = around(objectStoreImages(spoolDir, objects, 'khumbu', async () => 0));
  const run = createFetch({
    ...depsOf({ store, profile: profileOf({}), spoolDir }),
    images,
    ...ONE_FETCH,
    artifacts: createArtifactRecords(redis, store.keys, Date.now),
    listLeftParts: (name) => listLeftParts(join(spoolDir, 'fetching'), name),
    listLeftPieces: (key, signal) => pieces.listLeft(key, signal),
    download,
  });
  const stored = await store.load(id, 'firmware_fetch');
  if (!stored) throw new Error('not there');
  const commit = async (): Promise<never> => {
    throw new Error('nothing else is stored');
  };
  await run(stored, { signal: never, log: createLogger('test', 'silent'), commit, isOurs: async () => true });
  return store.load(id, 'firmware_fetch');
}

void t.test('they go with the commit of the image', async (t) => {
  const { store, worker, objects, id, sent } = await stage(t, 'piecesEnd');
  t.not(await objects(), 0);
  let duringCopy = 0;
  const fetch = await takeUp(worker('b'), store, id, (images) => ({
    ...images,
    async keep(...what) {
      duringCopy = await objects();
      return images.keep(...what);
    },
  }));
  t.match(fetch, { result: { ok: true, image: { sizeBytes: IMAGE.length } } });
  t.equal(sent(), IMAGE.length + OVERLAP);
  t.not(duringCopy, 0, 'a worker that is killed while the image is copied costs nothing');
  await awaitUntil(async () => (await objects()) === 0, PATIENCE_MS, 'the pieces to be removed');
});

void t.test('a store that does not list them keeps no image from its commit', async (t) => {
  const { s3, store, worker, objects, id } = await stage(t, 'piecesUnlisted');
  const fetch = await takeUp(worker('b'), store, id, (images) => ({
    ...images,
    async keep(...what) {
      await images.keep(...what);
      s3.failWith(500, (request) => request.includes('list-type=2'));
    },
  }));
  t.match(fetch, { result: { ok: true } });
  s3.failWith(undefined);
  t.not(await objects(), 0, 'they are swept');
});

interface Request {
  readonly method: string;
  readonly path: string;
  readonly request: { readonly length?: number };
  status: number;
  type: string;
  body: unknown;
}

/** A store that holds so many bytes, and refuses what would be more. */
function withQuota(most: number) {
  const sizes = new Map<string, number>();
  let refused = 0;
  const middleware = async (context: Request, next: () => Promise<void>): Promise<void> => {
    const { method, path, request } = context;
    const others = [...sizes].reduce((sum, [name, bytes]) => sum + (name === path ? 0 : bytes), 0);
    if (method === 'PUT' && others + (request.length ?? 0) > most) {
      refused += 1;
      Object.assign(context, { status: 507, type: 'application/xml' });
      context.body = '<?xml version="1.0"?><Error><Code>QuotaExceeded</Code><Message>full</Message></Error>';
      return;
    }
    await next();
    if (method === 'PUT' && context.status === 200) sizes.set(path, request.length ?? 0);
    if (method === 'DELETE') sizes.delete(path);
  };
  return {
    middleware: middleware as (context: never, next: () => Promise<void>) => Promise<void>,
    refused: () => refused,
  };
}

void t.test('a store with room for the image, and not for its pieces as well, takes the image', async (t) => {
  const quota = withQuota(IMAGE.length + MIB);
  const { store, worker, objects, id, sent } = await stage(t, 'piecesQuota', quota.middleware);
  t.not(await objects(), 0);
  const fetch = await takeUp(worker('b'), store, id);
  t.match(fetch, { result: { ok: true, image: { sizeBytes: IMAGE.length } } });
  t.equal(sent(), IMAGE.length + OVERLAP);
  t.equal(quota.refused(), 1);
  t.equal(await objects(), 0);
});

void t.test('a store without room for the image is told so, once', async (t) => {
  const quota = withQuota(IMAGE.length - MIB / 2);
  const { store, worker, id } = await stage(t, 'piecesFull', quota.middleware);
  const fetch = await takeUp(worker('b'), store, id);
  t.match(fetch, { result: { ok: false } });
});

void t.test('a run that comes whole behind the one that has committed leaves nothing', async (t) => {
  const { store, worker, objects, id } = await stage(t, 'piecesThawed');
  const b = worker('b');
  await takeUp(b, store, id, (images) => ({
    ...images,
    async keep(...what) {
      await images.keep(...what);
      t.match(await takeUp(worker('c'), store, id), { result: { ok: true } });
      await awaitUntil(async () => (await objects()) === 0, PATIENCE_MS, 'the pieces to be removed');
      const generation = randomUUID();
      const begun = { validators: { etag: '"1"' }, startedAt: 1, goesOnFrom: [] };
      await b.pieces.begin(id, generation, begun, never);
      await b.pieces.put(id, { generation, offset: 0 }, randomBytes(9), never);
    },
  }));
  await awaitUntil(async () => (await objects()) === 0, PATIENCE_MS, 'what came late to be removed');
});

void t.test('of a fetch that goes on nothing is listed, nor removed', async (t) => {
  const { store, id } = await stage(t, 'piecesWanted');
  const fetch = await store.load(id, 'firmware_fetch');
  if (!fetch) throw new Error('not there');
  const list = async (): Promise<never> => t.fail('listed') as never;
  const context = { signal: never, log: createLogger('test', 'silent') };
  await removeUnlessWanted({ store, listLeftParts: list, listLeftPieces: list }, fetch, context);
  const gone = { ...fetch, id: 'another' };
  const listed: string[] = [];
  await removeUnlessWanted(
    {
      store,
      listLeftParts: async (key) => async () => void listed.push(key),
      listLeftPieces: async (key) => async () => listed.push(key),
    },
    gone,
    context,
  );
  t.same(listed, ['another', 'another'], 'of one that is over both are');
});
