/** What is wrong with a request is told: all of it, with its place and with what would have been taken. */

import { PROBLEMS, type ProblemCode } from '@khumbu/rest-contract/problem-codes';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { Problem, problemBody } from '../src/http/problems.js';
import { type Json, openRest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());
const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
const document = (await rest.call('GET', '/openapi.json', { key: null })).body;

void t.test('a parameter that does not fit is named, with what would have been taken', async (t) => {
  const rows: [path: string, parameter: string, allowed?: string[]][] = [
    ['/v1/operations?status=Foo', 'status', ['open', 'ended', 'Installed', 'Uploaded', 'Restarted']],
    ['/v1/operations?status=installed', 'status', ['Installed']],
    ['/v1/operations?status=', 'status', ['open']],
    ['/v1/stations/cs-1/firmware-updates?status=Foo', 'status', ['open']],
    ['/v1/stations/cs-1/log-uploads?status=Foo', 'status', ['open']],
    ['/v1/operations?kind=updates', 'kind', ['firmware_update', 'log_upload', 'reset']],
    ['/v1/operations?origin=mqtt', 'origin', ['everest', 'rest']],
    ['/v1/events?type=all', 'type', ['operation', 'station', 'progress']],
    ['/v1/events?kind=x&kind=y', 'kind', ['reset']],
    ['/v1/stations/cs-1/reset-permission?type=soft', 'type', ['Soft', 'Hard', 'NotSpecified']],
    ['/v1/operations?limit=0', 'limit'],
    ['/v1/operations?limit=501', 'limit'],
    ['/v1/operations?limit=1.5', 'limit'],
    ['/v1/operations?limit=many', 'limit'],
    ['/v1/stations?limit=-1', 'limit'],
    ['/v1/stations?station=cs-1', 'station'],
    ['/v1/security-log?since=2016-12-31T23:59:60Z', 'since'],
    ['/v1/security-log?cursor=1e308', 'cursor'],
    ['/v1/operations?Status=open', 'Status'],
    ['/v1/stations/cs-1/firmware-updates?kind=reset', 'kind'],
    ['/v1/operations?a%2Fb~c=1', 'a/b~c'],
  ];
  for (const [path, parameter, allowed] of rows) {
    const { status, body } = await rest.call('GET', path);
    t.strictSame([status, body.code], [400, 'PARAMETER_INVALID'], path);
    t.match(body.errors[0], { parameter, in: 'query' }, path);
    for (const word of allowed ?? []) t.ok(body.errors[0].allowed.includes(word), `${path}: ${word}`);
    t.match(body.detail, parameter, path);
  }
  const keyed = await rest.call('POST', '/v1/stations/cs-1/reset', {
    body: { type: 'Soft' },
    headers: { 'idempotency-key': 'k'.repeat(300) },
  });
  t.match(keyed.body, { code: 'PARAMETER_INVALID', errors: [{ parameter: 'idempotency-key', in: 'header' }] });
});

void t.test('all that is wrong is told at once', async (t) => {
  const { body } = await rest.call('GET', '/v1/operations?status=Foo&kind=bar&limit=x&origin=z&colour=red&size=1');
  const named = body.errors.map((error: Json) => error.parameter);
  for (const name of ['status', 'kind', 'limit', 'origin', 'colour', 'size']) t.ok(named.includes(name), name);
  for (const name of named) t.match(body.detail, name);
  t.notMatch(JSON.stringify(body.errors), /"(Foo|bar|red)"/, 'what was given is not repeated');

  const update = await rest.call('POST', '/v1/stations/cs-1/firmware-updates', {
    body: { retries: 'three', retrys: 3, install_timestamp: 'noon' },
  });
  t.strictSame([update.status, update.body.code], [422, 'BODY_INVALID']);
  const pointers = update.body.errors.map((error: Json) => error.pointer);
  for (const pointer of ['#/location', '#/retries', '#/retrys', '#/install_timestamp'])
    t.ok(pointers.includes(pointer), pointer);
  const rules = Object.fromEntries(update.body.errors.map((error: Json) => [error.pointer, error.rule]));
  t.match(rules, { '#/retries': 'type', '#/retrys': 'additionalProperties', '#/install_timestamp': /format/ });
  t.ok(body.errors.every((error: Json) => typeof error.rule === 'string'));
  const reset = await rest.call('POST', '/v1/stations/cs-1/reset', { body: { type: 'soft' } });
  t.match(reset.body.errors[0], { pointer: '#/type', allowed: ['Soft', 'Hard', 'NotSpecified'] });
  for (const wrong of [[], 'text', 1]) {
    const { status, body } = await rest.call('POST', '/v1/stations/cs-1/reset', {
      body: JSON.stringify(wrong),
      headers: { 'content-type': 'application/json' },
    });
    t.strictSame([status, body.errors[0].pointer], [422, '#'], JSON.stringify(wrong));
  }
});

void t.test('however much is wrong, little is said and soon', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`m${n}`, n]));
  const { status, body } = await rest.call('POST', '/v1/stations/cs-1/reset', { body: many });
  t.equal(status, 422);
  t.equal(body.errors.length, 1);
  const query = Array.from({ length: 500 }, (_, n) => `q${n}=1`).join('&');
  const long = await rest.call('GET', `/v1/operations?${query}`);
  t.equal(long.status, 400);
  t.equal(long.body.errors.length, 20);
  const kinds = await rest.call('GET', `/v1/events?${'kind=x&'.repeat(1000)}`);
  t.equal(kinds.body.errors.length, 20);
});

void t.test('a cursor that is none is refused by every list', async (t) => {
  for (const path of ['/v1/stations', '/v1/operations', '/v1/stations/cs-1/firmware-updates']) {
    for (const cursor of ['', '%', '%25%25', 'x y', '0', '/w==', 'bm90IG91cnM']) {
      if (path === '/v1/stations' && cursor === 'bm90IG91cnM') continue;
      const { status, body } = await rest.call('GET', `${path}?cursor=${encodeURIComponent(cursor)}`);
      t.strictSame([status, body.code], [400, 'CURSOR_INVALID'], `${path} ${cursor}`);
    }
  }
});

void t.test('detail says more than the title, or is absent', async (t) => {
  for (const code of Object.keys(PROBLEMS) as ProblemCode[]) {
    for (const problem of [new Problem(code), new Problem(code, PROBLEMS[code].title)])
      t.notOk('detail' in problemBody(problem, '/x'), code);
    t.equal(problemBody(new Problem(code, 'more'), '/x').detail, 'more');
  }
});

void t.test('the document has what any request may meet, and the headers of all answers', async (t) => {
  for (const [path, methods] of Object.entries<Json>(document.paths)) {
    for (const [method, { responses, requestBody, parameters = [] }] of Object.entries<Json>(methods)) {
      const name = `${method} ${path}`;
      for (const status of ['400', '401', '403', '408', '417', '429', '431', '500', '503'])
        t.ok(responses[status], `${name} ${status}`);
      if (method !== 'get') for (const status of ['413', '415']) t.ok(responses[status], `${name} ${status}`);
      // A look at a station takes no body that could be wrong.
      if (responses['202'] && requestBody)
        for (const status of ['413', '415', '422']) t.ok(responses[status], `${name} ${status}`);
      for (const [status, { headers }] of Object.entries<Json>(responses)) {
        t.ok(headers['X-Request-Id'], `${name} ${status}`);
        if (status === '429' || status === '503') t.ok(headers['Retry-After'], `${name} ${status}`);
        if (status === '202') t.ok(headers.Location, name);
        if (status === '401') t.ok(headers['WWW-Authenticate'], name);
        // What goes on without an end has been answered before it is counted: events and logs.
        const isStream = path === '/v1/events' || path === '/v1/stations/{stationId}/logs';
        if (status === '200' && !isStream) t.ok(headers['X-RateLimit-Remaining'], name);
        for (const { $ref } of Object.values<Json>(headers))
          t.ok(document.components.headers[String($ref).split('/').at(-1) ?? ''], $ref);
      }
      if (parameters.some((one: Json) => one.name === 'idempotency-key'))
        t.ok((responses['202'] ?? responses['200']).headers['Idempotency-Replayed'], name);
    }
  }
});

void t.test('what has no use for a body refuses a bad one as documented', async (t) => {
  const started = await rest.call('POST', '/v1/stations/cs-1/log-uploads', {
    body: { location: 'https://a.example/' },
  });
  const { operationId } = started.body;
  const path = `/v1/stations/cs-1/log-uploads/${operationId}`;
  const text = { 'content-type': 'text/plain' };
  const json = { 'content-type': 'application/json' };
  t.equal((await rest.call('DELETE', path, { body: 'x', headers: text })).body.code, 'CONTENT_TYPE_UNSUPPORTED');
  t.equal((await rest.call('DELETE', path, { body: '{', headers: json })).body.code, 'BODY_MALFORMED');
  t.equal(
    (await rest.call('DELETE', path, { body: `"${'x'.repeat(70_000)}"`, headers: json })).body.code,
    'BODY_TOO_LARGE',
  );
  t.equal((await rest.call('DELETE', path)).status, 200);
});
