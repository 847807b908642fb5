/** The scheduled collection of logs, over the real intake and a real Redis. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import {
  type ArchiveContents,
  applyLogEvent,
  type LogUploadEvent,
  type LogUploadRecord,
} from '@khumbu/operations/kinds/log-upload/record';
import { COLLECTOR } from '@khumbu/operations/log-copies/log-copy';
import { createReadGroups } from '@khumbu/operations/stations/read-groups';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { parseStationsFile, profileFrom, type StationProfile } from '@khumbu/shared/stations/stations-file';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { createCollection, isDue, mayStart, startOffset, windowFrom } from '../src/collection/collect-logs.js';
import { type CollectionState, createCollectionState } from '../src/collection/collection-state.js';
import { reachedBy } from '../src/collection/endings.js';
import { type CollectionRules, collectionRules } from '../src/collection/settings.js';
import { GatewaySettings } from '../src/config.js';
import { KEYS, openRest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;
const NIGHT = Date.UTC(2026, 10, 20, 2, 30);
const going = new AbortController().signal;

const STATIONS = {
  'cs-1': { labels: { site: 'north' } },
  'cs-2': { labels: { site: 'north' } },
  'cs-3': { labels: { site: 'south' } },
};

async function stage(t: Test, changes: Partial<CollectionRules> = {}, stations: Record<string, object> = STATIONS) {
  let now = NIGHT - HOUR_MS;
  const rest = await openRest(t, { redis, stations, now: () => momentOf(now) });
  const { store, intake } = rest;
  const entries = Object.entries(stations).map(([name, entry]) => [name, { driver: 'simulated', ...entry }] as const);
  const file = parseStationsFile(JSON.stringify({ stations: Object.fromEntries(entries) }));
  const directory = {
    configured: () => Object.keys(stations),
    profileOf: (station: string): StationProfile | undefined => profileFrom(file, station),
  };
  const rules: CollectionRules = {
    at: '02:30',
    timeZone: 'UTC',
    labels: { site: 'north' },
    types: ['DiagnosticsLog'],
    spreadMs: 0,
    atOnce: 10,
    bucket: 'khumbu',
    ...changes,
  };
  await rest.redis.set(store.keys.lease, 'me');
  const state = createCollectionState(rest.redis, store.keys, 'me');
  const told: object[] = [];
  const note = (line: object): void => void told.push(line);
  const collector = (over: CollectionState = state) =>
    createCollection({
      rules,
      state: over,
      store,
      intake,
      directory,
      readGroups: createReadGroups({ redis: rest.redis, keys: store.keys, directory }),
      now: () => now,
      log: { info: note, warn: note, debug: note },
    });
  const look = collector();
  const uploads = async (station: string): Promise<LogUploadRecord[]> =>
    (await store.operationsOf(station)).filter((record): record is LogUploadRecord => record.kind === 'log_upload');
  const openUpload = async (station: string): Promise<LogUploadRecord> => {
    const found = (await uploads(station)).find(({ endedAt }) => endedAt === undefined);
    if (!found) throw new Error(`no logs of ${station} are under way`);
    return found;
  };
  /** `contents`: by default of a station whose clock is right, and whose logs were all there. */
  const end = async (
    station: string,
    event: LogUploadEvent,
    contents: ArchiveContents | undefined = { stationClock: now + 1000, failedSources: [] },
  ): Promise<void> => {
    for (const each of ['uploadBegun', event] as const) {
      const record = await openUpload(station);
      const set = each === 'uploaded' ? { set: { contents } } : {};
      const next = applyLogEvent(record, each, { now: momentOf(now), dialect: 'unknown' }, set);
      await store.commit(store.transaction().put(next.record).enqueueStatus(station, next.statuses));
    }
  };
  return {
    rest,
    state,
    told,
    collector,
    uploads,
    openUpload,
    end,
    look: () => look(going),
    at: (time: number): void => {
      now = time;
    },
  };
}

void t.test('every night the stations of a label, in windows that follow each other without a gap', async (t) => {
  const { look, at, uploads, openUpload, end, told } = await stage(t);
  await look();
  t.strictSame(await uploads('cs-1'), [], 'the first collection is the next one');
  at(NIGHT);
  await look();
  t.match((await openUpload('cs-1')).request, {
    type: 'DiagnosticsLog',
    location: 's3://khumbu/logs/cs-1/',
    oldest_timestamp: new Date(NIGHT - DAY_MS).toISOString(),
    latest_timestamp: new Date(NIGHT).toISOString(),
  });
  t.match(await openUpload('cs-2'), { askedBy: COLLECTOR, origin: 'rest', announced: false });
  t.strictSame(await uploads('cs-3'), [], 'it has another label');
  await end('cs-1', 'uploaded');
  await end('cs-2', 'failed');
  await look();
  await look();
  t.equal((await uploads('cs-1')).length, 1);
  t.match(told.at(-1), { collected: 1, failed: 1 });
  at(NIGHT + DAY_MS + 5000);
  await look();
  const latest = new Date(NIGHT + DAY_MS).toISOString();
  t.match((await openUpload('cs-1')).request, {
    oldest_timestamp: new Date(NIGHT + 1).toISOString(),
    latest_timestamp: latest,
  });
  t.match(
    (await openUpload('cs-2')).request,
    { oldest_timestamp: new Date(NIGHT).toISOString(), latest_timestamp: latest },
    'a station that never came through begins a day back',
  );
});

void t.test('labels that were set over REST count as those of the file do', async (t) => {
  const { rest, look, at, uploads } = await stage(t);
  await look();
  for (const [station, site] of [
    ['cs-1', 'south'],
    ['cs-3', 'north'],
  ] as const) {
    const set = await rest.call('PATCH', `/v1/stations/${station}`, { body: { labels: { site } }, key: KEYS.admin });
    t.equal(set.status, 200);
  }
  at(NIGHT);
  await look();
  const ordered = await Promise.all(['cs-1', 'cs-2', 'cs-3'].map(async (one) => (await uploads(one)).length));
  t.strictSame(ordered, [0, 1, 1]);
});

void t.test('what failed in one night is in the window of the next', async (t) => {
  const { look, at, openUpload, end } = await stage(t, {}, { 'cs-1': { labels: { site: 'north' } } });
  await look();
  for (const [day, event] of [
    [0, 'uploaded'],
    [1, 'failed'],
  ] as const) {
    at(NIGHT + day * DAY_MS);
    await look();
    await end('cs-1', event);
    await look();
  }
  at(NIGHT + 2 * DAY_MS);
  await look();
  t.match((await openUpload('cs-1')).request, { oldest_timestamp: new Date(NIGHT + 1).toISOString() });
});

void t.test('a station whose clock is behind: the next window begins where its clock was', async (t) => {
  const { look, at, openUpload, end } = await stage(t, {}, { 'cs-1': { labels: { site: 'north' } } });
  await look();
  at(NIGHT + 300_000);
  await look();
  const stationClock = NIGHT - 900_000;
  await end('cs-1', 'uploaded', { stationClock, failedSources: [] });
  await look();
  at(NIGHT + DAY_MS);
  await look();
  t.match((await openUpload('cs-1')).request, {
    oldest_timestamp: new Date(stationClock).toISOString(),
    latest_timestamp: new Date(NIGHT + DAY_MS).toISOString(),
  });
});

void t.test('a night without one of the sources is asked for again, for two nights more', async (t) => {
  const { look, at, openUpload, end, told } = await stage(t, {}, { 'cs-1': { labels: { site: 'north' } } });
  await look();
  at(NIGHT);
  await look();
  await end('cs-1', 'uploaded');
  await look();
  const begins: number[] = [];
  for (const night of [1, 2, 3, 4, 5]) {
    at(NIGHT + night * DAY_MS);
    await look();
    begins.push((Date.parse((await openUpload('cs-1')).request.oldest_timestamp ?? '') - 1 - NIGHT) / DAY_MS);
    const failedSources = night < 5 ? ['meter'] : [];
    await end('cs-1', 'uploaded', { stationClock: NIGHT + night * DAY_MS + 1000, failedSources });
    await look();
    if (night === 1)
      t.match(told.slice(-2), [
        { station: 'cs-1', sources: ['meter'] },
        { collected: 0, failed: 1 },
      ]);
  }
  t.strictSame(begins, [0, 0, 0, 1, 2], 'it keeps failing: no window is longer than three days');
  at(NIGHT + 6 * DAY_MS);
  await look();
  t.match((await openUpload('cs-1')).request, { oldest_timestamp: new Date(NIGHT + 5 * DAY_MS + 1).toISOString() });
});

void t.test('a gateway that is killed behind any step has ordered each archive once', async (t) => {
  const { look, at, collector, state, uploads, openUpload } = await stage(t);
  await look();
  at(NIGHT);
  let isKilled = true;
  const broken: CollectionState = {
    ...state,
    change: (item) => (isKilled ? Promise.reject(new Error('killed')) : state.change(item)),
  };
  await t.rejects(collector(broken)(going), { message: 'killed' });
  isKilled = false;
  const next = collector();
  await next(going);
  await next(going);
  for (const station of ['cs-1', 'cs-2']) t.equal((await uploads(station)).length, 1, station);
  t.equal((await openUpload('cs-1')).state, 'Accepted', 'and it was begun');
});

void t.test('whoever has the slot is waited for, and pushed aside by nobody', async (t) => {
  const { rest, look, at, uploads, openUpload, end } = await stage(t);
  await look();
  const body = { location: 's3://khumbu/mine/' };
  const { operationId } = (await rest.call('POST', '/v1/stations/cs-1/log-uploads', { body })).body;
  at(NIGHT);
  await look();
  await look();
  t.equal((await openUpload('cs-1')).id, operationId);
  await end('cs-1', 'uploaded');
  at(NIGHT + 60_000);
  await look();
  t.equal((await uploads('cs-1')).length, 2);
  t.match((await openUpload('cs-1')).request, { latest_timestamp: new Date(NIGHT).toISOString() });
  // A person may push the collection aside: it comes again.
  await rest.call('POST', '/v1/stations/cs-1/log-uploads', { body });
  await look();
  await end('cs-1', 'uploaded');
  at(NIGHT + 120_000);
  await look();
  t.match(await openUpload('cs-1'), { askedBy: COLLECTOR });
});

void t.test('a few at once, spread over their time; a gateway that does not lead begins nothing', async (t) => {
  const { rest, look, at, uploads, end } = await stage(t, { labels: {}, atOnce: 2 });
  const count = async (): Promise<number> =>
    (await Promise.all(Object.keys(STATIONS).map(uploads))).flat().filter(({ endedAt }) => !endedAt).length;
  await look();
  at(NIGHT);
  await rest.redis.set(rest.store.keys.lease, 'another');
  await look();
  t.equal(await count(), 0);
  await rest.redis.set(rest.store.keys.lease, 'me');
  await look();
  t.equal(await count(), 2);
  await look();
  t.equal(await count(), 2);
  const [busy] = (await Promise.all(Object.keys(STATIONS).map(uploads))).flat();
  await end(busy?.station ?? '', 'uploaded');
  await look();
  t.equal(await count(), 2);
  const offsets = Array.from({ length: 50 }, (_, n) => startOffset(`cs-${n}`, 1_800_000));
  t.ok(Math.max(...offsets) < 1_800_000 && new Set(offsets).size > 40);
  t.equal(startOffset('cs-1', 1_800_000), startOffset('cs-1', 1_800_000));
});

void t.test('a place that is refused is no station without logs', async (t) => {
  const { look, at, told } = await stage(t, { bucket: 'No_Bucket' });
  await look();
  at(NIGHT);
  await look();
  const refused = told.flatMap((line) => ('reason' in line && 'station' in line ? [line.station] : []));
  t.same(new Set(refused), new Set(['cs-1', 'cs-2']));
  t.match(told.at(-1), { collected: 0, failed: 2 });
});

void t.test('until when logs are had', (t) => {
  const night = { due: NIGHT, from: NIGHT - DAY_MS };
  const table: [string, Parameters<typeof reachedBy>[0], ArchiveContents | undefined, number, boolean][] = [
    ['a clock that is right', night, { stationClock: NIGHT + 2000, failedSources: [] }, NIGHT, true],
    ['one that is ahead', night, { stationClock: NIGHT + HOUR_MS, failedSources: [] }, NIGHT, true],
    ['one that is behind', night, { stationClock: NIGHT - HOUR_MS, failedSources: [] }, NIGHT - HOUR_MS - 1, true],
    ['by years', night, { stationClock: 0, failedSources: [] }, -1, true],
    ['one that cannot be read', night, { failedSources: [] }, NIGHT - HOUR_MS - 1, true],
    ['a source has failed', night, { stationClock: NIGHT + 1, failedSources: ['a'] }, night.from - 1, false],
    ['it is not known', night, undefined, night.from - 1, false],
    [
      'a source fails since a week',
      { due: NIGHT, from: NIGHT - 7 * DAY_MS },
      { stationClock: NIGHT + 1, failedSources: ['a'] },
      NIGHT - 2 * DAY_MS,
      false,
    ],
    [
      'and the clock is behind by five days, as it was the night before',
      { due: NIGHT, from: NIGHT - 6 * DAY_MS },
      { stationClock: NIGHT - 5 * DAY_MS, failedSources: ['a'] },
      NIGHT - 6 * DAY_MS - 1,
      false,
    ],
    [
      'since a week, and the clock is behind by five days',
      { due: NIGHT, from: NIGHT - 12 * DAY_MS },
      { stationClock: NIGHT - 5 * DAY_MS, failedSources: ['a'] },
      NIGHT - 7 * DAY_MS - 1,
      false,
    ],
    [
      'and the clock is behind',
      night,
      { stationClock: night.from - HOUR_MS, failedSources: ['a'] },
      night.from - HOUR_MS - 1,
      false,
    ],
  ];
  for (const [what, item, contents, until, isWhole] of table)
    t.strictSame(reachedBy(item, contents), { until, isWhole }, what);
  t.end();
});

void t.test('clocks that were wrong, and settings', (t) => {
  t.ok(mayStart(NIGHT, NIGHT));
  t.notOk(mayStart(NIGHT + HOUR_MS, NIGHT), 'its turn comes later');
  t.ok(mayStart(NIGHT + 400 * DAY_MS, NIGHT), 'a clock was a year ahead');
  t.equal(isDue(NIGHT, NIGHT, NIGHT + 1), false);
  t.equal(isDue(NIGHT, NIGHT - DAY_MS, NIGHT - 1), false, 'set back by a second: last night is not done again');
  t.equal(
    isDue(NIGHT + 400 * DAY_MS, NIGHT, NIGHT + 1),
    true,
    'a clock that was a year ahead keeps nothing from being done',
  );
  t.equal(windowFrom(undefined, NIGHT), NIGHT - DAY_MS);
  t.equal(windowFrom(NIGHT + 400 * DAY_MS, NIGHT), NIGHT - DAY_MS);
  const config = (env: Record<string, string>) => collectionRules(loadConfig(GatewaySettings, env));
  t.equal(config({}), undefined);
  const store = { S3_ENDPOINT: 'http://127.0.0.1:1', LOG_COLLECTION_AT: '02:30' };
  t.match(config({ ...store, LOG_COLLECTION_LABELS: 'site=north,kind=dc', LOG_COLLECTION_TYPES: 'SecurityLog' }), {
    labels: { site: 'north', kind: 'dc' },
    types: ['SecurityLog'],
  });
  t.throws(() => config({ LOG_COLLECTION_AT: '02:30' }), { code: 'CONFIG_INVALID', message: /S3_ENDPOINT/ });
  t.throws(() => config({ ...store, LOG_COLLECTION_AT: '25:00' }), { code: 'CONFIG_INVALID' });
  t.throws(() => config({ ...store, LOG_COLLECTION_LABELS: 'north' }), { code: 'CONFIG_INVALID' });
  t.end();
});
