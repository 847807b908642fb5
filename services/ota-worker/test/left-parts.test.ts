/** A run that stood still while another worker brought the image: what it had begun is of no use to anybody. */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import {
  type FirmwareFetchRecord,
  fetchDelivered,
  fetchEnded,
  fetchKey,
  joinFetch,
  newFetch,
} from '@khumbu/operations/kinds/firmware-fetch/record';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { fetchImage } from '@khumbu/ota-worker/fetching/fetch-image';
import { listLeftParts } from '@khumbu/ota-worker/fetching/resume-download';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { createFetch } from '@khumbu/steps/firmware-update/fetch';
import { openRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { handlerOrigin } from './handler-origin.js';
import { depsOf, ONE_FETCH, offeredUpdate, profileOf } from './update-stage.js';

const now = () => momentOf(Date.now());
const { redis } = await openRedis(t, t.testdir({}));
const policy = createLocationPolicy({ allowedSchemes: ['http'], allowedHosts: [], allowLoopback: true });
const PIECE = randomBytes(100_000);

/** One run of a fetch that is aborted once a part of the image is held; `meanwhile`: what others do before that. */
async function abortedRun(
  test: Test,
  meanwhile: (store: Store, fetch: FirmwareFetchRecord) => Promise<void>,
): Promise<readonly string[]> {
  const spoolDir = test.testdir({});
  const store = createStore(redis, test.name.replaceAll(/\W/g, ''));
  const { url } = await handlerOrigin(test, (_request, response) => {
    response.writeHead(200, { etag: '"a"', 'content-length': 10 * PIECE.length }).write(PIECE);
  });
  const key = fetchKey(`${url}/image`, []);
  const update = offeredUpdate(now(), { state: 'Downloading' });
  const { fetch, generation } = joinFetch(newFetch(key.id, key.location, now()), update.id, key.location, now());
  const waiter = { ...update, fetch: { id: key.id, generation } };
  if (!(await store.commit(store.transaction().put(fetch).put(waiter)))) throw new Error('not stored');
  const stored = await store.load(key.id, 'firmware_fetch');
  if (!stored) throw new Error('not there');

  const aborter = new AbortController();
  const run = createFetch({
    ...depsOf({ store, profile: profileOf({}), spoolDir }),
    ...ONE_FETCH,
    artifacts: createArtifactRecords(redis, store.keys, Date.now),
    listLeftParts: (name) => listLeftParts(join(spoolDir, 'fetching'), name),
    download: (from, name, known, signal) =>
      fetchImage({
        location: from,
        key: name,
        spoolDir,
        policy,
        ...(known ? { known } : {}),
        maxBytes: 1e9,
        stallMs: 60_000,
        signal,
        onProgress: () => {
          void meanwhile(store, stored).then(() => aborter.abort(new Error('the job is another worker’s')));
        },
      }),
  });
  const context = {
    signal: aborter.signal,
    log: createLogger('test', 'silent'),
    commit: async () => void test.fail('nothing is to be stored'),
    isOurs: async () => false,
  };
  await test.rejects(run(stored, context), { message: 'the job is another worker’s' });
  return readdirSync(join(spoolDir, 'fetching'));
}

const image = { sha256: '0'.repeat(64), sizeBytes: 10 };

async function bringTheImage(store: Store, fetch: FirmwareFetchRecord): Promise<void> {
  const held = { image, fetchedAt: Date.now() };
  const ended = fetchEnded(fetch, { ok: true, image }, held, now());
  if (!(await store.commit(store.transaction().put(ended)))) throw new Error('not stored');
  const delivered = fetchDelivered({ ...ended, version: ended.version + 1 }, now());
  if (!(await store.commit(store.transaction().put(delivered)))) throw new Error('not stored');
}

void t.test('nothing stays of a run that was overtaken', async (t) => {
  t.same(await abortedRun(t, bringTheImage), []);
});

void t.test('the part stays for the worker that goes on', async (t) => {
  const left = await abortedRun(t, async () => undefined);
  t.match(left.map((name) => name.replace(/^.*\./, '')).sort(), ['json', 'part']);
});

void t.test('the part stays after a failure, for the next update that asks', async (t) => {
  const left = await abortedRun(t, async (store, fetch) => {
    const failed = { ok: false as const, permanent: false, reason: 'cut' as const, message: 'cut' };
    const ended = fetchEnded(fetch, failed, undefined, now());
    if (!(await store.commit(store.transaction().put(ended)))) throw new Error('not stored');
  });
  t.equal(left.length, 2);
});
