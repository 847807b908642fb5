import { topicPrefix } from '@khumbu/shared/contract/topics';
import { createLogger } from '@khumbu/shared/runtime/logger';
import t from 'tap';
import { createGatewayMetrics } from '../src/metrics.js';
import { createRefusals } from '../src/mqtt/inbound/refusals.js';
import { createRateLimitedLog } from '../src/rate-limited-log.js';

void t.test('what is refused unread is acknowledged before its default is sent', async (t) => {
  const done: string[] = [];
  const refusals = createRefusals({
    prefix: topicPrefix(''),
    answer: async () => undefined,
    publish: async (topic, payload, _qos, speech) => {
      done.push(`${speech} ${topic.slice(topic.lastIndexOf('/') + 1)} ${payload}`);
      return true;
    },
    metrics: createGatewayMetrics(),
    limitedLog: createRateLimitedLog(createLogger('test', 'silent')),
  });
  const address = { station: 'cs-1', moduleId: 'cs-1' };
  const message = { topic: 'update_firmware', acknowledge: () => void done.push('acknowledged') };
  const to = 'everest_api/1/system/cs-1/m2e/reply/a';
  await refusals.refuse('update_firmware', address, message, to, 'more than one station may send');
  t.same(done, ['acknowledged', 'refuse a "Rejected"']);
});
