import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { FROZEN_REDIS_MS, type Json, KEYS, openRest } from './rest-harness.js';
import { advance, IMAGE, LOGS, UPDATES } from './rest-updates.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

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
  /** Ten at once; one that the store of a busy machine did not take in time is sent again. */
  const atOnce = (path: string, request: object) => {
    const one = () =>
      awaitUntil(
        async () => {
          const answer = await rest.call('POST', path, request);
          return answer.body.code !== 'NOT_STORED' && answer;
        },
        60_000,
        'a decision',
      );
    return Promise.all(Array.from({ length: 10 }, one));
  };
  const many = await atOnce('/v1/stations/cs-2/reset', reset);
  t.equal(new Set(many.map(({ body }) => JSON.stringify(body))).size, 1, 'all at once: one answer');
  const parallel = { headers: { 'idempotency-key': 'four' }, body: { location: IMAGE } };
  const path = '/v1/stations/cs-2/firmware-updates';
  const updates = await atOnce(path, parallel);
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
  const rest = await openRest(t, { redis, redisMs: FROZEN_REDIS_MS, stations: { 'cs-1': {} } });
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
  'an operation that another gateway revokes meanwhile is not accepted, and its key may be used again',
  async (t) => {
    const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
    const { intake } = rest;
    const ask = intake.updateFirmware;
    const revoked = new Set<string>();
    Object.assign(intake, {
      updateFirmware: async (...[request, requester]: Parameters<typeof ask>) => {
        const answer = await ask(request, requester);
        if (revoked.size > 0) return answer;
        revoked.add(String(answer.operationId));
        await intake.revoke(requester, 'update_firmware', answer.operationId);
        return answer;
      },
    });
    const request = { body: { location: IMAGE }, headers: { 'idempotency-key': 'revoked' } };
    const first = await rest.call('POST', UPDATES, request);
    t.strictSame([first.status, first.body.code, first.headers['retry-after']], [503, 'NOT_STORED', '1']);
    const again = await rest.call('POST', UPDATES, request);
    t.strictSame([again.status, again.body.status], [202, 'Accepted']);
    t.notOk(revoked.has(again.body.operationId));
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
    const frozen = { redisMs: FROZEN_REDIS_MS, app: { confirmMs: 1000 } };
    const rest = await openRest(t, { redis, ...frozen, stations: { 'cs-1': {} } });
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
