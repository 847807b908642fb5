import t from 'tap';
import { dialectShownBy } from '../src/mqtt/inbound/request-table.js';
import { NEVER_HEARD } from '../src/mqtt/liveness/presence.js';
import { checkIntervalMs } from '../src/mqtt/outbound/communication-checks.js';
import { createBacklogMarker, stillWaits } from '../src/mqtt/session/backlog-marker.js';
import { createLogLimiter } from '../src/rate-limited-log.js';

void t.test(
  'a request in the backlog is answered where its station still waits, and the backlog ends with our own echo',
  async (t) => {
    t.ok(stillWaits(undefined, 10), 'EVerest’s default of 550 s');
    t.ok(stillWaits({ request_reply_timeout_s: 30 }, 25));
    t.notOk(stillWaits({ request_reply_timeout_s: 29 }, 25));
    t.ok(stillWaits({}, 10));
    const [backlogMarker, other] = [createBacklogMarker('c'), createBacklogMarker('c')];
    t.equal(backlogMarker.topic, other.topic);
    other.hear(Buffer.from(backlogMarker.nonce));
    t.notOk(other.isPassed(), 'the echo of an earlier session');
    backlogMarker.hear(Buffer.from(backlogMarker.nonce));
    t.ok(backlogMarker.isPassed());
  },
);

void t.test('how often a station is told that we are here follows from what it asked for', async (t) => {
  const period = (seconds?: number) =>
    checkIntervalMs({
      presence: {
        ...NEVER_HEARD,
        ...(seconds === undefined ? {} : { communication: { communication_check_period_s: seconds } }),
      },
    });
  t.equal(period(3), 1000);
  t.equal(period(), 5000 / 3);
  t.equal(period(0), undefined);
  t.equal(period(-1), undefined);
});

void t.test('what a request shows of the OCPP version of its station', async (t) => {
  t.equal(dialectShownBy('update_firmware', { request_id: -1 }), 'ocpp1.6');
  t.equal(dialectShownBy('update_firmware', { request_id: 4 }), undefined);
  t.equal(dialectShownBy('upload_logs', {}), 'ocpp1.6');
  t.equal(dialectShownBy('upload_logs', { request_id: 0 }), undefined);
  t.equal(dialectShownBy('is_reset_allowed', 'NotSpecified'), 'ocpp2.x');
  t.equal(dialectShownBy('is_reset_allowed', 'Soft'), 'ocpp1.6');
  t.equal(dialectShownBy('get_boot_reason', undefined), undefined);
});

void t.test('a line that repeats is left out, and counted', async (t) => {
  let now = 0;
  const limiter = createLogLimiter(() => now);
  for (let line = 0; line < 20; line++) t.equal(limiter('a'), 0);
  t.equal(limiter('a'), undefined);
  t.equal(limiter('b'), 0);
  now = 10_000;
  t.equal(limiter('a'), 1);
});
