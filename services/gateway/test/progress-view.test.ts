import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { createInstallProgress, createProgress, installSubject } from '@khumbu/operations/events/progress';
import type { FirmwareUpdateEvent } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { applyLogEvent, type LogUploadEvent, type LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { type Json, openRest, type Rest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const LOCATION = 'https://files.example/f';
const context = () => ({ now: momentOf(Date.now()), dialect: 'unknown' as const, bootEpoch: 0 });

async function advance(
  { store }: Rest,
  id: string,
  event: FirmwareUpdateEvent,
  set: Partial<FirmwareUpdateRecord> = {},
): Promise<void> {
  const record = (await store.load(id)) as FirmwareUpdateRecord;
  const next = applyUpdateEvent(record, event, { ...context() }, { set });
  await store.commit(store.transaction().put(next.record));
}

const telling = (t: Test, rest: Rest) => ({
  redis: rest.redis,
  keys: rest.store.keys,
  onError: (error: unknown) => void t.error(error),
});
const begin = async (rest: Rest, station: string, more: object = {}): Promise<string> =>
  (await rest.call('POST', `/v1/stations/${station}/firmware-updates`, { body: { location: LOCATION, ...more } })).body
    .operationId as string;
const shown = async (rest: Rest, id: string): Promise<Json> => (await rest.call('GET', `/v1/operations/${id}`)).body;
const stored = (rest: Rest, subject: string): Promise<unknown> =>
  awaitUntil(async () => (await rest.redis.exists(rest.store.keys.progress(subject))) === 1, 5000, 'the word on it');

void t.test('an update shows the dates it was asked for', async (t) => {
  const rest = await openRest(t, { redis, stations: { a: {} } });
  const dates = { retrieve_timestamp: '2030-01-02T03:04:05Z', install_timestamp: '2030-02-03T04:05:06+01:00' };
  const view = await shown(rest, await begin(rest, 'a', dates));
  t.match(view, { retrieveTimestamp: '2030-01-02T03:04:05.000Z', installTimestamp: '2030-02-03T03:05:06.000Z' });
  const none = await shown(rest, await begin(rest, 'a'));
  t.notOk('retrieveTimestamp' in none || 'installTimestamp' in none);
});

void t.test('the bytes of an earlier download of the same location are not those of this one', async (t) => {
  const rest = await openRest(t, { redis, stations: { a: {}, b: {} } });
  const progress = createProgress(telling(t, rest));
  progress('fetch', () => [], 1)(500, 1000);
  await stored(rest, 'fetch');
  const first = await begin(rest, 'a');
  await advance(rest, first, 'fetchJoined', { fetch: { id: 'fetch', generation: 1 } });
  t.match((await shown(rest, first)).progress, { bytes: 500, totalBytes: 1000 });
  const next = await begin(rest, 'b');
  await advance(rest, next, 'fetchJoined', { fetch: { id: 'fetch', generation: 2 } });
  t.equal((await shown(rest, next)).progress, undefined, 'its own has not brought anything yet');
  progress('fetch', () => [], 2)(7, 1000);
  await awaitUntil(async () => (await shown(rest, next)).progress?.bytes === 7, 5000, 'its own bytes');
  t.same(Object.keys((await shown(rest, next)).progress).sort(), ['at', 'bytes', 'totalBytes']);
});

void t.test('the bytes of a failed try of an upload are not those of the next one', async (t) => {
  const rest = await openRest(t, { redis, stations: { a: {} } });
  const body = { location: 'https://files.example/logs/' };
  const { operationId } = (await rest.call('POST', '/v1/stations/a/log-uploads', { body })).body as Json;
  const step = async (event: LogUploadEvent, set: Partial<LogUploadRecord> = {}): Promise<void> => {
    const record = (await rest.store.load(operationId)) as LogUploadRecord;
    const next = applyLogEvent(record, event, { ...context() }, { set });
    await rest.store.commit(rest.store.transaction().put(next.record));
  };
  await step('uploadBegun');
  createProgress(telling(t, rest))(operationId, () => [], 0)(9);
  await stored(rest, operationId);
  t.match((await shown(rest, operationId)).progress, { bytes: 9 });
  await step('tryFailed', { tries: 1 });
  t.equal((await shown(rest, operationId)).progress, undefined);
});

void t.test('how far an installation is, as the station says', async (t) => {
  const rest = await openRest(t, { redis, stations: { a: {} } });
  const id = await begin(rest, 'a');
  await advance(rest, id, 'fetchJoined', { fetch: { id: 'f', generation: 1 } });
  await advance(rest, id, 'fetched');
  await advance(rest, id, 'installBegun');
  t.equal((await shown(rest, id)).progress, undefined);
  const served = { operationId: id, station: 'a', kind: 'firmware_update' as const };
  const told = (percent: boolean) => async () => ((await shown(rest, id)).progress?.percent !== undefined) === percent;
  createInstallProgress(telling(t, rest))(served).onTransfer(3, 9);
  await awaitUntil(told(false), 5000, 'the transfer');
  await stored(rest, installSubject(id));
  t.match((await shown(rest, id)).progress, { bytes: 3, totalBytes: 9, percent: undefined });
  createInstallProgress(telling(t, rest))(served).onPercent(41.6);
  await awaitUntil(told(true), 5000, 'the percentage');
  t.match((await shown(rest, id)).progress, { percent: 42, bytes: undefined });
  const [, event] = await rest.redis.xrange(rest.store.keys.progressEvents, '-', '+');
  t.match(event?.[1].at(-1), `"operationId":"${id}","kind":"firmware_update","percent":42`);
  await advance(rest, id, 'rebootNeeded');
  t.equal((await shown(rest, id)).progress, undefined, 'only while it is installed');
});

void t.test('bytes and records of an upload, their rate and what is left: over REST and to listeners', async (t) => {
  const rest = await openRest(t, { redis, stations: { a: {} } });
  const body = { location: 'https://files.example/logs/' };
  const { operationId } = (await rest.call('POST', '/v1/stations/a/log-uploads', { body })).body as Json;
  for (const event of ['uploadBegun'] as const) {
    const record = (await rest.store.load(operationId)) as LogUploadRecord;
    await rest.store.commit(rest.store.transaction().put(applyLogEvent(record, event, { ...context() }).record));
  }
  let at = Date.now();
  const served = { operationId, station: 'a', kind: 'log_upload' as const };
  const progress = createProgress({ ...telling(t, rest), now: () => at })(operationId, () => [served], 0);
  progress(0, 10_000, 70);
  await stored(rest, operationId);
  at += 2000;
  const seen = async () => (await shown(rest, operationId)).progress;
  // The word before may be on its way yet: whoever tells never waits.
  await awaitUntil(
    async () => {
      progress(4000, 10_000, 70);
      return (await seen()).bytes === 4000;
    },
    5000,
    'the second word',
  );
  t.match(await seen(), { bytes: 4000, totalBytes: 10_000, records: 70, bytesPerS: 2000, remainingS: 3 });
  const events = await rest.redis.xrange(rest.store.keys.progressEvents, '-', '+');
  t.match(JSON.parse(events.at(-1)?.[1].at(-1) ?? '{}'), {
    type: 'progress',
    operationId,
    bytes: 4000,
    records: 70,
    bytesPerS: 2000,
    remainingS: 3,
  });
});
