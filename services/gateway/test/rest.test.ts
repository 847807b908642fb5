import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { CertificateVerdict } from '@khumbu/intake/decide-update';
import type { Answer } from '@khumbu/intake/decision';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { tellFiles } from '@khumbu/operations/files/told-files';
import type { FirmwareUpdateEvent } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { applyLogEvent, type LogUploadEvent, type LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import { startS3 } from '@khumbu/test-support/s3';
import { exportJWK, SignJWT } from 'jose';
import t from 'tap';
import { PROBLEMS } from '../src/http/problems.js';
import { type Called, type Json, KEYS, openRest, type Rest, succeeded } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const IMAGE = 'https://user:secret@files.example/image.bin?token=secret#disable_connectors_during_install=true';
const UPDATES = '/v1/stations/cs-1/firmware-updates';
const LOGS = '/v1/stations/cs-1/log-uploads';
const context = { dialect: 'unknown' as const, bootEpoch: 0 };

/** What the workers would do. */
async function advance({ store }: Rest, id: string, events: readonly FirmwareUpdateEvent[]): Promise<void> {
  for (const event of events) {
    const record = (await store.load(id)) as FirmwareUpdateRecord;
    const next = applyUpdateEvent(record, event, {
      ...context,
      now: momentOf(Date.now()),
    });
    await store.commit(store.transaction().put(next.record).enqueueStatus(record.station, next.statuses));
  }
}
async function advanceLogs({ store }: Rest, id: string, events: readonly LogUploadEvent[]): Promise<void> {
  for (const event of events) {
    const record = (await store.load(id)) as LogUploadRecord;
    const next = applyLogEvent(record, event, {
      ...context,
      now: momentOf(Date.now()),
    });
    await store.commit(store.transaction().put(next.record).enqueueStatus(record.station, next.statuses));
  }
}
/** What EVerest is told, in order. */
const told = async ({ store }: Rest, station = 'cs-1'): Promise<Json[]> =>
  (await store.outboxEntries(station)).map(({ payload }) => payload);

void t.test('stations are listed by name, in pages', async (t) => {
  const rest = await openRest(t, { redis, stations: { b: {}, a: {}, c: {} }, strangers: ['stranger'] });
  const first = await rest.call('GET', '/v1/stations?limit=3');
  t.strictSame(
    first.body.items.map((s: Json) => s.stationId),
    ['a', 'b', 'c'],
  );
  const second = await rest.call('GET', `/v1/stations?limit=3&cursor=${first.body.nextCursor}`);
  t.strictSame(
    second.body.items.map((s: Json) => [s.stationId, s.configured]),
    [['stranger', false]],
  );
  t.notOk(second.body.nextCursor);
  t.equal((await rest.call('GET', '/v1/stations/a')).body.driver, 'simulated');
  const odd = `${'long/'.repeat(50)} ünd #?`;
  const other = await openRest(t, { redis, strangers: [odd, '..'] });
  t.equal((await other.call('GET', `/v1/stations/${encodeURIComponent(odd)}`)).body.stationId, odd);
  const unknown = await rest.call('GET', '/v1/stations/nobody');
  t.strictSame([unknown.status, unknown.body.code], [404, 'STATION_UNKNOWN']);
  t.match(unknown.headers['content-type'], 'application/problem+json');
});

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
      reason: 'certificate_not_judged: all are busy',
    };
    const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, judgeCertificate: async () => verdict });
    const body = { location: IMAGE, signing_certificate: 'x', signature: 'y' };
    const ask = () => rest.call('POST', UPDATES, { body, headers: { 'idempotency-key': 'once' } });
    const undecided = await ask();
    t.match(undecided, { status: 503, body: { code: 'CERTIFICATE_NOT_JUDGED', reason: 'certificate_not_judged' } });
    t.match(undecided.body.detail, /all are busy/);
    verdict = { ok: true };
    t.match(await ask(), { status: 202 }, 'nothing was kept of it');
    verdict = { ok: false, response: 'InvalidCertificate', reason: 'weak_key: RSA of 1024 bits' };
    const weak = await rest.call('POST', UPDATES, { body });
    t.match(weak, {
      status: 422,
      body: { code: 'CERTIFICATE_INVALID', reason: 'weak_key', detail: /RSA of 1024 bits/ },
    });
  },
);

void t.test('every refusal has a code of its own', async (t) => {
  const certificate = { ok: false, response: 'InvalidCertificate', reason: 'certificate_expired' } as const;
  const rest = await openRest(t, {
    redis,
    stations: { 'cs-1': {}, strict: { require_signature: true }, plain: { interfaces: {} }, twin: {} },
    strangers: ['stranger'],
    certificate,
  });
  await rest.redis.hset(rest.store.keys.station('twin'), STATION_FIELDS.conflictSince, '1');
  const { operationId } = (await rest.call('POST', UPDATES, { body: { location: IMAGE } })).body;
  await advance(rest, operationId, ['fetchJoined', 'fetched', 'installBegun']);
  const signed = { signing_certificate: 'x', signature: 'y' };
  const at = (station: string): string => `/v1/stations/${station}/firmware-updates`;
  const good = { location: 'https://files.example/x' };
  const cases: readonly [string, string, unknown, number, string][] = [
    ['POST', UPDATES, good, 409, 'INSTALLING'],
    ['DELETE', `${UPDATES}/${operationId}`, undefined, 409, 'NOT_CANCELABLE'],
    ['POST', at('nobody'), good, 404, 'STATION_UNKNOWN'],
    ['POST', at('stranger'), good, 409, 'STATION_NOT_CONFIGURED'],
    ['POST', at('twin'), good, 409, 'STATION_IN_CONFLICT'],
    ['POST', '/v1/stations/twin/reset', { type: 'Soft' }, 409, 'STATION_IN_CONFLICT'],
    ['PUT', '/v1/stations/stranger/system-time', { time: '2026-01-01T00:00:00Z' }, 409, 'STATION_NOT_CONFIGURED'],
    ['POST', at('strict'), good, 409, 'SIGNATURE_REQUIRED'],
    ['POST', at('strict'), { ...good, signature: 'y' }, 409, 'SIGNATURE_INCOMPLETE'],
    ['POST', at('strict'), { ...good, ...signed }, 422, 'CERTIFICATE_INVALID'],
    ['POST', at('plain'), { location: 'ftp://files.example/x' }, 409, 'LOCATION_SCHEME_NOT_ALLOWED'],
    ['POST', at('plain'), { location: 'gopher://files.example/x' }, 422, 'LOCATION_SCHEME_UNKNOWN'],
    ['POST', at('plain'), { location: 'http://169.254.169.254/x' }, 409, 'LOCATION_ADDRESS_FORBIDDEN'],
    ['POST', at('plain'), { location: 'no url' }, 422, 'LOCATION_MALFORMED'],
    ['POST', at('plain'), { location: 'https:user:secret@host/x' }, 422, 'LOCATION_MALFORMED'],
    ['POST', LOGS, { location: 'https:/user:secret@host/x' }, 422, 'LOCATION_NOT_USABLE'],
    ['POST', LOGS, {}, 422, 'NO_OBJECT_STORE'],
    ['POST', LOGS, { location: 's3://bucket//x' }, 422, 'LOCATION_NOT_USABLE'],
    ['POST', LOGS, { ...good, type: 'Diary' }, 409, 'LOG_TYPE_UNKNOWN'],
    [
      'POST',
      LOGS,
      { ...good, oldest_timestamp: '2026-01-02T00:00:00Z', latest_timestamp: '2026-01-01T00:00:00Z' },
      409,
      'WINDOW_EMPTY',
    ],
    ['PUT', '/v1/stations/cs-1/network', { interface: 'Wireless0' }, 409, 'INTERFACE_UNKNOWN'],
    ['PUT', '/v1/stations/plain/network', { interface: 'Any' }, 409, 'NETWORK_NOT_SUPPORTED'],
    ['PUT', '/v1/stations/cs-1/system-time', { time: '1999-01-01T00:00:00Z' }, 422, 'TIME_ABSURD'],
    ['PUT', '/v1/stations/cs-1/system-time', { time: 'noon' }, 422, 'BODY_INVALID'],
    ['POST', UPDATES, { ...good, retrys: 3 }, 422, 'BODY_INVALID'],
    ['POST', UPDATES, { ...good, retries: '3' }, 422, 'BODY_INVALID'],
    ['POST', UPDATES, { ...good, request_id: 3 }, 422, 'BODY_INVALID'],
    ['POST', '/v1/stations/cs-1/reset', {}, 422, 'BODY_INVALID'],
    ['GET', '/v1/operations?limit=many', undefined, 400, 'PARAMETER_INVALID'],
    ['GET', '/v1/operations?stations=x', undefined, 400, 'PARAMETER_INVALID'],
    ['GET', '/v1/operations?cursor=x', undefined, 400, 'CURSOR_INVALID'],
    ['GET', '/v1/operations/nothing', undefined, 404, 'OPERATION_UNKNOWN'],
    ['GET', '/v1/nothing', undefined, 404, 'NOT_FOUND'],
  ];
  for (const [method, path, body, status, code] of cases) {
    const answer = await rest.call(method as 'POST', path, { body });
    t.strictSame([answer.status, answer.body.code], [status, code], `${method} ${path} ${JSON.stringify(body)}`);
    t.notMatch(JSON.stringify(answer), 'secret');
  }
  t.notMatch(JSON.stringify(rest.lines), 'secret');
  const text = await rest.call('POST', UPDATES, { body: '{', headers: { 'content-type': 'application/json' } });
  t.equal(text.body.code, 'BODY_MALFORMED');
  const empty = await rest.call('POST', UPDATES, { body: '', headers: { 'content-type': 'application/json' } });
  t.equal(empty.body.code, 'BODY_MALFORMED');
  const plain = await rest.call('POST', UPDATES, { body: 'x', headers: { 'content-type': 'text/plain' } });
  t.equal(plain.body.code, 'CONTENT_TYPE_UNSUPPORTED');
  const long = await rest.call('POST', UPDATES, { body: { location: 'x'.repeat(70_000) } });
  t.strictSame([long.status, long.body.code], [413, 'BODY_TOO_LARGE']);
  for (const { body } of [text, plain, long]) t.equal(body.status, PROBLEMS[body.code as 'INTERNAL'].status);
});

void t.test('an address that cannot be read is a problem like any other, and is not repeated', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  for (const path of ['/v1/stations/secret%zz', '/%ff/secret', `/v1/stations/${'secret'.repeat(300)}`]) {
    const answer = await rest.call('GET', path, { headers: { 'x-request-id': 'mine-1' } });
    t.strictSame([answer.status, answer.body.code, answer.body.status], [400, 'PARAMETER_INVALID', 400], path);
    t.match(answer.headers['content-type'], 'application/problem+json');
    t.equal(answer.headers['x-request-id'], 'mine-1');
    t.notMatch(JSON.stringify(answer.body), 'secret');
  }
});

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
  t.ok(heard.includes(`cancel ${operationId}`), 'whoever works on it is told');
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

void t.test('only who may, may', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const paths = rest.app.swagger().paths as unknown as Record<string, Record<string, { description: string }>>;
  const rank = ['read', 'operate', 'admin'];
  for (const [template, methods] of Object.entries(paths)) {
    for (const [method, { description }] of Object.entries(methods)) {
      const path = template.replace('{stationId}', 'cs-1').replace('{operationId}', 'x');
      const ask = (key: string | null) => rest.call(method.toUpperCase() as 'GET', path, { key });
      const nobody = await ask(null);
      t.strictSame([nobody.status, nobody.body.code], [401, 'NOT_AUTHENTICATED'], `${method} ${template}`);
      t.equal(nobody.headers['www-authenticate'], 'Bearer');
      t.equal((await ask('wrong')).status, 401);
      const needed = rank.indexOf(/scope `(\w+)`/.exec(description)?.[1] ?? '');
      t.ok(needed >= 0, 'the document says which scope');
      for (const [index, scope] of rank.entries()) {
        if (index >= needed) continue;
        const short = await ask(KEYS[scope as 'read']);
        t.strictSame([short.status, short.body.code], [403, 'SCOPE_MISSING'], `${method} ${template} with ${scope}`);
      }
    }
  }
  t.equal((await rest.call('POST', UPDATES, { key: KEYS.operate, body: { location: IMAGE } })).status, 202);
  for (const open of ['/livez', '/readyz', '/metrics', '/openapi.json', '/asyncapi.json', '/docs/']) {
    t.equal((await rest.call('GET', open, { key: null })).status, 200, open);
  }
  t.match((await rest.call('GET', '/metrics', { key: null })).body, /khumbu_http_requests_total\{[^}]*status="401"/);
});

void t.test('tokens of the issuer are taken, others are not', async (t) => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  let up = true;
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' };
  const issuer = createServer((_request, response) => {
    response.writeHead(up ? 200 : 500, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((resolve) => void issuer.listen(0, '127.0.0.1', resolve));
  t.teardown(() => issuer.close());
  const tokens = {
    JWT_JWKS_URL: `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`,
    JWT_ISSUER: 'https://issuer.example',
    JWT_AUDIENCE: 'khumbu',
  };
  const token = (
    claims: object,
    options: { key?: typeof pair.privateKey; aud?: string; exp?: string; kid?: string } = {},
  ) =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: options.kid ?? 'k1' })
      .setIssuer(tokens.JWT_ISSUER)
      .setAudience(options.aud ?? 'khumbu')
      .setSubject('tool-1')
      .setExpirationTime(options.exp ?? '5m')
      .sign(options.key ?? pair.privateKey);
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, tokens, issuerTimes: { intervalMs: 20 } });
  const status = async (key: string, path = '/v1/stations'): Promise<number> =>
    (await rest.call('GET', path, { key })).status;

  up = false;
  const down = await rest.call('GET', '/v1/stations', { key: await token({ scope: 'read' }) });
  t.strictSame([down.status, down.body.code], [503, 'AUTHORITY_UNREACHABLE']);
  up = true;
  const good = await token({ scope: 'openid read' });
  await awaitUntil(async () => (await status(good)) === 200, 10_000, 'the keys of the issuer');
  t.equal(await status(await token({ scp: ['khumbu:admin'] })), 200);
  t.equal(await status(await token({ scope: 'openid' })), 403);
  t.equal(await status(await token({ scope: 'read' }, { aud: 'other' })), 401);
  t.equal(await status(await token({ scope: 'read' }, { exp: '-1m' })), 401);
  t.equal(await status(await token({ scope: 'read' }, { key: foreign.privateKey })), 401);
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"x","scope":"admin"}').toString('base64url')}.x`;
  t.equal(await status(none), 401);
  const asked = await rest.call('POST', UPDATES, { key: await token({ scope: 'operate' }), body: { location: IMAGE } });
  t.equal(asked.body.askedBy, 'jwt:tool-1');
});

void t.test('the same key gets the same answer and does nothing new', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {}, 'cs-2': {} } });
  const headers = { 'idempotency-key': 'one' };
  const ask = (more: object = {}, path = UPDATES) =>
    rest.call('POST', path, { body: { location: IMAGE, ...more }, headers });
  const first = await ask();
  await advance(rest, first.body.operationId, ['fetchJoined']);
  const again = await ask();
  t.strictSame([again.status, again.body, again.headers.location], [202, first.body, first.headers.location]);
  t.equal(again.headers['idempotency-replayed'], 'true');
  t.equal((await ask({ retries: 5 })).body.code, 'IDEMPOTENCY_KEY_REUSED', 'another body');
  t.equal((await ask({}, '/v1/stations/cs-2/firmware-updates')).status, 422, 'another path');
  const other = await rest.call('POST', UPDATES, { body: { location: IMAGE }, headers, key: KEYS.other });
  t.not(other.body.operationId, first.body.operationId, 'keys are each caller’s own');

  const refused = { headers: { 'idempotency-key': 'two' }, body: { location: 'ftp://x.example/' } };
  const no = await rest.call('POST', UPDATES, refused);
  t.strictSame((await rest.call('POST', UPDATES, refused)).body, no.body);
  t.equal((await rest.call('POST', UPDATES, { ...refused, headers: { 'idempotency-key': '' } })).status, 400);

  const reset = { headers: { 'idempotency-key': 'three' }, body: { type: 'Hard' } };
  const many = await Promise.all(Array.from({ length: 10 }, () => rest.call('POST', '/v1/stations/cs-2/reset', reset)));
  t.equal(new Set(many.map(({ body }) => JSON.stringify(body))).size, 1, 'all at once: one answer');
  const parallel = { headers: { 'idempotency-key': 'four' }, body: { location: IMAGE } };
  const path = '/v1/stations/cs-2/firmware-updates';
  const updates = await Promise.all(Array.from({ length: 10 }, () => rest.call('POST', path, parallel)));
  t.equal(new Set(updates.map(({ body }) => body.operationId)).size, 1);
  const listed = (await rest.call('GET', path)).body.items;
  t.strictSame(
    listed.map(({ operationId, status }: Json) => [operationId, status]),
    [[updates[0]?.body.operationId, 'Accepted']],
    'one operation',
  );
});

void t.test('what nobody is there to do is not accepted, and is said so', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, abandoned: true });
  for (const [method, path, body] of [
    ['POST', UPDATES, { location: IMAGE }],
    ['POST', '/v1/stations/cs-1/log-uploads', { type: 'DiagnosticsLog', location: 'http://example.com/logs' }],
    ['POST', '/v1/stations/cs-1/reset', { type: 'Soft' }],
  ] as const) {
    const answer = await rest.call(method, path, { body });
    t.strictSame([answer.status, answer.body.code, answer.body.reason], [503, 'WORKERS_GONE', 'workers_gone'], path);
    t.equal(answer.headers['retry-after'], '1');
  }
  const permission = await rest.call('GET', '/v1/stations/cs-1/reset-permission?type=Soft');
  t.match(permission.body, { allowed: false, reason: 'workers_gone' });
  t.same((await rest.call('GET', '/v1/operations')).body.items, []);
});

void t.test('what cannot be stored is not accepted, and may be asked again', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const request = { body: { location: IMAGE }, headers: { 'idempotency-key': 'again' } };
  redis.freeze();
  const failed = await rest.call('POST', UPDATES, request);
  t.strictSame([failed.status, failed.body.code, failed.headers['retry-after']], [503, 'NOT_STORED', '1']);
  const read = await rest.call('GET', '/v1/stations/cs-1');
  t.strictSame([read.status, read.body.code], [503, 'NOT_STORED']);
  redis.thaw();
  const again = await awaitUntil(
    async () => {
      const answer = await rest.call('POST', UPDATES, request);
      return answer.status === 202 && answer;
    },
    5000,
    'the request to be accepted',
  );
  const { items } = (await rest.call('GET', UPDATES)).body;
  t.strictSame(
    items.map((o: Json) => o.operationId),
    [again.body.operationId],
    'accepted once',
  );
});

void t.test(
  'an operation that another gateway takes back meanwhile is not accepted, and its key may be used again',
  async (t) => {
    const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
    const { intake } = rest;
    const ask = intake.updateFirmware;
    const takenBack = new Set<string>();
    Object.assign(intake, {
      updateFirmware: async (...[request, requester]: Parameters<typeof ask>) => {
        const answer = await ask(request, requester);
        if (takenBack.size > 0) return answer;
        takenBack.add(String(answer.operationId));
        await intake.revoke(requester, 'update_firmware', answer.operationId);
        return answer;
      },
    });
    const request = { body: { location: IMAGE }, headers: { 'idempotency-key': 'taken back' } };
    const first = await rest.call('POST', UPDATES, request);
    t.strictSame([first.status, first.body.code, first.headers['retry-after']], [503, 'NOT_STORED', '1']);
    const again = await rest.call('POST', UPDATES, request);
    t.strictSame([again.status, again.body.status], [202, 'Accepted']);
    t.notOk(takenBack.has(again.body.operationId));
  },
);

void t.test('what is stored is accepted, also when Redis goes away before it can be shown', async (t) => {
  const orders = [
    ['updateFirmware', 'POST', UPDATES, { location: IMAGE }],
    ['uploadLogs', 'POST', LOGS, { location: 'https://a.example/' }],
    ['configureNetwork', 'PUT', '/v1/stations/cs-1/network', { interface: 'Wired0' }],
    ['reset', 'POST', '/v1/stations/cs-1/reset', { type: 'Soft' }],
    ['setSystemTime', 'PUT', '/v1/stations/cs-1/system-time', { time: new Date().toISOString() }],
  ] as const;
  for (const [name, method, path, body] of orders) {
    const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
    const { intake } = rest;
    const ask = intake[name] as (...args: unknown[]) => Promise<unknown>;
    Object.assign(intake, {
      [name]: async (...args: unknown[]) => {
        const answer = await ask(...args);
        redis.freeze();
        return answer;
      },
    });
    const request = { body, headers: { 'idempotency-key': name } };
    const { status, headers, body: shown } = await rest.call(method, path, request);
    t.equal(status, 202, name);
    t.match(shown, { stationId: 'cs-1', origin: 'rest', askedBy: 'admin', ended: false }, name);
    t.ok(String(headers.location).endsWith(`/${shown.operationId}`));
    t.notMatch(JSON.stringify(shown), 'secret');
    redis.thaw();
    Object.assign(intake, { [name]: ask });
    await awaitUntil(
      async () => {
        const now = await rest.call('GET', String(headers.location));
        return now.status === 200 && now.body.status !== 'Offered';
      },
      5000,
      `${name} to begin`,
    );
    const again = await rest.call(method, path, request);
    t.strictSame([again.status, again.body.operationId], [202, shown.operationId], `${name}: asked again, the same`);
  }
});

void t.test('callers are limited, named and written down', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, app: { rateLimitPerMinute: 3 } });
  const asked = await rest.call('POST', UPDATES, { body: { location: IMAGE }, headers: { 'x-request-id': 'mine-1' } });
  t.equal(asked.headers['x-request-id'], 'mine-1');
  await rest.call('POST', UPDATES, { body: { location: 'ftp://x.example/' } });
  const odd = await rest.call('GET', '/v1/stations', { headers: { 'x-request-id': 'a b\tc' } });
  t.match(odd.headers['x-request-id'], /^[0-9a-f-]{36}$/);
  const limited = await rest.call('GET', '/v1/stations');
  t.strictSame([limited.status, limited.body.code], [429, 'TOO_MANY_REQUESTS']);
  t.ok(Number(limited.headers['retry-after']) > 0);
  t.equal((await rest.call('GET', '/v1/stations', { key: KEYS.other })).status, 200, 'each for himself');
  const tries: Called[] = [];
  for (let n = 0; n < 130; n++) tries.push(await rest.call('GET', '/v1/stations', { key: 'guess' }));
  t.strictSame([tries[0]?.status, tries.at(-1)?.status], [401, 429], 'who tries keys is slowed down');
  t.ok(tries.filter(({ status }) => status === 429).every(({ headers }) => Number(headers['retry-after']) > 0));
  const audit = rest.lines.filter((line) => line.audit === true);
  t.match(audit, [
    { caller: 'admin', station: 'cs-1', request: 'update_firmware', outcome: 'accepted', requestId: 'mine-1' },
    { caller: 'admin', station: 'cs-1', outcome: 'refused', reason: 'LOCATION_SCHEME_NOT_ALLOWED' },
  ]);
  t.equal(audit[0]?.operationId, asked.body.operationId);
});

void t.test('the depot says which file is not usable, and that nothing stands still for it', async (t) => {
  const rest = await openRest(t, { redis });
  const telling = tellFiles({
    redis: rest.redis,
    keys: rest.store.keys,
    service: 'gateway',
    files: rest.files,
    onError: (error) => t.error(error),
  });
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

void t.test('every documented route was answered with success', async (t) => {
  const rest = await openRest(t, { redis });
  const paths = rest.app.swagger().paths as unknown as Record<string, object>;
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  t.ok(documented.length > 15);
  // Its answer does not end; `events.test.ts` reads it.
  const elsewhere = ['GET /v1/events'];
  t.strictSame(
    documented.filter((route) => !succeeded.has(route)),
    elsewhere,
  );
});
