import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { PROBLEMS } from '@khumbu/rest-contract/problem-codes';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { openRest } from './rest-harness.js';
import { advance, IMAGE, LOGS, UPDATES } from './rest-updates.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

void t.test('every refusal has a code of its own', async (t) => {
  const certificate = { ok: false, response: 'InvalidCertificate', reason: 'expired' } as const;
  const rest = await openRest(t, {
    redis,
    stations: { 'cs-1': {}, strict: { require_signature: true }, plain: { interfaces: {} }, duplicate: {} },
    unconfigured: ['unconfigured'],
    certificate,
  });
  await rest.redis.hset(rest.store.keys.station('duplicate'), STATION_FIELDS.conflictSince, '1');
  const { operationId } = (await rest.call('POST', UPDATES, { body: { location: IMAGE } })).body;
  await advance(rest, operationId, ['fetchJoined', 'fetched', 'installBegun']);
  const signed = { signing_certificate: 'x', signature: 'y' };
  const at = (station: string): string => `/v1/stations/${station}/firmware-updates`;
  const good = { location: 'https://files.example/x' };
  const cases: readonly [string, string, unknown, number, string][] = [
    ['POST', UPDATES, good, 409, 'INSTALLING'],
    ['DELETE', `${UPDATES}/${operationId}`, undefined, 409, 'NOT_CANCELABLE'],
    ['POST', at('nobody'), good, 404, 'STATION_UNKNOWN'],
    ['POST', at('unconfigured'), good, 409, 'STATION_NOT_CONFIGURED'],
    ['POST', at('duplicate'), good, 409, 'STATION_IN_CONFLICT'],
    ['POST', '/v1/stations/duplicate/reset', { type: 'Soft' }, 409, 'STATION_IN_CONFLICT'],
    ['PUT', '/v1/stations/unconfigured/system-time', { time: '2026-01-01T00:00:00Z' }, 409, 'STATION_NOT_CONFIGURED'],
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

void t.test('a refusal names the member of the order that it is about, and what might have stood there', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {}, strict: { require_signature: true }, plain: {} } });
  const at = (station: string, what = 'firmware-updates'): string => `/v1/stations/${station}/${what}`;
  const good = { location: 'https://files.example/x' };
  const rows: readonly [string, string, unknown, string, readonly string[], (readonly string[])?][] = [
    [
      'POST',
      at('plain'),
      { location: 'ftp://files.example/x' },
      'LOCATION_SCHEME_NOT_ALLOWED',
      ['#/location'],
      ['https'],
    ],
    ['POST', at('plain'), { location: 'gopher://host/x' }, 'LOCATION_SCHEME_UNKNOWN', ['#/location'], ['https']],
    ['POST', at('plain'), { location: 'http://169.254.169.254/' }, 'LOCATION_ADDRESS_FORBIDDEN', ['#/location']],
    ['POST', at('strict'), { ...good, signature: 'y' }, 'SIGNATURE_INCOMPLETE', ['#/signature']],
    ['POST', at('strict'), good, 'SIGNATURE_REQUIRED', ['#/signing_certificate', '#/signature']],
    ['POST', LOGS, { ...good, type: 'Diary' }, 'LOG_TYPE_UNKNOWN', ['#/type'], ['DiagnosticsLog', 'SecurityLog']],
    ['POST', LOGS, {}, 'NO_OBJECT_STORE', ['#/location']],
    [
      'PUT',
      at('plain', 'network'),
      { interface: 'Wireless0' },
      'INTERFACE_UNKNOWN',
      ['#/interface'],
      ['Any', 'Wired0'],
    ],
    ['PUT', at('plain', 'system-time'), { time: '1999-01-01T00:00:00Z' }, 'TIME_ABSURD', ['#/time']],
  ];
  for (const [method, path, body, code, pointers, allowed] of rows) {
    const answer = await rest.call(method as 'POST', path, { body });
    t.equal(answer.body.code, code);
    t.strictSame(
      answer.body.errors?.map(({ pointer }: { pointer: string }) => pointer),
      pointers,
      code,
    );
    for (const choice of allowed ?? []) {
      t.ok(answer.body.errors[0].allowed.includes(choice), `${code}: ${choice}`);
      t.match(answer.body.detail, choice, code);
    }
  }
  const named = await rest.call('PUT', at('plain', 'network'), { body: { interface: 'Any', interface_name: 'wlan9' } });
  t.match(named.body.errors, [{}, { pointer: '#/interface_name', allowed: ['eth0'] }]);
});
