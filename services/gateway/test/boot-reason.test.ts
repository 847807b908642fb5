/** What EVerest is told of its start when it was killed and is back before anybody can have missed it. */

import { randomUUID } from 'node:crypto';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { readStationState } from '@khumbu/operations/stations/station-state';
import { requestFrame } from '@khumbu/shared/contract/everest-frames';
import type { BootReason } from '@khumbu/shared/contract/schemas';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import type { EverestClient } from '@khumbu/test-support/everest-client';
import { connectAsync } from 'mqtt';
import t, { type Test } from 'tap';
import { MAX_WAITING_OF_ONE } from '../src/mqtt/liveness/boot-signs.js';
import { type Depot, depot, leads, startGateway } from './gateway-process.js';
import { setMqttStage } from './mqtt-stage.js';
import { askInNewBoot } from './new-boot.js';

const { broker, observer, servers, station, storeOf } = await setMqttStage(t);

/** Much longer than anything takes that is not waited for. */
const PATIENCE_MS = 60_000;

const passed = (ms: number): Promise<unknown> => {
  const from = performance.now();
  return awaitUntil(() => performance.now() - from >= ms, ms + PATIENCE_MS, 'some time to pass');
};

interface Case {
  readonly pauseMs: number;
  readonly periodMs: number;
  /** Why the boot before had begun. */
  readonly reason: BootReason;
  /** It had asked for that. */
  readonly asked: boolean;
  /** What comes of the new boot after its question. */
  readonly comes: 'heartbeat' | 'beacon' | 'nothing';
}

async function restartExpected(place: Depot, name: string, reason: BootReason): Promise<void> {
  const store = storeOf(place);
  const expected = JSON.stringify({ reason, operationId: 'o-1', at: momentOf(Date.now()).monotonic });
  await store.commit(store.transaction().setStation(name, { restartExpected: expected }));
}

/** One EVerest that lives, is killed, is back, and asks; resolves with what it was answered and how its boots counted. */
async function killed(test: Test, place: Depot, name: string, one: Case) {
  const { pauseMs, periodMs, reason, asked, comes } = one;
  const below = { ...place, topicPrefix: place.topicPrefix.replace('{station}', name) };
  const discovery = { heartbeat_period_ms: periodMs, communication_check_period_s: 1, request_reply_timeout_s: 60 };
  const life = (): Promise<EverestClient> => station(test, below, { moduleId: name, discovery });
  const state = async () => readStationState(await storeOf(place).station(name));
  const ask = (everest: EverestClient) =>
    askUntilDecided('get_boot_reason', () => everest.request('get_boot_reason', undefined, { timeoutMs: PATIENCE_MS }));

  const before = await life();
  if (reason !== 'PowerUp') await restartExpected(place, name, reason);
  if (reason !== 'PowerUp' && !asked) {
    // A boot that shows in its heartbeats alone.
    await before.publishRaw('heartbeat', '7');
    await awaitUntil(async () => (await state()).heartbeat !== undefined, PATIENCE_MS, 'the first heartbeat');
  }
  const store = storeOf(place);
  const firstEpoch = reason === 'PowerUp' ? 0 : 1;
  if (asked) {
    const first = await askInNewBoot(before, { store, epoch: firstEpoch });
    test.equal(first.reply, reason, `${name}: as it should be`);
  }
  before.startHeartbeats(periodMs);
  const epochOf = async (): Promise<number> => (await state()).bootEpoch;
  if (reason !== 'PowerUp') await awaitUntil(async () => (await epochOf()) === 1, PATIENCE_MS, `${name}: the boot`);
  await before.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
  await passed(Math.min(2 * periodMs, 5500));
  await before.close(true);
  await passed(pauseMs);

  const after = await life();
  const asking = askInNewBoot(after, { store, epoch: firstEpoch + 1 });
  await passed(Math.min(200, periodMs / 4));
  if (comes === 'beacon') {
    const spy = await connectAsync(broker.url, { protocolVersion: 5 });
    await spy.publishAsync(`${below.topicPrefix}everest_api/ready_beacon`, '{}', { qos: 2 });
    await spy.endAsync();
  }
  if (comes === 'heartbeat') after.startHeartbeats(periodMs);
  const { reply, ms } = await asking;
  if (comes !== 'heartbeat') after.startHeartbeats(periodMs);
  const again = await ask(after);
  const epoch = await epochOf();
  await after.close(true);
  return { reply, ms, again: again.reply, boots: epoch - firstEpoch };
}

const REASONS: readonly BootReason[] = ['PowerUp', 'RemoteReset', 'ScheduledReset', 'FirmwareUpdate'];

/** Every pause with every period: shorter than a restart takes, and nearly long enough to be missed. */
const CASES: readonly Case[] = [
  ...[1000, 4000].flatMap((periodMs) =>
    [0.2, 1, 1.5].flatMap((periods) =>
      REASONS.flatMap((reason) =>
        [true, false].map(
          (asked) => ({ pauseMs: periods * periodMs, periodMs, reason, asked, comes: 'heartbeat' }) as const,
        ),
      ),
    ),
  ),
  ...REASONS.map((reason) => ({ pauseMs: 500, periodMs: 1000, reason, asked: true, comes: 'nothing' }) as const),
  ...[2000, 9000].flatMap((pauseMs) =>
    (['PowerUp', 'FirmwareUpdate'] as const).map(
      (reason) => ({ pauseMs, periodMs: 10_000, reason, asked: true, comes: 'heartbeat' }) as const,
    ),
  ),
  { pauseMs: 1000, periodMs: 60_000, reason: 'RemoteReset', asked: true, comes: 'beacon' },
];

/** A beacon tells at once, far sooner than the 20 s after which the silence does. */
const BEACON_MS = 15_000;

/**
 * The case as it went. A gateway whose connection to the broker is lost while the machine stands still is not told of a beacon: the
 * case is repeated then, with a station that was never heard before.
 */
async function killedInTime(test: Test, place: Depot, name: string, one: Case) {
  for (let tries = 1; ; tries += 1) {
    const went = await killed(test, place, `${name}-${tries}`, one);
    if (one.comes !== 'beacon' || went.ms < BEACON_MS || tries === 3) return went;
  }
}

void t.test('EVerest that was killed and is back at once is never told again why it started before', async (t) => {
  const place = await depot(t, servers, { unknown_stations: 'simulated' }, '{station}/');
  await leads(await startGateway(t, place));
  await Promise.all(
    CASES.map(async (one, index) => {
      const { pauseMs, periodMs, reason, asked, comes } = one;
      const what = `${reason}${asked ? '' : ', not asked'}, away for ${pauseMs} ms of ${periodMs} ms, then ${comes}`;
      const { reply, ms, again, boots } = await killedInTime(t, place, `cs-${index}`, one);
      t.equal(reply, 'ApplicationReset', what);
      t.equal(again, 'ApplicationReset', `${what}: asked again`);
      t.equal(boots, 1, `${what}: one boot`);
      t.ok(ms < 1.2 * periodMs + PATIENCE_MS / 4, `${what}: after ${ms} ms`);
      if (comes === 'beacon') t.ok(ms < BEACON_MS, `${what}: the beacon tells at once (${ms} ms)`);
    }),
  );
});

void t.test('an answer that is clear waits for nothing', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  // A question that waits for the next heartbeat waits for a minute.
  const discovery = { heartbeat_period_ms: 60_000, communication_check_period_s: 1, request_reply_timeout_s: 500 };
  const quick = async (everest: EverestClient): Promise<unknown> =>
    (
      await askUntilDecided('get_boot_reason', () =>
        everest.request('get_boot_reason', undefined, { timeoutMs: PATIENCE_MS / 2 }),
      )
    ).reply;
  const life = async (name: string) => station(t, place, { moduleId: name, discovery });

  const first = await life('cs-1');
  t.equal(await quick(first), 'PowerUp', 'never heard before');
  await first.publishRaw('heartbeat', '0');
  await first.close(true);
  await restartExpected(place, 'cs-1', 'FirmwareUpdate');
  const own = { store: storeOf(place), epoch: 1, timeoutMs: PATIENCE_MS / 2 };
  t.equal((await askInNewBoot(await life('cs-1'), own)).reply, 'FirmwareUpdate', 'a restart of our own');

  const other = await life('cs-2');
  await other.publishRaw('heartbeat', '5');
  const isKnown = async () => readStationState(await storeOf(place).station('cs-2')).communication !== undefined;
  await awaitUntil(isKnown, PATIENCE_MS, 'it to have told its period');
  let reply: unknown;
  // A boot that is noticed by a heartbeat, with its question close behind; so close, unless the machine is busy.
  for (let tries = 0; tries < 5 && reply === undefined; tries++) {
    const asking = other.request('get_boot_reason', undefined, { timeoutMs: PATIENCE_MS / 6 });
    const [answer] = await Promise.allSettled([asking, other.publishRaw('heartbeat', '0')]);
    if (answer.status === 'fulfilled' && answer.value.reply !== 'Unknown') reply = answer.value.reply;
  }
  t.equal(reply, 'ApplicationReset', 'its question comes with its first heartbeat');
});

void t.test(
  'a question that waits keeps nothing else of its station, or of another one, from being answered',
  async (t) => {
    const place = await depot(t, servers);
    await leads(await startGateway(t, place));
    const discovery = { heartbeat_period_ms: 120_000, communication_check_period_s: 1, request_reply_timeout_s: 500 };
    const everest = await station(t, place, { discovery });
    const other = await station(t, place, { moduleId: 'cs-2' });
    t.equal((await askUntilDecided('get_boot_reason', () => everest.request('get_boot_reason'))).reply, 'PowerUp');
    await everest.publishRaw('heartbeat', '0');
    await everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
    // Until its first heartbeat is counted, questions belong to its start and need not wait.
    const isCounted = async () => readStationState(await storeOf(place).station('cs-1')).heartbeat?.id === 0;
    await awaitUntil(isCounted, PATIENCE_MS, 'the heartbeat to be stored');

    const home = 'everest_api/1/system/cs-1/m2e/reply/';
    const round = async (beat: number): Promise<{ readonly early: number; readonly answers: readonly string[] }> => {
      const questions: string[] = Array.from({ length: 3 * MAX_WAITING_OF_ONE }, () => randomUUID());
      const answersOf = (): string[] =>
        everest.messages.items
          .filter(({ leaf }) => questions.includes(leaf.slice('reply/'.length)))
          .map(({ text }) => text);
      for (const uuid of questions)
        await everest.publishRaw('get_boot_reason', requestFrame(`${home}${uuid}`, undefined));
      for (const asker of [everest, other]) {
        for (const leaf of ['is_reset_allowed', 'set_system_time'] as const) {
          const payload = leaf === 'is_reset_allowed' ? 'Soft' : new Date().toISOString();
          const { reply } = await askUntilDecided(leaf, () => asker.request(leaf, payload, { timeoutMs: 10_000 }));
          t.equal(reply, true, `${leaf} of ${asker.moduleId}`);
        }
      }
      const early = answersOf().length;
      await everest.publishRaw('heartbeat', String(beat));
      await awaitUntil(() => answersOf().length === questions.length, PATIENCE_MS, 'all to be answered');
      return { early, answers: answersOf() };
    };
    const told = (answers: readonly string[]): number => answers.filter((text) => text === '"PowerUp"').length;
    const MOST_EARLY = 2 * MAX_WAITING_OF_ONE;
    let { early, answers } = await round(1);
    // Questions are taken one after the other, and so are those that a heartbeat lets go. A machine that stands still has no time for
    // all of them, and answers by default: another round then.
    for (let beat = 2; beat <= 5 && (early > MOST_EARLY || told(answers) < MAX_WAITING_OF_ONE); beat += 1)
      ({ early, answers } = await round(beat));
    t.ok(early <= MOST_EARLY, 'and they wait');
    t.ok(told(answers) >= MAX_WAITING_OF_ONE, 'those that waited, by the heartbeat');
    t.equal(
      answers.filter((text) => text === '"Unknown"').length,
      answers.length - told(answers),
      'the others by default',
    );
  },
);

void t.test('a question that waits is answered by the next leader', async (t) => {
  const place = await depot(t, servers);
  const first = await startGateway(t, place);
  await leads(first);
  const discovery = { heartbeat_period_ms: 120_000, communication_check_period_s: 1, request_reply_timeout_s: 500 };
  const everest = await station(t, place, { discovery });
  await restartExpected(place, 'cs-1', 'RemoteReset');
  t.equal((await askInNewBoot(everest, { store: storeOf(place), epoch: 1 })).reply, 'RemoteReset');
  await everest.publishRaw('heartbeat', '0');
  const isStored = async () => readStationState(await storeOf(place).station('cs-1')).heartbeat?.id === 0;
  await awaitUntil(isStored, PATIENCE_MS, 'the heartbeat to be stored');
  const asking = askUntilDecided('get_boot_reason', () =>
    everest.request('get_boot_reason', undefined, { timeoutMs: PATIENCE_MS }),
  );
  await passed(500);
  await first.child.end('SIGKILL');
  const second = await startGateway(t, place);
  await leads(second);
  // More than one: a question that a busy machine answers by default is asked again, and waits for the next.
  everest.startHeartbeats(2000, 1);
  t.equal((await asking).reply, 'RemoteReset', 'it is the same boot');
});

void t.test('many questions that wait are carried from leader to leader, and hold up nobody', async (t) => {
  const place = await depot(t, servers);
  const first = await startGateway(t, place);
  await leads(first);
  const discovery = { heartbeat_period_ms: 120_000, communication_check_period_s: 1, request_reply_timeout_s: 500 };
  const ask = (everest: EverestClient) =>
    askUntilDecided('get_boot_reason', () => everest.request('get_boot_reason', undefined, { timeoutMs: PATIENCE_MS }));
  const stations = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const name = `cs-${index}`;
      const everest = await station(t, place, { moduleId: name, discovery });
      await restartExpected(place, name, 'RemoteReset');
      t.equal((await askInNewBoot(everest, { store: storeOf(place), epoch: 1 })).reply, 'RemoteReset');
      await everest.publishRaw('heartbeat', '0');
      const isStored = async () => readStationState(await storeOf(place).station(name)).heartbeat?.id === 0;
      await awaitUntil(isStored, PATIENCE_MS, 'the heartbeat to be stored');
      return everest;
    }),
  );
  const asking = stations.map(ask);
  const other = await station(t, place, { moduleId: 'cs-other' });
  t.equal((await ask(other)).reply, 'PowerUp');
  // Questions and updates keep their order: the leader has all questions before it answers this one.
  const update = { request_id: 1, location: 'https://files.example/image.bin' };
  const asked = async (id: number): Promise<unknown> =>
    (
      await askUntilDecided('update_firmware', () =>
        other.request('update_firmware', { ...update, request_id: id }, { timeoutMs: PATIENCE_MS }),
      )
    ).reply;
  t.equal(await asked(1), 'Accepted');
  const marks = async (): Promise<number> => (await observer.keys(`${place.name}:redelivered:*`)).length;

  await first.child.end('SIGKILL');
  const carried = asked(2);
  const second = await startGateway(t, place);
  await leads(second);
  t.equal(await carried, 'AcceptedCanceled', 'what came with them is decided');
  await awaitUntil(async () => (await marks()) === 0, PATIENCE_MS, 'no mark of a question that waits');
  await second.child.end('SIGKILL');
  await leads(await startGateway(t, place));
  // More than one: a question that a busy machine answers by default is asked again, and waits for the next.
  for (const everest of stations) everest.startHeartbeats(2000, 1);
  const replies = (await Promise.all(asking)).map(({ reply }) => reply);
  t.same(replies, Array(20).fill('RemoteReset'), 'each of the same boot, and none unread');
});
