import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { CertificateVerdict } from '@khumbu/intake/decide-update';
import type { Answer } from '@khumbu/intake/decision';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { tellFiles } from '@khumbu/operations/files/told-files';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyLogEvent, type LogUploadEvent, type LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { observedHost } from '@khumbu/operations/stations/observed-host';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import { startS3 } from '@khumbu/test-support/s3';
import t from 'tap';
import { judgeDriverChecks } from './rest-driver-checks.js';
import { type Called, type Json, KEYS, openRest, type Rest, succeeded } from './rest-harness.js';
import { judgeArchiveContent, judgeArchiveLists, judgeLostArchives, judgeSlowReaders } from './rest-log-archives.js';
import { judgeMqttFrames } from './rest-mqtt-frames.js';
import { advance, CONTEXT, IMAGE, LOGS, UPDATES } from './rest-updates.js';
import { judgeWebhooks } from './rest-webhooks.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

async function advanceLogs({ store }: Rest, id: string, events: readonly LogUploadEvent[]): Promise<void> {
  for (const event of events) {
    const record = (await store.load(id)) as LogUploadRecord;
    const next = applyLogEvent(record, event, {
      ...CONTEXT,
      now: momentOf(Date.now()),
    });
    await store.commit(store.transaction().put(next.record).enqueueStatus(record.station, next.statuses));
  }
}
/** What EVerest is told, in order. */
const told = async ({ store }: Rest, station = 'cs-1'): Promise<Json[]> =>
  (await store.outboxEntries(station)).map(({ payload }) => payload);

void t.test('stations are listed by name, in pages', async (t) => {
  const rest = await openRest(t, { redis, stations: { b: {}, a: {}, c: {} }, unconfigured: ['unconfigured'] });
  const first = await rest.call('GET', '/v1/stations?limit=3');
  t.strictSame(
    first.body.items.map((s: Json) => s.stationId),
    ['a', 'b', 'c'],
  );
  const second = await rest.call('GET', `/v1/stations?limit=3&cursor=${first.body.nextCursor}`);
  t.strictSame(
    second.body.items.map((s: Json) => [s.stationId, s.configured]),
    [['unconfigured', false]],
  );
  t.notOk(second.body.nextCursor);
  t.equal((await rest.call('GET', '/v1/stations/a')).body.driver, 'simulated');
  const odd = `${'long/'.repeat(50)} ünd #?`;
  const other = await openRest(t, { redis, unconfigured: [odd, '..'] });
  t.equal((await other.call('GET', `/v1/stations/${encodeURIComponent(odd)}`)).body.stationId, odd);
  const unknown = await rest.call('GET', '/v1/stations/nobody');
  t.strictSame([unknown.status, unknown.body.code], [404, 'STATION_UNKNOWN']);
  t.match(unknown.headers['content-type'], 'application/problem+json');
});

void t.test('a look at a station before use is asked for, and told with its age', (t) => judgeDriverChecks(t, redis));

void t.test('an update is accepted, shown without secrets, and followed', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const asked = await rest.call('POST', UPDATES, { body: { location: IMAGE, retries: 2 } });
  t.equal(asked.status, 202);
  const { operationId } = asked.body;
  t.match(asked.body, { kind: 'firmware_update', status: 'Accepted', origin: 'rest', requestId: -1, askedBy: 'admin' });
  t.equal(asked.body.location, 'https://files.example/image.bin');
  t.equal(asked.headers.location, `${UPDATES}/${operationId}`);
  t.match(await rest.store.load(operationId), { request: { location: IMAGE, request_id: -1 }, announced: true });

  await advance(rest, operationId, ['fetchJoined']);
  t.equal((await rest.call('GET', `${UPDATES}/${operationId}`)).body.status, 'Downloading');
  t.match((await told(rest)).at(-1), { firmware_update_status: 'Downloading', request_id: -1 });
  t.equal((await rest.call('GET', '/v1/stations/cs-1')).body.operations[0].operationId, operationId);

  const next = await rest.call('POST', UPDATES, { body: { location: 'https://files.example/next.bin' } });
  t.equal(next.body.supersedes, operationId, 'a later one takes its place');
  t.equal((await rest.call('GET', `${UPDATES}/${operationId}`)).body.status, 'Superseded');
  const list = await rest.call('GET', `${UPDATES}?status=open`);
  t.strictSame(
    list.body.items.map((o: Json) => o.operationId),
    [next.body.operationId],
  );
  const elsewhere = await rest.call('GET', `${LOGS}/${operationId}`);
  t.equal(elsewhere.body.code, 'OPERATION_UNKNOWN');
  t.notMatch(JSON.stringify(rest.lines), 'secret');
});

void t.test('a location that an older version took is shown without secrets, however it is written', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const { operationId } = (await rest.call('POST', UPDATES, { body: { location: IMAGE } })).body;
  for (const location of [
    'https:user:secret@host/fw?sig=secret',
    'https:///user:secret@host/fw',
    "https://h/it's?s=secret",
  ]) {
    const record = (await rest.store.load(operationId)) as FirmwareUpdateRecord;
    await rest.store.commit(rest.store.transaction().put({ ...record, request: { ...record.request, location } }));
    const shown = (await rest.call('GET', `${UPDATES}/${operationId}`, { key: KEYS.read })).body;
    t.match(shown.location, /^https:/);
    t.notMatch(JSON.stringify(shown), 'secret', location);
  }
});

void t.test('a station that is not told stays so', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': { announce: false } } });
  const { operationId } = (await rest.call('POST', UPDATES, { body: { location: IMAGE } })).body;
  const early = await rest.call('POST', `${UPDATES}/${operationId}/allow-installation`);
  t.strictSame([early.status, early.body.code, early.body.operationId], [409, 'NOT_WAITING', operationId]);
  await advance(rest, operationId, ['fetchJoined', 'fetched']);
  const allowed = await rest.call('POST', `${UPDATES}/${operationId}/allow-installation`);
  t.strictSame([allowed.status, allowed.body.permissionBy], [200, 'rest']);
  const headers = { 'content-type': 'application/json' };
  const again = await rest.call('POST', `${UPDATES}/${operationId}/allow-installation`, { headers });
  t.equal(again.status, 200, 'safe to repeat');
  t.equal((await rest.call('POST', `${UPDATES}/nothing/allow-installation`)).body.code, 'OPERATION_UNKNOWN');
  t.strictSame(await told(rest), []);
});

void t.test('what EVerest asked for is not pushed aside, unless told to', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const { intake, everest } = rest;
  const call: Rest['call'] = (...args) => rest.call(...args);
  const begin = async (answer: Answer): Promise<string> => {
    await intake.confirm(answer);
    return answer.operationId ?? '';
  };
  const update = await begin(
    await intake.updateFirmware({ request_id: 7, location: 'https://a.example/x' }, everest('cs-1')),
  );
  const logs = await begin(await intake.uploadLogs({ request_id: 8, location: 'https://a.example/' }, everest('cs-1')));
  const network = await begin(await intake.configureNetwork({ request_id: 9, interface: 'Wired0' }, everest('cs-1')));
  await intake.reset({ type: 'Soft' }, everest('cs-1'));
  await advance(rest, update, ['fetchJoined', 'fetched']);
  await advanceLogs(rest, logs, ['uploadBegun']);

  const orders = [
    ['POST', UPDATES, { location: 'https://b.example/y' }],
    ['POST', LOGS, { location: 'https://b.example/' }],
    ['PUT', '/v1/stations/cs-1/network', { interface: 'Wired0' }],
    ['POST', '/v1/stations/cs-1/reset', { type: 'Hard' }],
  ] as const;
  for (const [method, path, body] of orders) {
    const refused = await call(method, path, { body });
    t.strictSame([refused.status, refused.body.code], [409, 'SLOT_TAKEN_BY_EVEREST'], path);
  }
  const before = (await told(rest)).length;
  for (const [method, path, body] of orders) {
    t.equal((await call(method, path, { body: { ...body, replace: true } })).status, 202, path);
  }
  t.match(
    (await told(rest)).slice(before),
    [
      { firmware_update_status: 'InstallationFailed', request_id: 7 },
      { log_status: 'UploadFailure', request_id: 8 },
      { status: 'Failed', request_id: 9 },
    ],
    'EVerest hears the end of its own, under its own ids',
  );
  for (const id of [update, logs, network]) {
    t.match((await call('GET', `/v1/operations/${id}`)).body, { ended: true, outcome: { reason: 'replaced_by_rest' } });
  }
});

void t.test(
  'a certificate that could not be judged is asked for again under the same key; a reason is a word and its words',
  async (t) => {
    let verdict: CertificateVerdict = {
      ok: false,
      response: 'Rejected',
      reason: 'certificate_not_judged',
      detail: 'all are busy',
    };
    const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, judgeCertificate: async () => verdict });
    const body = { location: IMAGE, signing_certificate: 'x', signature: 'y' };
    const ask = () => rest.call('POST', UPDATES, { body, headers: { 'idempotency-key': 'once' } });
    const undecided = await ask();
    t.match(undecided, { status: 503, body: { code: 'CERTIFICATE_NOT_JUDGED', reason: 'certificate_not_judged' } });
    t.match(undecided.body.detail, /all are busy/);
    verdict = { ok: true };
    t.match(await ask(), { status: 202 }, 'nothing was kept of it');
    verdict = { ok: false, response: 'InvalidCertificate', reason: 'weak_key', detail: 'RSA of 1024 bits' };
    const weak = await rest.call('POST', UPDATES, { body });
    t.match(weak, {
      status: 422,
      body: { code: 'CERTIFICATE_INVALID', reason: 'weak_key', detail: /RSA of 1024 bits/ },
    });
  },
);

void t.test('what is canceled ends, and EVerest hears of it', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const { operationId } = (await rest.call('POST', UPDATES, { body: { location: IMAGE } })).body;
  await advance(rest, operationId, ['fetchJoined', 'fetched']);
  const path = `${UPDATES}/${operationId}`;
  const notifications = rest.redis.duplicate();
  t.teardown(() => notifications.disconnect());
  await notifications.subscribe(rest.store.keys.notifications);
  const heard: string[] = [];
  notifications.on('message', (_channel, message) => heard.push(message));
  const canceled = await rest.call('DELETE', path);
  t.match(canceled.body, { status: 'Canceled', ended: true, outcome: { ok: false, reason: 'canceled' } });
  t.match((await told(rest)).at(-1), { firmware_update_status: 'InstallationFailed', request_id: -1 });
  const count = (await told(rest)).length;
  t.strictSame((await rest.call('DELETE', path)).body, canceled.body, 'again changes nothing');
  t.equal((await told(rest)).length, count);
  await notifications.ping();
  t.ok(heard.includes(`cancel ${operationId}`), 'the worker that has it is told');
  t.equal((await rest.call('DELETE', `${UPDATES}/nothing`)).status, 404);

  const logs = (await rest.call('POST', LOGS, { body: { location: 'https://a.example/' } })).body.operationId;
  await advanceLogs(rest, logs, ['uploadBegun']);
  t.equal((await rest.call('DELETE', `${LOGS}/${logs}`)).body.status, 'Canceled');
  t.equal(
    (await rest.call('POST', UPDATES, { body: { location: IMAGE } })).body.supersedes,
    undefined,
    'the slot is free',
  );
});

void t.test('log archives are fetched from the object store', async (t) => {
  const s3 = await startS3({ dir: t.testdir() });
  t.teardown(() => s3.stop());
  const objects = createObjectStore({
    S3_ENDPOINT: s3.endpoint,
    S3_REGION: s3.region,
    S3_ACCESS_KEY: s3.accessKey,
    S3_SECRET_KEY: s3.secretKey,
    S3_BUCKET: s3.bucket,
  });
  t.teardown(() => objects.close());
  const archives = { bucket: s3.bucket, objects, publicObjects: objects, urlSeconds: 60 };
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, archives });
  const asked = (await rest.call('POST', LOGS, { body: { type: 'SecurityLog' } })).body;
  t.equal(asked.location, `s3://${s3.bucket}/logs/cs-1/`);
  const path = `${LOGS}/${asked.operationId}/archive`;
  t.equal((await rest.call('GET', path)).body.code, 'ARCHIVE_NOT_READY');
  await advanceLogs(rest, asked.operationId, ['uploadBegun', 'uploaded']);
  t.equal((await rest.call('GET', path)).body.code, 'ARCHIVE_UNKNOWN', 'removed from the store');
  await objects.putStream({
    bucket: s3.bucket,
    key: `logs/cs-1/${asked.fileName}`,
    body: Readable.from(['archive']),
    contentType: 'application/gzip',
    metadata: { 'khumbu-operation': asked.operationId },
  });
  const found = await rest.call('GET', path);
  t.equal(found.status, 302);
  const response = await fetch(String(found.headers.location));
  t.equal(await response.text(), 'archive');
  t.match(response.headers.get('content-disposition'), asked.fileName);
  t.notMatch(JSON.stringify(rest.lines), 'X-Amz-Signature', 'the URL is a secret');
  s3.failWith(500);
  t.equal((await rest.call('GET', path)).body.code, 'OBJECT_STORE_UNREACHABLE');
  s3.failWith(undefined);

  const elsewhere = (await rest.call('POST', LOGS, { body: { location: 'https://a.example/' } })).body.operationId;
  await advanceLogs(rest, elsewhere, ['uploadBegun', 'uploaded']);
  t.equal((await rest.call('GET', `${LOGS}/${elsewhere}/archive`)).body.code, 'ARCHIVE_ELSEWHERE');
  t.equal((await rest.call('GET', LOGS)).body.items.length, 2);
  t.equal((await rest.call('GET', `${LOGS}/${elsewhere}`)).body.status, 'Uploaded');
});

void t.test('what a station runs, as it said last', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const shown = async () => (await rest.call('GET', '/v1/stations/cs-1')).body.firmware;
  t.equal(await shown(), undefined, 'it was not asked yet');
  const asked = momentOf(Date.now() - 90_000);
  const installedAt = new Date('2026-01-02T03:04:05Z');
  const evidence = { bootId: 'secret-to-nobody', version: '1.2', slot: 'B', installedAt, runningInstalledBy: 'op-1' };
  const observed = observedHost(undefined, evidence, { bootEpoch: 0, asked });
  await rest.store.commit(rest.store.transaction().setStation('cs-1', { observed: JSON.stringify(observed) }));
  const { ageS, ...firmware } = await shown();
  t.strictSame(firmware, {
    version: '1.2',
    slot: 'B',
    installedAt: '2026-01-02T03:04:05.000Z',
    by: 'op-1',
    observedAt: new Date(asked.wall).toISOString(),
  });
  t.ok(ageS >= 90 && ageS < 300, `${ageS} s old`);
});

void t.test('resets, clocks, boot reasons and networks', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const { store, redis: connection } = rest;
  const call: Rest['call'] = (...args) => rest.call(...args);
  const snapshot = async (): Promise<string[]> => {
    const keys = (await connection.keys(`${rest.prefix}:*`)).filter((key) => !key.includes('-jobs:')).sort();
    return Promise.all(keys.map(async (key) => `${key} ${JSON.stringify(await connection.dump(key))}`));
  };
  const before = await snapshot();
  t.strictSame((await call('GET', '/v1/stations/cs-1/reset-permission?type=Soft')).body, {
    type: 'Soft',
    allowed: true,
  });
  t.strictSame((await call('GET', '/v1/stations/cs-1/boot-reason')).body, {
    bootEpoch: 0,
    bootReason: 'Unknown',
    told: false,
  });
  t.strictSame(await snapshot(), before, 'questions change nothing');

  await rest.intake.getBootReason(rest.everest('cs-1'), { silentMs: undefined, heartbeatPeriodMs: undefined });
  t.match((await call('GET', '/v1/stations/cs-1/boot-reason')).body, { bootReason: 'PowerUp', told: true });

  const reset = await call('POST', '/v1/stations/cs-1/reset', { body: { type: 'Soft' } });
  t.match(
    [reset.status, reset.body.resetType, reset.headers.location],
    [202, 'Soft', `/v1/operations/${reset.body.operationId}`],
  );
  const same = await call('POST', '/v1/stations/cs-1/reset', { body: { type: 'Soft' } });
  t.equal(same.body.operationId, reset.body.operationId, 'one reset is open');

  const update = (await call('POST', UPDATES, { body: { location: IMAGE } })).body.operationId;
  await advance(rest, update, ['fetchJoined', 'fetched', 'installBegun']);
  t.match((await call('GET', '/v1/stations/cs-1/reset-permission')).body, { allowed: false, reason: 'installing' });

  const time = await call('PUT', '/v1/stations/cs-1/system-time', { body: { time: new Date().toISOString() } });
  t.match([time.status, time.body.kind, time.body.status], [202, 'set_system_time', 'Pending']);
  const secrets = { apn: { apn: 'net', apn_password: 'hidden-1', sim_pin: 'hidden-2' } };
  const network = await call('PUT', '/v1/stations/cs-1/network', { body: { interface: 'Wired0', ...secrets } });
  t.match([network.status, network.body.interfaceName], [202, 'eth0']);
  t.equal((await call('GET', `/v1/operations/${network.body.operationId}`)).status, 200);
  t.match(await store.load(network.body.operationId), { request: { request_id: -1, ...secrets } });
  const shown = JSON.stringify([network.body, rest.lines, await connection.xrange(store.keys.events, '-', '+')]);
  t.notMatch(shown, 'hidden');
});

void t.test('operations are found, page by page, none left out', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {}, 'cs-2': {} } });
  const wanted = new Set<string>();
  for (let i = 0; i < 7; i++) {
    for (const station of ['cs-1', 'cs-2']) {
      const path = `/v1/stations/${station}/firmware-updates`;
      wanted.add((await rest.call('POST', path, { body: { location: `https://a.example/${i}` } })).body.operationId);
    }
  }
  const search = async (query: string, limit = 3): Promise<Json[]> => {
    const items: Json[] = [];
    let cursor = '';
    for (let pages = 0; pages < 50; pages++) {
      const page = (await rest.call('GET', `/v1/operations?${query}&limit=${limit}${cursor}`)).body;
      items.push(...page.items);
      if (page.nextCursor === undefined) return items;
      cursor = `&cursor=${page.nextCursor}`;
    }
    throw new Error('the pages do not end');
  };
  const all = await search('');
  t.strictSame(new Set(all.map((o) => o.operationId)), wanted);
  t.equal(all.length, wanted.size, 'none twice');
  t.strictSame(
    all.slice(0, 2).map((o) => o.ended),
    [false, false],
    'open ones first',
  );
  t.equal((await search('station=cs-2')).length, 7);
  t.equal((await search('station=cs-2&status=ended')).length, 6);
  t.equal((await search('status=open')).length, 2);
  t.equal((await search('status=Superseded&origin=rest', 100)).length, 12);
  t.equal((await search('origin=everest')).length, 0);
  t.equal((await search('kind=log_upload')).length, 0);
});

void t.test('the depot says which file is not usable, and that nothing stands still for it', async (t) => {
  const rest = await openRest(t, { redis });
  const telling = tellFiles(rest.redis, rest.store.keys, 'gateway', rest.files, (error) => t.error(error));
  t.teardown(() => telling.stop());
  const depot = (): Promise<Called> => rest.call('GET', '/v1/depot', { key: KEYS.read });
  await awaitUntil(async () => (await depot()).body.files.length === 2, 10_000, 'the files');
  const good = await depot();
  t.match(good.body, {
    ok: true,
    checks: { redis: 'ok' },
    files: [{ setting: 'API_KEYS_FILE' }, { setting: 'STATIONS_FILE' }],
  });
  rest.files.unusable('STATIONS_FILE', new CodedError('STATIONS_FILE_INVALID', 'STATIONS_FILE: line 2, column 1: no'));
  await awaitUntil(async () => (await depot()).body.ok === false, 10_000, 'the broken file');
  t.match((await depot()).body.files[0], {
    setting: 'STATIONS_FILE',
    service: 'gateway',
    usable: false,
    reason: 'STATIONS_FILE: line 2, column 1: no',
    unusableSince: /^\d{4}-.*Z$/,
    loadedAt: /^\d{4}-.*Z$/,
  });
  rest.files.usable('STATIONS_FILE');
  await awaitUntil(async () => (await depot()).body.ok === true, 10_000, 'the mended file');
});

void t.test('an image is brought in, seen, handed out and removed', async (t) => {
  const rest = await openRest(t, { redis });
  const bytes = Buffer.from('an image');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const headers = { 'content-type': 'application/octet-stream' };
  const path = `/v1/firmware-artifacts/${sha256}`;
  t.equal((await rest.call('POST', '/v1/firmware-artifacts', { body: bytes, headers })).status, 201);
  t.equal((await rest.call('PUT', path, { body: bytes, headers })).status, 200);
  t.match((await rest.call('GET', '/v1/firmware-artifacts')).body, { items: [{ sha256, sizeBytes: 8 }] });
  t.match((await rest.call('GET', path)).body, { sha256, broughtIn: true });
  t.equal((await rest.call('GET', `${path}/content`)).body, 'an image');
  t.match((await rest.call('POST', `${path}/content-url`, { body: {} })).body, { sha256, sizeBytes: 8 });
  t.equal((await rest.call('DELETE', path)).status, 204);
});

void t.test('downloads are paused and go on, one of them and all, and the link has a budget', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const { operationId } = (await rest.call('POST', UPDATES, { body: { location: IMAGE } })).body;
  for (const order of ['pause', 'resume', 'download-now'])
    t.match(
      await rest.call('POST', `${UPDATES}/${operationId}/${order}`),
      { status: 200, body: { operationId } },
      order,
    );
  t.match((await rest.call('GET', '/v1/wan')).body, { paused: false });
  t.match((await rest.call('POST', '/v1/wan/pause')).body, { paused: true });
  t.match((await rest.call('POST', '/v1/wan/resume')).body, { paused: false });
  t.equal((await rest.call('PUT', '/v1/wan/budget', { body: { budgetBytes: 1000 } })).status, 200);
});

void t.test('MQTT frames are told without secrets, to who may, and stored nowhere', (t) => judgeMqttFrames(t, redis));

void t.test('webhooks are registered, changed, tried out and deleted, and their dead letters sent again', async (t) => {
  await judgeWebhooks(t, await openRest(t, { redis }));
});

void t.test('kept archives are listed, by station, type and date, page by page', (t) => judgeArchiveLists(t, redis));

void t.test('the bytes come whole or in ranges, and a cut download goes on', (t) => judgeArchiveContent(t, redis));

void t.test('a reader who pauses gets all of it, and one who is gone is let go', (t) => judgeSlowReaders(t, redis));

void t.test('what is not that archive any more is not handed out; a store that is away is told', (t) =>
  judgeLostArchives(t, redis),
);

void t.test('a browser signs in and out', async (t) => {
  const rest = await openRest(t, { redis });
  const begun = await rest.call('POST', '/v1/session');
  const headers = {
    cookie: String(begun.headers['set-cookie']).split(';')[0] ?? '',
    'x-csrf-token': begun.body.csrfToken,
  };
  const call = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object) =>
    rest.call(method, path, { key: null, headers, ...(body ? { body } : {}) });
  t.equal((await call('GET', '/v1/session')).status, 200);
  t.equal((await call('POST', '/v1/session/codes', {})).status, 201);
  t.equal((await call('DELETE', '/v1/session')).status, 204);
  t.equal((await call('GET', '/v1/session')).status, 401);
});

void t.test('an administrator reads what the depot did', async (t) => {
  const rest = await openRest(t, { redis });
  t.same((await rest.call('GET', '/v1/security-log')).body.items, []);
  t.equal((await rest.call('GET', '/v1/security-log/verification')).status, 200);
});

void t.test('many stations are ordered at once, and belong to groups', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const many = { target: { stations: ['cs-1'] }, dryRun: true };
  const forms = {
    '/v1/resets': { type: 'Soft' },
    '/v1/log-uploads': { location: 'https://files.example/in/' },
    '/v1/firmware-updates': { location: 'https://files.example/a' },
  };
  for (const [path, order] of Object.entries(forms))
    t.equal((await rest.call('POST', path, { body: { ...many, order } })).body.accepted, 1, path);
  t.equal((await rest.call('PATCH', '/v1/stations/cs-1', { body: { type: 'dc-180' } })).body.type, 'dc-180');
});

void t.test('every documented route was answered with success', async (t) => {
  const rest = await openRest(t, { redis });
  const paths = rest.app.swagger().paths as unknown as Record<string, object>;
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  t.ok(documented.length > 15);
  // Their answers last; `events.test.ts` and `log-view.test.ts` read them.
  const elsewhere = ['GET /v1/stations/{stationId}/logs', 'GET /v1/events'];
  t.strictSame(
    documented.filter((route) => !succeeded.has(route)),
    elsewhere,
  );
});
