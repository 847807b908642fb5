/** The look at a station before use, over REST. Called by `rest.test.ts`, which counts the routes that were answered. */
import { startLookWorker } from '@khumbu/operations/driver-checks/driver-checks';
import { awaitUntil } from '@khumbu/test-support/events';
import type { RedisServer } from '@khumbu/test-support/redis';
import type { Test } from 'tap';
import { KEYS, openRest } from './rest-harness.js';

export async function judgeDriverChecks(t: Test, redis: RedisServer): Promise<void> {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, unconfigured: ['unconfigured'] });
  const path = '/v1/stations/cs-1/driver-check';
  t.strictSame((await rest.call('GET', path)).body, { stationId: 'cs-1', state: 'never' });
  const asked = await rest.call('POST', path, { key: KEYS.operate });
  t.match(asked, { status: 202, headers: { location: path }, body: { state: 'running' } });
  t.match((await rest.call('POST', path)).body, { state: 'running', askedAt: asked.body.askedAt });
  const verbs = { observe: 'can', install: 'cannot', reboot: 'can', restart: 'can', read_clock: 'can' };
  const more = { set_clock: 'not_needed', logs: 'not_supported', network: 'unknown' };
  const finding = { subject: 'space', outcome: 'missing', text: 'full', remedy: 'make room', verbs: ['install'] };
  const worker = startLookWorker({
    redis: rest.redis,
    keys: rest.store.keys,
    concurrency: 1,
    look: async () => ({ verbs: { ...verbs, ...more }, findings: [finding], latencyMs: 2, clockOffsetMs: -3 }),
    failed: (error) => {
      throw error;
    },
    onError: () => undefined,
  });
  t.teardown(() => worker.stop());
  const done = await awaitUntil(
    async () => [await rest.call('GET', path, { key: KEYS.read })].find(({ body }) => body.state === 'done'),
    30_000,
    'the look',
  );
  t.match(done.body, { result: { findings: [finding], verbs: { install: 'cannot' } } });
  t.ok(done.body.ageS >= 0 && done.body.checkedAt >= done.body.askedAt);

  t.match(await rest.call('POST', path, { key: KEYS.read }), { status: 403 });
  t.match(await rest.call('POST', '/v1/stations/nobody/driver-check'), { status: 404 });
  t.match(await rest.call('GET', '/v1/stations/nobody/driver-check'), { status: 404 });
  const unconfigured = await rest.call('POST', '/v1/stations/unconfigured/driver-check');
  t.match(unconfigured, { status: 409, body: { code: 'STATION_NOT_CONFIGURED' } });
  const abandoned = await openRest(t, { redis, stations: { 'cs-1': {} }, abandoned: true });
  t.match(await abandoned.call('POST', path), { status: 503, body: { code: 'WORKERS_GONE' } });
}
