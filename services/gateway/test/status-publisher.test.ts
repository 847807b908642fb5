import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { Store } from '@khumbu/operations/kinds/store';
import { type OutboxEntry, outboxEntry } from '@khumbu/operations/outbox/entry';
import type { FirmwareUpdateStatusEnum } from '@khumbu/shared/contract/schemas';
import { topicPrefix } from '@khumbu/shared/contract/topics';
import { collector } from '@khumbu/test-support/events';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { createGatewayMetrics } from '../src/metrics.js';
import { NEVER_HEARD } from '../src/mqtt/liveness/presence.js';
import type { Registry } from '../src/mqtt/liveness/registry.js';
import { createStatusPublisher } from '../src/mqtt/outbound/status-publisher.js';

const moment = () => momentOf(Date.now());
const status = (name: FirmwareUpdateStatusEnum): OutboxEntry =>
  outboxEntry('firmware_update_status', 'o', { firmware_update_status: name, request_id: 1 }, moment());

/** A publisher whose broker answers when the test says so. */
function pumping(test: Test, outbox: OutboxEntry[]) {
  const published = collector<string>();
  const acks: ((heard: boolean) => void)[] = [];
  const station = { station: 'cs-1', moduleId: 'cs-1', presence: NEVER_HEARD, bootsNoticed: 0, bootsCounted: 0 };
  const publisher = createStatusPublisher({
    store: {
      headOfOutbox: async () => outbox[0],
      stationsWithOutbox: async () => [],
      popOutbox: async (_station: string, id: string) => {
        if (outbox[0]?.id === id) outbox.shift();
        return outbox.length > 0;
      },
    } as unknown as Store,
    registry: { get: () => station } as unknown as Registry,
    prefix: topicPrefix(''),
    publish: (_topic, payload) => {
      published.push((JSON.parse(payload) as { firmware_update_status: string }).firmware_update_status);
      return new Promise((resolve) => acks.push(resolve));
    },
    now: moment,
    metrics: createGatewayMetrics(),
    log: pino({ level: 'silent' }),
  });
  test.teardown(() => publisher.stop());
  return {
    publisher,
    published,
    bootBegins: () => {
      station.bootsNoticed += 1;
    },
    came: (count: number) => published.awaitAll((all) => all.length >= count, 2000, `${count} statuses`),
    answer: (heard: boolean) => acks.shift()?.(heard),
  };
}

void t.test('what is told once more comes before anything newer, or not at all', async (t) => {
  const [first, second, third] = [status('Installing'), status('InstallRebooting'), status('Installed')];
  const { publisher, published, came, answer } = pumping(t, [second, third]);
  publisher.kick('cs-1');
  await came(1);
  publisher.publishOnceMore('cs-1', first);
  answer(true);
  await came(2);
  t.same(published.items, ['InstallRebooting', 'Installed'], 'the newer one was on its way');

  const other = pumping(t, [second]);
  other.publisher.publishOnceMore('cs-1', first);
  await other.came(1);
  other.answer(true);
  await other.came(2);
  t.same(other.published.items, ['Installing', 'InstallRebooting']);
});

void t.test('what the broker had no subscriber for is told again', async (t) => {
  const { publisher, published, came, answer } = pumping(t, [status('Downloading'), status('Downloaded')]);
  publisher.kick('cs-1');
  await came(1);
  answer(false);
  await came(2);
  answer(true);
  await came(3);
  t.same(published.items, ['Downloading', 'Downloading', 'Downloaded']);
});

void t.test('an end that was on its way when a boot began is told to that boot', async (t) => {
  const { publisher, published, came, answer, bootBegins } = pumping(t, [status('Installed'), status('Downloading')]);
  publisher.kick('cs-1');
  await came(1);
  bootBegins();
  answer(true);
  await came(2);
  answer(true);
  await came(3);
  bootBegins();
  answer(true);
  t.same(published.items, ['Installed', 'Installed', 'Downloading']);
});
