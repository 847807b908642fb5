/** MQTT frames over REST, with a gateway that leads in this process. Called by `rest.test.ts`, which counts the routes that were answered. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { subscribeNotifications } from '@khumbu/operations/records/notifications';
import { topicPrefix } from '@khumbu/shared/contract/topics';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { awaitUntil } from '@khumbu/test-support/events';
import type { RedisServer } from '@khumbu/test-support/redis';
import type { Test } from 'tap';
import { createAnswerFrames } from '../src/frames/answer-frames.js';
import { createFrameRecorder } from '../src/frames/frame-recorder.js';
import { createEventLoopTurn } from '../src/http/event-loop-turn.js';
import { KEYS, openRest } from './rest-harness.js';

const PATH = '/v1/stations/cs-1/mqtt-frames';

export async function judgeMqttFrames(t: Test, redis: RedisServer): Promise<void> {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, framesMs: 60_000 });
  const notifications = await subscribeNotifications(
    patientRedis(redis.url, () => undefined),
    rest.store.keys,
  );
  t.teardown(() => notifications.close());
  const recorder = createFrameRecorder(topicPrefix(''), () => momentOf(Date.parse('2026-11-29T12:00:00Z')));
  let leads = true;
  const answer = createAnswerFrames({
    recorder,
    redis: rest.redis,
    keys: rest.store.keys,
    standing: () => (leads ? 'leading' : 'standby'),
    eventLoopTurn: createEventLoopTurn(),
    log: createLogger('test', 'silent'),
  });
  let asked = 0;
  notifications.on('frames', (question) => {
    asked += 1;
    answer(question);
  });
  const topic = 'everest_api/1/system/cs-1/e2m/reset';
  recorder.received({ topic, payload: Buffer.from('{"type":"Soft","password":"geheim"}'), qos: 1, dup: false });

  const { status, body } = await rest.call('GET', PATH, { key: KEYS.operate });
  t.equal(status, 200);
  t.match(body, { stationId: 'cs-1', since: '2026-11-29T12:00:00.000Z', frames: [{ topic, qos: 1, cut: false }] });
  t.match(body.frames[0].payload, /^\{"type":"Soft","password":"\[secret:[0-9a-f]{10}\]"\}$/);
  t.equal((await rest.call('GET', PATH, { key: KEYS.read })).body.code, 'SCOPE_MISSING');
  t.equal((await rest.call('GET', '/v1/stations/nobody/mqtt-frames')).body.code, 'STATION_UNKNOWN');
  t.ok(
    await awaitUntil(
      () => rest.lines.some(({ audit, request, caller }) => audit && request === 'mqtt frames' && caller === 'operate'),
      5000,
      'the audit line',
    ),
  );

  asked = 0;
  const several = await Promise.all(Array.from({ length: 20 }, () => rest.call('GET', PATH)));
  t.ok(several.every((each) => each.status === 200));
  t.ok(asked < several.length, 'who asks for one station meanwhile gets the same answer');
  t.same(await rest.redis.keys(`${rest.prefix}:mqtt-frames*`), [], 'nothing is stored');

  leads = false;
  const impatient = await openRest(t, { redis, prefix: rest.prefix, stations: { 'cs-1': {} }, framesMs: 50 });
  t.match(await impatient.call('GET', PATH), {
    status: 503,
    body: { code: 'READS_BUSY', detail: /no gateway that leads/ },
  });
}
