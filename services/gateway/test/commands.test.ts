import type { Intake } from '@khumbu/intake/intake';
import type { Store } from '@khumbu/operations/kinds/store';
import { topicPrefix } from '@khumbu/shared/contract/topics';
import { createLogger } from '@khumbu/shared/runtime/logger';
import t, { type Test } from 'tap';
import { type CommandsDeps, createCommands } from '../src/mqtt/inbound/commands.js';
import { createUnanswered } from '../src/mqtt/inbound/unanswered.js';
import { createBootSigns } from '../src/mqtt/liveness/boot-signs.js';
import type { Registry } from '../src/mqtt/liveness/registry.js';
import { createBacklogMarker } from '../src/mqtt/session/backlog-marker.js';
import { createKeyedQueue } from '../src/mqtt/session/keyed-queue.js';
import { createRetryUntilClosed } from '../src/mqtt/session/retry-until-closed.js';
import { createRateLimitedLog } from '../src/rate-limited-log.js';

const log = createLogger('test', 'silent');

/** Commands over an intake that is told what to say; everything that goes out is written down in order. */
function place(test: Test, desk: Partial<Intake> = {}) {
  const done: string[] = [];
  const limitedLog = createRateLimitedLog(log);
  const over = new AbortController();
  test.teardown(() => over.abort());
  const backlogMarker = createBacklogMarker('gateway');
  backlogMarker.hear(Buffer.from(backlogMarker.nonce));
  const deps: CommandsDeps = {
    prefix: topicPrefix(''),
    store: {} as Store,
    intake: desk as Intake,
    registry: {} as Registry,
    answer: async () => undefined,
    heartbeatHandler: { bootBegunByQuestion: async () => undefined },
    signs: createBootSigns(over.signal),
    backlogMarker,
    backlogMs: 0,
    publish: async (topic, payload, _qos, speech) =>
      void done.push(`${speech} ${topic.slice(topic.lastIndexOf('/') + 1)} ${payload}`),
    unanswered: createUnanswered({
      queue: createKeyedQueue(),
      retryUntilClosed: createRetryUntilClosed(over.signal, log),
      standing: () => 'leading',
      limitedLog,
    }),
    bad: () => undefined,
    onUnread: () => undefined,
    limitedLog,
    log,
  };
  return { done, commands: createCommands(deps) };
}

void t.test('what is refused unread is acknowledged before its default is sent', async (t) => {
  const { commands, done } = place(t);
  const address = { station: 'cs-1', moduleId: 'cs-1' };
  const message = { topic: 'update_firmware', acknowledge: () => void done.push('acknowledged') };
  const to = 'everest_api/1/system/cs-1/m2e/reply/a';
  await commands.refuse('update_firmware', address, message, to, 'more than one station may send');
  t.same(done, ['acknowledged', 'refuse a "Rejected"']);
});
