import t from 'tap';
import { createBacklogMarker, stillWaits } from '../src/mqtt/session/backlog-marker.js';

void t.test('what comes before our own message is backlog, and who still waits for an answer to it', async (t) => {
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
});
