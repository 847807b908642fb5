import type { Intake } from '@khumbu/intake/intake';
import type { Store } from '@khumbu/operations/kinds/store';
import { topicPrefix } from '@khumbu/shared/contract/topics';
import { createLogger } from '@khumbu/shared/runtime/logger';
import t, { type Test } from 'tap';
import { createBootSigns } from '../src/mqtt/boot-signs.js';
import { createCalmLog } from '../src/mqtt/calm-log.js';
import { type CommandsDeps, createCommands } from '../src/mqtt/commands.js';
import { createFence } from '../src/mqtt/fence.js';
import { createInsist } from '../src/mqtt/insist.js';
import { createLines } from '../src/mqtt/lines.js';
import { createUnanswered } from '../src/mqtt/unanswered.js';
import type { Registry } from '../src/stations/registry.js';

const log = createLogger('test', 'silent');

/** Commands over a intake that is told what to say; everything that goes out is written down in order. */
function place(test: Test, desk: Partial<Intake> = {}) {
  const done: string[] = [];
  const calm = createCalmLog(log);
  const over = new AbortController();
  test.teardown(() => over.abort());
  const fence = createFence('gateway');
  fence.hear(Buffer.from(fence.nonce));
  const deps: CommandsDeps = {
    prefix: topicPrefix(''),
    store: {} as Store,
    intake: desk as Intake,
    registry: {} as Registry,
    answer: async () => undefined,
    hearing: { bootBegunByQuestion: async () => undefined },
    signs: createBootSigns(over.signal),
    fence,
    backlogMs: 0,
    publish: async (topic, payload, _qos, speech) =>
      void done.push(`${speech} ${topic.slice(topic.lastIndexOf('/') + 1)} ${payload}`),
    unanswered: createUnanswered({
      lines: createLines(),
      insist: createInsist(over.signal, log),
      leads: () => true,
      calm,
    }),
    bad: () => undefined,
    onUnread: () => undefined,
    calm,
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
