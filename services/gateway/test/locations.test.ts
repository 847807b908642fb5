/** Locations at the intake: who may name what, what is said of one that is refused, whose archive is handed out. */
import { Readable } from 'node:stream';
import { createObjectStore, type ObjectStore } from '@khumbu/object-store/object-store';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { StoredArchive } from '@khumbu/operations/kinds/log-upload/archive-object';
import { applyLogEvent, type LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import { type S3Server, startS3 } from '@khumbu/test-support/s3';
import t, { type Test } from 'tap';
import { type Json, openRest, type Rest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const UPDATES = '/v1/stations/cs-1/firmware-updates';
const LOGS = '/v1/stations/cs-1/log-uploads';

void t.test('what is wrong with a location is said over REST, in the log and to nobody else', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const cases: readonly (readonly [string, number, string, RegExp])[] = [
    ['http://host/Firmware v1.2.bin', 422, 'LOCATION_MALFORMED', /white space .* at character 21/i],
    ['  http://host/Firmware v1.2.bin ', 422, 'LOCATION_MALFORMED', /white space .* at character 21/i],
    ['http://host/ü b', 422, 'LOCATION_MALFORMED', /at character 14/i],
    ['http://op:50%off@host/secret.bin', 422, 'LOCATION_MALFORMED', /password has a bare % at character 13: .*%25/i],
    ['http://op:%ff@host/secret.bin', 422, 'LOCATION_MALFORMED', /password is not UTF-8/i],
    ['host/secret.bin', 422, 'LOCATION_MALFORMED', /no scheme/i],
    ['http://host:99999/secret.bin', 422, 'LOCATION_MALFORMED', /the host or the port is not valid/i],
    ['http:host/secret.bin', 422, 'LOCATION_MALFORMED', /not written as http:\/\/host/i],
    [' ', 422, 'LOCATION_MALFORMED', /it is empty/i],
    ['s3://Depot/secret.bin', 422, 'LOCATION_MALFORMED', /bucket name .* 3 to 63/i],
    ['s3://depot/a/../%2e%2e%2fsecret', 422, 'LOCATION_MALFORMED', /relative/i],
    ['s3://depot/', 422, 'LOCATION_MALFORMED', /an image has a key/i],
    [`http://host/${'x'.repeat(9000)}`, 422, 'LOCATION_MALFORMED', /longer than 8192 characters/i],
    ['gopher://host/secret', 422, 'LOCATION_SCHEME_UNKNOWN', /no support for gopher:/i],
    ['ftp://host/secret', 409, 'LOCATION_SCHEME_NOT_ALLOWED', /ftp: is not allowed/i],
    ['http://[::1]/secret', 409, 'LOCATION_ADDRESS_FORBIDDEN', /loopback addresses are not allowed/i],
    ['s3://khumbu/firmware/secret', 409, 'LOCATION_KEY_NOT_ALLOWED', /the depot's own/i],
  ];
  for (const [location, status, code, detail] of cases) {
    const before = rest.lines.length;
    const { body } = await rest.call('POST', UPDATES, { body: { location } });
    t.match(body, { status, code, reason: code, detail }, location.slice(0, 40));
    t.notMatch(body.detail, /secret|50%off/);
    const line = rest.lines.slice(before).find(({ audit }) => audit === true);
    t.match(line, { outcome: 'refused', reason: code, detail });
  }
  const logs = [
    ['http://host/a b', 422, 'LOCATION_NOT_USABLE', /white space/],
    ['ftp://host/secret%/', 422, 'LOCATION_NOT_USABLE', /write a % as %25/i],
    ['ftp://host/secret/', 409, 'LOCATION_SCHEME_NOT_ALLOWED', /ftp: is not allowed/i],
    ['s3://khumbu/firmware/', 409, 'LOCATION_KEY_NOT_ALLOWED', /the depot's own/],
  ] as const;
  for (const [location, status, code, detail] of logs)
    t.match((await rest.call('POST', LOGS, { body: { location } })).body, { status, code, detail }, location);
  // The same request again is answered as before, with the same words.
  const headers = { 'idempotency-key': 'k1' };
  const ask = () => rest.call('POST', UPDATES, { body: { location: 'http://host/a b' }, headers });
  t.same((await ask()).body.detail, (await ask()).body.detail);
});

void t.test('what a station is refused is said in its answer of the intake, for the log', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const requester = rest.everest('cs-1');
  const update = await rest.intake.updateFirmware({ request_id: 1, location: 'http://host/a b' }, requester);
  t.match(update, { reply: 'Rejected', reason: 'LOCATION_MALFORMED', detail: /white space .* at character 14/ });
  const again = await rest.intake.updateFirmware({ request_id: 1, location: 'http://host/a b' }, requester);
  t.match(again, { repeated: true, reason: 'LOCATION_MALFORMED', detail: update.detail }, 'kept with the answer');
});

void t.test('a station reaches its own folder of the object store, whatever it writes', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {}, 'cs-2': {} } });
  const { intake } = rest;
  const refused = { reply: { upload_logs_status: 'Rejected' }, reason: 'LOCATION_KEY_NOT_ALLOWED' };
  for (const key of ['logs/cs-2/x.tgz', 'logs/cs-10/', 'firmware/sha256/00', 'x.tgz', 'logs/cs-1/../cs-2/x.tgz']) {
    const location = `s3://khumbu/${key}`;
    t.match(await intake.uploadLogs({ request_id: 1, location }, rest.everest('cs-1')), refused, key);
  }
  for (const key of ['logs/cs-1/x.tar.gz', 'firmware/sha256/00', 'x.bin']) {
    const location = `s3://khumbu/${key}`;
    const answer = await intake.updateFirmware({ request_id: 1, location }, rest.everest('cs-2'));
    t.match(answer, { reply: 'Rejected', reason: 'LOCATION_KEY_NOT_ALLOWED', detail: /images\/|depot's own/ }, key);
  }
  const image = { request_id: 2, location: 's3://khumbu/images/x.bin' };
  t.equal((await intake.updateFirmware(image, rest.everest('cs-1'))).reply, 'Accepted');
  const shared = { request_id: 2, location: 's3://khumbu/logs/', type: 'DiagnosticsLog' };
  const accepted = await intake.uploadLogs(shared, rest.everest('cs-1'));
  t.match(accepted.record, { request: { location: 's3://khumbu/logs/cs-1/' } }, 'where it really goes');
  const http = { request_id: 3, location: 'https://u:p@files.example/a?b#c' };
  const kept = await intake.uploadLogs(http, rest.everest('cs-2'));
  t.match(kept.record, { request: { location: http.location } }, 'as it was written');
});

async function archivesOf(t: Test): Promise<{ s3: S3Server; objects: ObjectStore; rest: Rest }> {
  const s3 = await startS3({ dir: t.testdir() });
  const account = { S3_REGION: s3.region, S3_ACCESS_KEY: s3.accessKey, S3_SECRET_KEY: s3.secretKey };
  const objects = createObjectStore({ S3_ENDPOINT: s3.endpoint, S3_BUCKET: s3.bucket, ...account });
  t.teardown(async () => {
    objects.close();
    await s3.stop();
  });
  const archives = { bucket: s3.bucket, objects, publicObjects: objects, urlSeconds: 60 };
  return { s3, objects, rest: await openRest(t, { redis, stations: { 'cs-1': {} }, archives }) };
}

async function uploaded({ store }: Rest, id: string, set: Partial<LogUploadRecord>): Promise<void> {
  for (const event of ['uploadBegun', 'uploaded'] as const) {
    const record = (await store.load(id)) as LogUploadRecord;
    const context = { now: momentOf(Date.now()), dialect: 'unknown' } as const;
    const next = applyLogEvent(record, event, context, event === 'uploaded' ? { set } : {});
    await store.commit(store.transaction().put(next.record).enqueueStatus(record.station, next.statuses));
  }
}

void t.test('an archive is handed out only as it was uploaded, and only as that of its operation', async (t) => {
  const { s3, objects, rest } = await archivesOf(t);
  const put = (key: string, text: string, operation?: string) =>
    objects.putStream({
      bucket: s3.bucket,
      key,
      body: Readable.from([text], { objectMode: false }),
      contentType: 'application/gzip',
      ...(operation === undefined ? {} : { metadata: { 'khumbu-operation': operation } }),
    });
  const order = async (): Promise<{ id: string; key: string; get: () => Promise<Json> }> => {
    const { operationId, fileName } = (await rest.call('POST', LOGS, { body: {} })).body;
    const get = () => rest.call('GET', `${LOGS}/${operationId}/archive`);
    return { id: operationId, key: `logs/cs-1/${fileName}`, get };
  };
  const noted = (key: string, etag: string): { archive: StoredArchive; sizeBytes: number } => ({
    archive: { bucket: s3.bucket, key, etag },
    sizeBytes: 'archive'.length,
  });
  const gone = { status: 404, body: { code: 'ARCHIVE_UNKNOWN', detail: /Another object/ } };

  const mine = await order();
  const { etag } = await put(mine.key, 'archive', mine.id);
  await uploaded(rest, mine.id, noted(mine.key, etag));
  const found = await mine.get();
  t.equal(found.status, 302);
  t.equal(await (await fetch(String(found.headers.location))).text(), 'archive');
  const others: [string, string | undefined][] = [
    ['archive', undefined],
    ['archive', 'another-operation'],
    ['ARCHIVE', mine.id],
    ['longer archive', mine.id],
  ];
  for (const [text, operation] of others) {
    await put(mine.key, text, operation);
    t.match(await mine.get(), gone, `${text} of ${operation}`);
  }

  const old = await order();
  await put(old.key, 'archive', old.id);
  await uploaded(rest, old.id, { sizeBytes: 'archive'.length });
  t.equal((await old.get()).status, 302, 'a record that notes no hash: its mark and its size');
  await put(old.key, 'longer archive', old.id);
  t.match(await old.get(), gone);
  await put(old.key, 'archive');
  t.match(await old.get(), gone);
});

void t.test('a silent object store keeps nobody from reading anything else', async (t) => {
  const asked = new Set<() => void>();
  const stat = () => new Promise<undefined>((resolve) => asked.add(() => resolve(undefined)));
  const presignGet = async (): Promise<string> => 'http://127.0.0.1/';
  const read = () => Promise.reject(new Error('nothing is read here'));
  const archives = { bucket: 'khumbu', objects: { stat, read }, publicObjects: { presignGet }, urlSeconds: 60 };
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, archives });
  const { operationId, fileName } = (await rest.call('POST', LOGS, { body: {} })).body;
  await uploaded(rest, operationId, { archive: { bucket: 'khumbu', key: `logs/cs-1/${fileName}`, etag: 'x' } });
  const waiting = Array.from({ length: 20 }, () => rest.call('GET', `${LOGS}/${operationId}/archive`));
  await awaitUntil(() => asked.size > 2, 20_000, 'the store is asked');
  t.equal((await rest.call('GET', '/v1/stations')).status, 200);
  t.equal((await rest.call('GET', '/v1/operations')).status, 200);
  const release = setInterval(() => {
    for (const answer of asked) answer();
  }, 10);
  t.teardown(() => clearInterval(release));
  for (const { status } of await Promise.all(waiting)) t.equal(status, 404);
});
