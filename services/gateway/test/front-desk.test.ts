import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { createBoots } from '@khumbu/intake/boots';
import { createDecisionStore } from '@khumbu/intake/decision-store';
import { createIntake } from '@khumbu/intake/intake';
import type { Answer, Requester } from '@khumbu/intake/requester';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { QueueName } from '@khumbu/operations/jobs/expected-job';
import { createJobs } from '@khumbu/operations/jobs/jobs';
import { DEFAULT_DEADLINES } from '@khumbu/operations/kinds/deadlines';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { isEnded, type OperationRecord } from '@khumbu/operations/kinds/kinds';
import { systemTimeId } from '@khumbu/operations/kinds/set-system-time/record';
import { createStore, type Store, type Transaction } from '@khumbu/operations/kinds/store';
import type { SlotKind } from '@khumbu/operations/stations/station-state';
import { readStationState } from '@khumbu/operations/stations/station-state';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { patientRedis, promptRedis } from '@khumbu/shared/runtime/redis';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { LOGS, locations, profile, STATION, UPDATE } from './fixtures.js';

const moment = () => momentOf(Date.now());
const server = await startRedis({ dir: t.testdir() });
t.teardown(() => server.stop());
const log = createLogger('test', 'silent');
const NETWORK = { request_id: 9, interface: 'Wired0' } as const;
const SILENT = { silentMs: undefined, heartbeatPeriodMs: undefined };

interface DeskOptions {
  readonly profile?: StationProfile | undefined;
  readonly timeoutMs?: number;
  readonly abandoned?: readonly QueueName[];
  /** Share the keys of another one: a second gateway. */
  readonly prefix?: string;
}

/** A intake of its own, on keys of its own. */
async function desk(test: Test, options: DeskOptions = {}) {
  const prefix = options.prefix ?? `t${randomUUID().replaceAll('-', '')}`;
  const prompt = promptRedis(server.url, options.timeoutMs ?? 200, () => undefined);
  const patient = patientRedis(server.url, () => undefined);
  await patient.ping();
  await awaitUntil(() => prompt.status === 'ready', 5000, 'the prompt connection');
  const commits: Transaction[] = [];
  let beforeCommit: ((transaction: Transaction) => void | Promise<void>) | undefined;
  const promptStore = createStore(prompt, prefix);
  let loaded: ((id: string) => Promise<void>) | undefined;
  let reads = 0;
  const watched: Store = {
    ...promptStore,
    stationAndAnswer(station, answerKey) {
      reads += 1;
      return promptStore.stationAndAnswer(station, answerKey);
    },
    async load(id) {
      const record = await promptStore.load(id);
      await loaded?.(id);
      return record;
    },
    async commit(transaction) {
      commits.push(transaction);
      await beforeCommit?.(transaction);
      return promptStore.commit(transaction);
    },
  };
  const store = createStore(patient, prefix);
  const jobs = createJobs(patient, store.keys, moment);
  const deskStore = createDecisionStore(prompt, watched, log);
  test.teardown(async () => {
    server.thaw();
    deskStore.close();
    await jobs.close();
    prompt.disconnect();
    patient.disconnect();
  });
  const station = 'profile' in options ? options.profile : profile({ interfaces: { Wired0: 'eth0' } });
  const front = createIntake({
    desk: deskStore,
    redis: prompt,
    jobs,
    profileOf: () => station,
    locations,
    judgeCertificate: async () => undefined,
    deadlines: DEFAULT_DEADLINES,
    isAbandoned: (queue) => options.abandoned?.includes(queue) ?? false,
    resetReservationMs: 60_000,
    now: moment,
    redeliveryMs: REDELIVERY_MS,
    log,
  });
  const directory = { profileOf: () => station, configured: () => [STATION], close: () => undefined };
  return {
    prefix,
    front,
    deskStore,
    store,
    patient,
    commits,
    reads: () => reads,
    boots: createBoots({ store, jobs, directory, deadlines: DEFAULT_DEADLINES, now: moment, log }),
    /** Redis stops in the moment in which the next commit is sent. */
    freezeAtCommit(): void {
      beforeCommit = () => {
        beforeCommit = undefined;
        server.freeze();
      };
    },
    /** What was read for the next commit is old when it is sent. */
    beforeNextCommit(then: () => Promise<void>): void {
      beforeCommit = () => {
        beforeCommit = undefined;
        return then();
      };
    },
    afterLoad(then: (id: string) => Promise<void>): void {
      loaded = then;
    },
    state: async () => readStationState(await store.station(STATION)),
    slot: async (kind: SlotKind) => readStationState(await store.station(STATION)).slot(kind),
    answerOf: async (key: string) => (await store.stationAndAnswer(STATION, key)).answer,
    openRecords: async (): Promise<OperationRecord[]> => store.loadMany(await store.openIds()),
    /** Ids of the jobs that exist, in any state. */
    async jobIds(): Promise<string[]> {
      const keys = await patient.keys(`${store.keys.jobs}:*`);
      return keys.map((key) => key.split(':').at(-1) ?? '').filter((id) => /\.\d+$/.test(id));
    },
    async advance(id: string | undefined, events: readonly Parameters<typeof applyUpdateEvent>[1][]): Promise<void> {
      let record = (await store.load(id ?? '')) as FirmwareUpdateRecord;
      for (const event of events) {
        const { bootEpoch } = readStationState(await store.station(STATION));
        const context = {
          now: moment(),
          dialect: 'unknown',
          bootEpoch,
          deadlines: DEFAULT_DEADLINES.update,
        } as const;
        const next = applyUpdateEvent(record, event, context);
        if (!(await store.commit(store.transaction().put(next.record)))) throw new Error('lost a race in a test');
        record = (await store.load(record.id)) as FirmwareUpdateRecord;
      }
    },
  };
}
type Desk = Awaited<ReturnType<typeof desk>>;

/** How long the broker keeps a request. */
const REDELIVERY_MS = 120_000;

const requester = (answerKey: string = randomUUID(), origin: Requester['origin'] = 'everest'): Requester => ({
  station: STATION,
  answerKey,
  origin,
});
const must = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('must be there');
  return value;
};
/** Something follows from the answer. */
const confirmOffer = (front: Desk['front'], answer: Answer): Promise<void> => {
  must(answer.followUp);
  return front.confirm(answer);
};
const accepted = async (
  front: Desk['front'],
  request: typeof UPDATE | (typeof UPDATE & object) = UPDATE,
  key?: string,
) => {
  const answer = await front.updateFirmware(request, requester(key));
  await front.confirm(answer);
  return must(answer.operationId);
};

void t.test('an offer makes no job; the confirmation does, and is safe to repeat', async (t) => {
  const d = await desk(t);
  const answer = await d.front.updateFirmware(UPDATE, requester('update:1'));
  t.match(answer, { reply: 'Accepted', operationId: /^firmware-update-/ });
  const id = must(answer.operationId);
  t.match(await d.store.load(id), { state: 'Offered', answerKey: 'update:1', requestId: 7 });
  t.same(await d.jobIds(), []);
  t.same(await d.answerOf('update:1'), { reply: 'Accepted', operationId: id });
  await confirmOffer(d.front, answer);
  await confirmOffer(d.front, answer);
  t.match(await d.store.load(id), { state: 'Accepted' });
  t.same(await d.jobIds(), [`${id}.download.1`]);

  const logs = await d.front.uploadLogs(LOGS, requester());
  t.match(logs.reply, { upload_logs_status: 'Accepted', file_name: /\.tar\.gz$/ });
  await d.front.confirm(logs);
  t.equal((await d.store.load(must(logs.operationId)))?.state, 'Accepted');
  const network = await d.front.configureNetwork(NETWORK, requester());
  t.same(network.reply, { status: 'Processing' });
  await d.front.confirm(network);
  t.match(await d.store.load(must(network.operationId)), { state: 'Accepted', interfaceName: 'eth0' });
  t.equal((await d.jobIds()).length, 3);
});

void t.test('an offer to EVerest waits for as long as its request may come again; one to REST does not', async (t) => {
  const d = await desk(t);
  const waitsMs = async (answer: Answer): Promise<number> => {
    const record = must(await d.store.load(must(answer.operationId)));
    return must(record.deadlineAt) - record.createdAt;
  };
  t.ok((await waitsMs(await d.front.updateFirmware(UPDATE, requester()))) > REDELIVERY_MS);
  t.ok((await waitsMs(await d.front.uploadLogs(LOGS, requester(undefined, 'rest')))) < REDELIVERY_MS);
});

void t.test('the same request gets its stored answer again, whatever has changed since', async (t) => {
  const d = await desk(t);
  const first = await d.front.updateFirmware(UPDATE, requester('a'));
  const again = await d.front.updateFirmware(UPDATE, requester('a'));
  t.equal(again.reply, 'Accepted');
  t.equal(again.operationId, first.operationId);
  t.match(await d.store.load(must(first.operationId)), { state: 'Offered' });
  await d.front.confirm(again);
  t.match(await d.store.load(must(first.operationId)), { state: 'Accepted' }, 'a redelivered Accepted is confirmed');

  const badLocation = { ...UPDATE, location: 'http://127.0.0.1/' };
  const rejected = await d.front.updateFirmware(badLocation, requester('b'));
  t.match(rejected, { reply: 'Rejected', reason: 'LOCATION_ADDRESS_FORBIDDEN' });
  t.equal((await d.front.updateFirmware(UPDATE, requester('b'))).reply, 'Rejected', 'rejections are kept too');

  t.equal((await d.front.isResetAllowed(requester('c'), true)).reply, true);
  await d.advance(first.operationId, ['fetchJoined', 'fetched', 'installBegun']);
  t.equal((await d.front.isResetAllowed(requester('c'), true)).reply, true, 'booleans too');
  t.equal((await d.front.isResetAllowed(requester('d'), true)).reply, false);
  await d.advance(first.operationId, ['installFailed']);
  t.equal((await d.front.isResetAllowed(requester('d'), true)).reply, false);
  t.equal((await d.front.setSystemTime('2026-12-01T00:00:00Z', requester('e'))).reply, true);
  t.equal((await d.front.setSystemTime('1970-01-01T00:00:00Z', requester('e'))).reply, true);
});

void t.test('a told time is stored once its answer is out, and only if it is known how old it is', async (t) => {
  const TOLD = '2026-12-01T00:00:00Z';
  const d = await desk(t);
  const id = systemTimeId(STATION);
  const first = await d.front.setSystemTime(TOLD, requester('first'));
  t.same([first.reply, await d.openRecords(), await d.jobIds()], [true, [], []]);
  await d.front.confirm(first);
  t.match(await d.store.load(id), { state: 'Pending', value: Date.parse(TOLD) });
  t.same(await d.jobIds(), [`${id}.set-system-time.2`]);

  const refused = await d.front.setSystemTime('2027-01-01T00:00:00Z', requester('refused'));
  await d.front.revoke(requester('refused'), 'set_system_time', refused.operationId);
  t.same(await d.answerOf('refused'), { reply: false });
  t.match(await d.store.load(id), { state: 'Pending', value: Date.parse(TOLD) }, 'what was accepted stays');

  const late = await d.front.setSystemTime('2027-01-01T00:00:00Z', requester('late'), true);
  t.match(late, { reply: true, followUp: undefined }, 'nothing follows from what the broker has kept');
  const repeated = await d.front.setSystemTime(TOLD, requester('first'));
  t.match(repeated, { reply: true, followUp: undefined });
});

void t.test('a time that was told over REST is found again, also if nobody lived to store it', async (t) => {
  const d = await desk(t);
  const id = systemTimeId(STATION);
  const tell = () => d.front.setSystemTime('2026-12-01T00:00:00Z', requester('key', 'rest'));
  t.match(await tell(), { reply: true, operationId: id });
  const again = await tell();
  t.match(again, { reply: true, operationId: id, repeated: true });
  await d.front.confirm(again);
  t.match(await d.store.load(id), { state: 'Pending', toldAtRedisMs: 0 }, 'too old to be set');
});

void t.test('a second update supersedes the first when its answer is out, not before', async (t) => {
  const d = await desk(t);
  const first = await accepted(d.front);
  const second = await d.front.updateFirmware({ ...UPDATE, request_id: 8 }, requester('second'));
  t.equal(second.reply, 'AcceptedCanceled');
  const secondId = must(second.operationId);
  t.match(await d.store.load(first), { state: 'Accepted', heldFor: secondId });
  t.equal(await d.slot('firmware_update'), secondId);
  await d.front.confirm(second);
  t.match(await d.store.load(first), { state: 'Superseded', endedAt: Number });
  t.match(await d.store.load(secondId), { state: 'Accepted' });

  const third = await d.front.updateFirmware({ ...UPDATE, request_id: 9 }, requester('third'));
  t.match(await d.store.load(secondId), { heldFor: third.operationId });
  await d.front.revoke(requester('third'), 'update_firmware', third.operationId);
  const released = await d.store.load(secondId);
  t.match(released, { state: 'Accepted' });
  t.equal(released?.heldFor, undefined, 'the withdrawn offer lets go of it');
  t.equal(await d.slot('firmware_update'), secondId);
  t.match(await d.store.load(must(third.operationId)), { state: 'Withdrawn' });
  t.same(await d.answerOf('third'), { reply: 'Rejected' });
  await d.front.confirm(third);
  t.match(await d.store.load(must(third.operationId)), { state: 'Withdrawn' }, 'and stays withdrawn');
});

void t.test('three offers in a row, however they end, leave one current update', async (t) => {
  type Step = (front: Desk['front'], offers: readonly [Answer, Answer]) => Promise<void>;
  const confirm =
    (which: 0 | 1): Step =>
    async (front, offers) =>
      confirmOffer(front, offers[which]);
  const withdraw =
    (which: 0 | 1): Step =>
    (front, offers) =>
      front.revoke(requester(['b', 'c'][which] ?? ''), 'update_firmware', offers[which].operationId);
  const [A, B, C] = [0, 1, 2];
  const endings: [string, Step, Step, number][] = [
    ['B, then C', confirm(0), confirm(1), C],
    ['C before B', confirm(1), confirm(0), C],
    ['C, B by default', confirm(1), withdraw(0), C],
    ['B by default, then C', withdraw(0), confirm(1), C],
    ['B, C by default', confirm(0), withdraw(1), B],
    ['C by default, then B', withdraw(1), confirm(0), B],
    ['both by default, B first', withdraw(0), withdraw(1), A],
    ['both by default, C first', withdraw(1), withdraw(0), A],
  ];
  for (const [name, one, two, winner] of endings) {
    const d = await desk(t);
    const a = await accepted(d.front);
    const offers = [
      await d.front.updateFirmware({ ...UPDATE, request_id: 8 }, requester('b')),
      await d.front.updateFirmware({ ...UPDATE, request_id: 9 }, requester('c')),
    ] as const;
    await one(d.front, offers);
    await two(d.front, offers);
    const expected = [a, offers[0].operationId, offers[1].operationId][winner];
    const open = await d.openRecords();
    t.same(
      open.map(({ id, heldFor }) => ({ id, heldFor })),
      [{ id: expected, heldFor: undefined }],
      name,
    );
    t.equal(await d.slot('firmware_update'), expected, name);
  }
});

void t.test('fifty at once never leave two current operations', async (t) => {
  const d = await desk(t, { timeoutMs: 5000 });
  const ask = async (index: number): Promise<void> => {
    const who = requester(`k${index}`);
    const work =
      index % 2 === 0 ? d.front.updateFirmware({ ...UPDATE, request_id: index }, who) : d.front.uploadLogs(LOGS, who);
    const answer = await work.catch((error: { code?: string }) => {
      if (error.code !== 'NOT_STORED') throw error;
      return undefined;
    });
    if (!answer?.operationId) return;
    if (index % 3 === 0) await turn();
    if (index % 5 !== 4) return confirmOffer(d.front, answer);
    const name = index % 2 === 0 ? 'update_firmware' : 'upload_logs';
    for (let tries = 0; ; tries++) {
      try {
        return await d.front.revoke(who, name, answer.operationId);
      } catch (error) {
        if (tries > 100) throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: 50 }, (_, index) => ask(index)));
  for (const result of results) if (result.status === 'rejected') t.match(result.reason, { code: 'NOT_STORED' });
  t.ok(results.filter(({ status }) => status === 'fulfilled').length > 10);
  await awaitUntil(() => d.deskStore.isSettled(), 5000, 'settled');
  for (const kind of ['firmware_update', 'log_upload'] as const) {
    const working = (await d.openRecords()).filter((record) => record.kind === kind && record.state !== 'Offered');
    t.ok(working.filter(({ heldFor }) => heldFor === undefined).length <= 1, `${kind}: ${working.length}`);
  }
});

/** Each request that may meet a frozen Redis: what is answered by default, and what must not be there afterwards. */
const FROZEN: [string, (front: Desk['front'], who: Requester) => Promise<Answer>, unknown, SlotKind | undefined][] = [
  ['update_firmware', (front, who) => front.updateFirmware(UPDATE, who), 'Rejected', 'firmware_update'],
  ['upload_logs', (front, who) => front.uploadLogs(LOGS, who), { upload_logs_status: 'Rejected' }, 'log_upload'],
  ['is_reset_allowed', (front, who) => front.isResetAllowed(who, true), false, undefined],
  ['set_system_time', (front, who) => front.setSystemTime('2026-12-01T00:00:00Z', who), false, undefined],
  [
    'configure_network',
    (front, who) => front.configureNetwork(NETWORK, who),
    { status: 'NotSupported' },
    'configure_network',
  ],
];

void t.test('what was answered by default is never executed later', async (t) => {
  for (const [name, ask, fallback, slot] of FROZEN) {
    const d = await desk(t);
    await d.front.isResetAllowed(requester(), false);
    d.freezeAtCommit();
    const key = `${name}:frozen`;
    await t.rejects(ask(d.front, requester(key)), { code: 'NOT_STORED' }, name);
    t.notOk(d.deskStore.isSettled());
    await t.rejects(ask(d.front, requester()), { code: 'NOT_STORED' }, 'refused while the fate is unknown');
    server.thaw();
    await awaitUntil(() => d.deskStore.isSettled(), 5000, `${name} settled`);
    t.same(await d.answerOf(key), { reply: fallback }, 'the stored answer is the one that was given');
    t.same(await d.openRecords(), [], `${name}: nothing is open`);
    t.same(await d.jobIds(), [], `${name}: no job`);
    if (slot) t.equal(await d.slot(slot), undefined, 'the slot is as it was');
    t.equal((await d.state()).resetReservedUntil, undefined, 'nothing is reserved');
    const late = d.commits.find((transaction) => transaction.ops.some(([, where]) => where?.endsWith(key)));
    t.equal(await d.store.commit(must(late)), false, 'executed later still, the commit fails its guard');
    t.same((await ask(d.front, requester(key))).reply, fallback, 'redelivered: the same answer');
    const next = await ask(d.front, requester());
    t.notSame(next.reply, fallback, 'and it serves again');
    await d.front.confirm(next);
  }
});

void t.test('a running update goes on when the one that would replace it was answered by default', async (t) => {
  const d = await desk(t);
  const first = await accepted(d.front);
  d.freezeAtCommit();
  await t.rejects(d.front.updateFirmware({ ...UPDATE, request_id: 8 }, requester('second')), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.deskStore.isSettled(), 5000, 'settled');
  const open = await d.openRecords();
  t.same(
    open.map(({ id, state, heldFor }) => ({ id, state, heldFor })),
    [{ id: first, state: 'Accepted', heldFor: undefined }],
  );
  t.equal(await d.slot('firmware_update'), first);
});

void t.test('an outage costs those who come one after the other no more than those who came first', async (t) => {
  const d = await desk(t);
  d.freezeAtCommit();
  const began = performance.now();
  // A broker that passes on one request at a time, each once the one before was answered.
  for (let n = 0; n < 20; n++)
    await t.rejects(d.front.isResetAllowed(requester(`in a row ${n}`), true), { code: 'NOT_STORED' });
  t.ok(performance.now() - began < 1500, `refused after ${performance.now() - began} ms`);
  server.thaw();
  await awaitUntil(() => d.deskStore.isSettled(), 5000, 'settled');
  t.equal((await d.front.isResetAllowed(requester(), true)).reply, true, 'and it serves again');
});

void t.test('a confirmation of unknown fate is made again: its answer is out', async (t) => {
  const d = await desk(t);
  const answer = await d.front.updateFirmware(UPDATE, requester());
  d.freezeAtCommit();
  await t.rejects(confirmOffer(d.front, answer), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.deskStore.isSettled(), 5000, 'settled');
  t.match(await d.store.load(must(answer.operationId)), { state: 'Accepted' });
  await confirmOffer(d.front, answer);
  t.same(await d.jobIds(), [`${answer.operationId}.download.1`]);
});

void t.test('a question from REST that could not be stored leaves EVerest’s reservation alone', async (t) => {
  const d = await desk(t);
  await d.front.isResetAllowed(requester('everest'), true);
  const { resetReservedUntil } = await d.state();
  t.ok(must(resetReservedUntil) > Date.now());
  d.freezeAtCommit();
  await t.rejects(d.front.isResetAllowed(requester('rest', 'rest'), false), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.deskStore.isSettled(), 5000, 'settled');
  t.equal((await d.state()).resetReservedUntil, resetReservedUntil);
});

void t.test('a reservation belongs to the question that made it, until EVerest resets', async (t) => {
  const d = await desk(t);
  const first = requester();
  t.equal((await d.front.isResetAllowed(first, true)).reply, true);
  t.equal((await d.front.isResetAllowed(requester(), true)).reply, true);
  const reserved = must((await d.state()).resetReservedUntil);
  await d.front.revoke(first, 'is_reset_allowed', undefined);
  t.equal((await d.state()).resetReservedUntil, reserved, 'taking back the first question leaves the second one alone');
  await d.front.reset({ type: 'Soft' }, requester('tool', 'rest'));
  t.equal((await d.state()).resetReservedUntil, reserved, 'an operator’s reset leaves it alone');
  await d.front.reset({ type: 'Hard' }, requester());
  t.equal((await d.state()).resetReservedUntil, undefined, 'EVerest’s own uses it up');

  t.equal((await d.front.isResetAllowed(requester(), true)).reply, true);
  await d.front.reset({ type: 'Hard' }, requester());
  t.equal((await d.state()).resetReservedUntil, undefined, 'also one that is open already');

  const last = requester();
  await d.front.isResetAllowed(last, true);
  await d.front.revoke(last, 'is_reset_allowed', undefined);
  t.match(await d.state(), { resetReservedUntil: undefined, resetAllowedEpoch: undefined });
});

void t.test('a reservation ends with the boot of EVerest that was told it may reset', async (t) => {
  const signs = {
    'by its heartbeat': async (d: Awaited<ReturnType<typeof desk>>) => d.boots.notice(STATION, 3000),
    'by its question': async (d: Awaited<ReturnType<typeof desk>>) =>
      d.front.getBootReason(requester(), { silentMs: 5000, heartbeatPeriodMs: 1000 } as never),
  };
  for (const [how, begin] of Object.entries(signs)) {
    const d = await desk(t);
    t.equal((await d.front.isResetAllowed(requester(), true)).reply, true);
    await begin(d);
    t.match(await d.state(), { bootEpoch: 1, resetReservedUntil: undefined, resetAllowedEpoch: undefined }, how);
    t.equal((await d.front.isResetAllowed(requester(), true)).reply, true, 'and it may be reserved anew');
    t.match(await d.state(), { resetAllowedEpoch: 1 });
  }
});

void t.test('the desk goes on when Redis has forgotten its epoch', async (t) => {
  const d = await desk(t);
  d.freezeAtCommit();
  await t.rejects(d.front.isResetAllowed(requester(), true), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.deskStore.isSettled(), 5000, 'settled');
  const guards = d.commits.flatMap((transaction) => transaction.guards);
  const [key] = must(guards.find(([, field]) => field === 'epoch'));
  await awaitUntil(async () => (await d.patient.exists(key)) === 1, 5000, 'the epoch is stored');
  t.ok((await d.patient.pttl(key)) > 0, 'it goes away when its process does');
  await d.patient.del(key);
  t.equal((await d.front.isResetAllowed(requester(), true)).reply, true);
});

void t.test('is_reset_allowed and an install that begins in the same moment', async (t) => {
  const d = await desk(t);
  const id = await accepted(d.front);
  await d.advance(id, ['fetchJoined', 'fetched']);
  let raced = false;
  d.afterLoad(async (loaded) => {
    if (raced || loaded !== id) return;
    raced = true;
    await d.advance(id, ['installBegun']);
  });
  t.equal((await d.front.isResetAllowed(requester(), true)).reply, false, 'the newer state decides');
  t.equal((await d.state()).resetReservedUntil, undefined);
});

void t.test(
  'is_reset_allowed, a reset, and an update that comes and begins to install in the same moment',
  async (t) => {
    const TO_INSTALLING = ['fetchJoined', 'fetched', 'installBegun'] as const;
    for (const before of ['no update before', 'one that has ended']) {
      for (const asks of ['is_reset_allowed', 'reset']) {
        await t.test(`${asks}, ${before}`, async (t) => {
          const d = await desk(t);
          if (before !== 'no update before') await d.advance(await accepted(d.front), ['canceled']);
          d.beforeNextCommit(async () => d.advance(await accepted(d.front), TO_INSTALLING));
          if (asks === 'is_reset_allowed') {
            t.match(await d.front.isResetAllowed(requester(), true), { reply: false, reason: 'installing' });
            t.equal((await d.state()).resetReservedUntil, undefined);
            return;
          }
          const { operationId } = await d.front.reset({ type: 'Soft', scheduled: false }, requester());
          t.match(await d.store.load(must(operationId)), { reasonStored: false });
          t.equal((await d.state()).restartExpected, undefined, 'the boot to come is that of the update');
        });
      }
    }
  },
);

void t.test('a reset is one until its restart is seen', async (t) => {
  const d = await desk(t);
  const soft = { type: 'Soft', scheduled: false } as const;
  const [first, second] = await Promise.all([d.front.reset(soft, requester()), d.front.reset(soft, requester())]);
  const id = must(first.operationId);
  t.equal(second.operationId, id);
  t.equal((await d.front.reset({ type: 'Soft' }, requester())).operationId, id, 'scheduled false is the default');
  t.same(await d.jobIds(), [`${id}.reset.1`]);
  t.match((await d.state()).restartExpected, { reason: 'RemoteReset', operationId: id });
  const hard = await d.front.reset({ type: 'Hard', scheduled: true }, requester());
  t.not(hard.operationId, id);
  t.match(await d.store.load(id), { state: 'Superseded' });
  t.match((await d.state()).restartExpected, { reason: 'ScheduledReset' });
});

void t.test('a reset whose commit was of unknown fate is stored once, with its job', async (t) => {
  const d = await desk(t);
  d.freezeAtCommit();
  await t.rejects(d.front.reset({ type: 'Soft' }, requester()), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.deskStore.isSettled(), 5000, 'settled');
  const { operationId } = await d.front.reset({ type: 'Soft' }, requester());
  const resets = (await d.openRecords()).map(({ id }) => id);
  t.same(resets, [operationId]);
  t.same(await d.jobIds(), [`${operationId}.reset.1`]);
});

void t.test('a reset of REST that could not be stored is not done', async (t) => {
  const d = await desk(t);
  const rest = requester('rest:1', 'rest');
  d.freezeAtCommit();
  await t.rejects(d.front.reset({ type: 'Hard' }, rest), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.deskStore.isSettled(), 5000, 'settled');
  t.same(await d.openRecords(), [], 'nothing that a job would be made for');
  const [over] = await d.store.operationsOf(STATION);
  t.match(over, { state: 'Failed', outcome: { ok: false, reason: 'withdrawn' } }, 'for all to see');
  t.equal(await d.slot('reset'), undefined);
  t.equal((await d.state()).restartExpected, undefined);
  t.equal(await d.answerOf('rest:1'), undefined);
  const again = await d.front.reset({ type: 'Hard' }, rest);
  t.not(again.operationId, over?.id, 'asked again, it is decided anew');
  await d.front.confirm(again);
  t.same(await d.jobIds(), [`${again.operationId}.reset.1`]);
});

void t.test('a reset of REST that somebody else counts on is not taken back', async (t) => {
  const others = [
    ['EVerest', requester('e', 'everest')],
    ['the same request at another gateway', requester('rest:2', 'rest')],
    ['another caller', requester('rest:3', 'rest')],
  ] as const;
  for (const [name, who] of others) {
    const d = await desk(t);
    const other = await desk(t, { prefix: d.prefix });
    d.freezeAtCommit();
    await t.rejects(d.front.reset({ type: 'Hard' }, requester('rest:2', 'rest')), { code: 'NOT_STORED' });
    let counted: Answer | undefined;
    d.beforeNextCommit(async () => {
      counted = await other.front.reset({ type: 'Hard' }, who);
      await other.front.confirm(counted);
    });
    server.thaw();
    await awaitUntil(() => d.deskStore.isSettled(), 5000, 'settled');
    const id = must(counted?.operationId);
    t.match(await d.store.load(id), { state: 'Accepted' }, name);
    t.equal(await d.slot('reset'), id);
    t.same(await d.jobIds(), [`${id}.reset.1`]);
  }
});

void t.test('a reset that one of REST would have replaced is done when that could not be stored', async (t) => {
  const d = await desk(t);
  const { operationId } = await d.front.reset({ type: 'Soft', scheduled: true }, requester());
  d.freezeAtCommit();
  const replacing = { ...requester('rest:4', 'rest'), replace: true };
  await t.rejects(d.front.reset({ type: 'Hard' }, replacing), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.deskStore.isSettled(), 5000, 'settled');
  t.match(await d.store.load(must(operationId)), { state: 'Superseded' });
  const [open, ...more] = await d.openRecords();
  t.match(open, { kind: 'reset', state: 'Accepted', origin: 'everest', type: 'Soft', scheduled: true });
  t.same(more, []);
  t.equal(await d.slot('reset'), open?.id);
  t.match((await d.state()).restartExpected, { reason: 'ScheduledReset', operationId: open?.id });
  t.ok((await d.jobIds()).includes(`${open?.id}.reset.1`));
});

void t.test('a reset during an install is kept', async (t) => {
  const d = await desk(t);
  const id = await accepted(d.front);
  await d.advance(id, ['fetchJoined', 'fetched', 'installBegun']);
  const { operationId } = await d.front.reset({ type: 'NotSpecified' }, requester());
  t.match(await d.store.load(must(operationId)), { state: 'Accepted', type: 'NotSpecified' });
  t.match(await d.store.load(id), { state: 'Installing' });
});

void t.test('boot reasons: one for each boot', async (t) => {
  const d = await desk(t);
  const ask = async (liveness = SILENT) => d.front.getBootReason(requester(), liveness);
  t.match(await ask(), { reply: 'PowerUp', begun: false });
  t.match(await ask(), { reply: 'PowerUp', begun: false });
  await d.front.reset({ type: 'Soft', scheduled: true }, requester());
  t.match(await ask(), { reply: 'ScheduledReset', begun: true }, 'before the first heartbeat');
  t.equal((await d.state()).bootEpoch, 1);
  t.match(await ask({ silentMs: 60_000, heartbeatPeriodMs: 1000 } as never), { reply: 'ScheduledReset', begun: false });
  t.equal((await d.state()).bootEpoch, 1, 'asked twice: one boot');
  await d.boots.notice(STATION, 3000);
  t.equal((await d.state()).bootEpoch, 2);
  t.match(await ask(), { reply: 'ApplicationReset', begun: false }, 'as noticed by the heartbeat');
});

void t.test('many boot questions at once count one boot', async (t) => {
  const d = await desk(t, { timeoutMs: 2000 });
  await d.front.reset({ type: 'Soft' }, requester());
  const answers = await Promise.all(Array.from({ length: 10 }, () => d.front.getBootReason(requester(), SILENT)));
  t.same(new Set(answers.map(({ reply }) => reply)), new Set(['RemoteReset']));
  t.equal((await d.state()).bootEpoch, 1);
});

void t.test('a permission counts only where an update waits, in the boot it came in', async (t) => {
  const d = await desk(t);
  t.equal(await d.front.allowInstallation(STATION, 'everest'), false);
  const id = await accepted(d.front);
  t.equal(await d.front.allowInstallation(STATION, 'everest'), false, 'too early');
  await d.boots.notice(STATION, 20_000);
  await d.advance(id, ['fetchJoined', 'fetched']);
  t.equal(await d.front.allowInstallation(STATION, 'everest'), true);
  t.match(await d.store.load(id), { permission: { bootEpoch: 1, by: 'everest' } });
  t.ok((await d.jobIds()).includes(`${id}.install.1`));
  t.equal(await d.front.allowInstallation(STATION, 'everest'), false, 'repeated');
  await d.boots.notice(STATION, 20_000);
  await d.boots.settle(STATION);
  const again = (await d.store.load(id)) as FirmwareUpdateRecord;
  t.equal(again.permission, undefined, 'void after a restart of EVerest');
  t.match((await d.store.outboxEntries(STATION)).at(-1), { payload: { firmware_update_status: 'Downloaded' } });
  t.equal(await d.front.allowInstallation(STATION, 'everest'), true);
  t.match(await d.store.load(id), { permission: { bootEpoch: 2 } });
  t.notOk(isEnded(must(await d.store.load(id))));
});

void t.test('a permission counts only once EVerest was told that there is something to permit', async (t) => {
  const d = await desk(t);
  const id = await accepted(d.front);
  await d.advance(id, ['fetchJoined', 'fetched']);
  const ready = (await d.store.load(id)) as FirmwareUpdateRecord;
  const held = { ...ready, triggerHeldUntil: Date.now() + 3600_000, heldStatuses: ['Downloaded' as const] };
  await d.store.commit(d.store.transaction().put(held));
  t.equal(await d.front.allowInstallation(STATION, 'everest'), false, 'it speaks of something else');
  t.equal(await d.front.allowInstallation(STATION, 'rest', id), true, 'an operator knows what he allows');
  t.match(await d.store.load(id), { permission: { by: 'rest' }, triggerHeldUntil: held.triggerHeldUntil });
});

void t.test('where two stations share a name, nobody knows whose permission it is', async (t) => {
  const d = await desk(t);
  const id = await accepted(d.front);
  await d.advance(id, ['fetchJoined', 'fetched']);
  await d.store.commit(d.store.transaction().setStation(STATION, { conflictSince: String(Date.now()) }));
  t.equal(await d.front.allowInstallation(STATION, 'everest'), false);
  t.equal(await d.front.allowInstallation(STATION, 'rest', id), false);
  t.equal(((await d.store.load(id)) as FirmwareUpdateRecord).permission, undefined);
  await d.store.commit(d.store.transaction().setStation(STATION, { conflictSince: undefined }));
  t.equal(await d.front.allowInstallation(STATION, 'everest'), true);
});

void t.test(
  'a permission that comes while the update rests for an offer counts once the offer is withdrawn',
  async (t) => {
    for (const offers of [1, 2]) {
      for (const by of ['everest', 'rest'] as const) {
        await t.test(`${offers} offers, by ${by}`, async (t) => {
          const d = await desk(t);
          const id = await accepted(d.front);
          await d.advance(id, ['fetchJoined', 'fetched']);
          const asked: [Requester, string][] = [];
          for (let count = 0; count < offers; count++) {
            const who = requester();
            asked.push([
              who,
              must((await d.front.updateFirmware({ ...UPDATE, request_id: 8 + count }, who)).operationId),
            ]);
          }
          t.equal(await d.front.allowInstallation(STATION, by, by === 'rest' ? id : undefined), true, 'it is not lost');
          t.equal(await d.front.allowInstallation(STATION, by), false, 'a repeat means nothing');
          t.same(await d.jobIds(), [`${id}.download.1`], 'at rest it begins nothing');
          for (const [who, offered] of asked.reverse()) await d.front.revoke(who, 'update_firmware', offered);
          t.match(await d.store.load(id), { state: 'Downloaded', permission: { by }, heldFor: undefined });
          t.ok((await d.jobIds()).includes(`${id}.install.1`), 'the update goes on');
        });
      }
    }
  },
);

void t.test('a station that nobody configured is answered fail-closed and nothing is stored for it', async (t) => {
  const d = await desk(t, { profile: undefined });
  t.equal((await d.front.updateFirmware(UPDATE, requester())).reply, 'Rejected');
  t.same((await d.front.uploadLogs(LOGS, requester())).reply, { upload_logs_status: 'Rejected' });
  t.equal((await d.front.isResetAllowed(requester(), true)).reply, false);
  t.equal((await d.front.setSystemTime('2026-12-01T00:00:00Z', requester())).reply, false);
  t.equal((await d.front.getBootReason(requester(), SILENT)).reply, 'Unknown');
  t.same((await d.front.configureNetwork(NETWORK, requester())).reply, { status: 'NotSupported' });
  t.match(await d.front.reset({ type: 'Soft' }, requester()), { reason: 'station_not_configured' });
  t.same(await d.openRecords(), []);
  t.same(await d.store.station(STATION), {});
});

void t.test('what nobody is there to do is answered by default, and so is its repetition', async (t) => {
  const abandoned: QueueName[] = ['firmware-fetches', 'log-uploads', 'system-control'];
  const d = await desk(t, { abandoned });
  const key = randomUUID();
  t.match(await d.front.updateFirmware(UPDATE, requester(key)), { reply: 'Rejected', reason: 'workers_gone' });
  t.same((await d.front.uploadLogs(LOGS, requester())).reply, { upload_logs_status: 'Rejected' });
  t.equal((await d.front.isResetAllowed(requester(), true)).reply, false);
  t.equal((await d.front.setSystemTime('2026-12-01T00:00:00Z', requester())).reply, false);
  t.same((await d.front.configureNetwork(NETWORK, requester())).reply, { status: 'NotSupported' });
  t.same(await d.front.resetPermission(STATION), { allowed: false, reason: 'workers_gone' });
  t.same(await d.openRecords(), []);
  t.equal((await d.state()).resetReservedUntil, undefined);
  t.equal((await d.front.getBootReason(requester(), SILENT)).reply, 'PowerUp', 'from records alone');
  await t.rejects(d.front.updateFirmware(UPDATE, requester(randomUUID(), 'rest')), { code: 'WORKERS_GONE' });
  await t.rejects(d.front.reset({ type: 'Soft' }, requester(randomUUID(), 'rest')), { code: 'WORKERS_GONE' });
  t.type(
    (await d.front.reset({ type: 'Soft' }, requester())).operationId,
    'string',
    'EVerest has stopped itself and waits',
  );
  abandoned.length = 0;
  t.equal(
    (await d.front.updateFirmware(UPDATE, requester(key))).reply,
    'Rejected',
    'the same request, the same answer',
  );
  t.equal((await d.front.updateFirmware(UPDATE, requester())).reply, 'Accepted');
});

void t.test('a default that could not be stored is stored later, and nothing else is overwritten', async (t) => {
  const d = await desk(t);
  const id = await accepted(d.front, UPDATE, 'decided');
  await d.front.persistDefaultReplies([
    { station: STATION, answerKey: 'refused', reply: 'Rejected' },
    { station: STATION, answerKey: 'decided', reply: 'Rejected' },
  ]);
  t.match(await d.answerOf('refused'), { reply: 'Rejected' });
  t.match(await d.answerOf('decided'), { reply: 'Accepted', operationId: id });
  t.equal((await d.front.updateFirmware(UPDATE, requester('refused'))).reply, 'Rejected');
});

void t.test('an offer that another leader has confirmed is not taken back', async (t) => {
  const d = await desk(t);
  const ours = requester();
  const answer = await d.front.updateFirmware(UPDATE, ours);
  await d.front.confirm(answer);
  await d.front.revoke(ours, 'update_firmware', answer.operationId);
  t.match(await d.store.load(answer.operationId ?? ''), { state: 'Accepted' });
  t.match(await d.answerOf(ours.answerKey), { reply: 'Accepted' });
});

void t.test('a confirmation speaks the dialect of now, not the one remembered', async (t) => {
  const d = await desk(t);
  const first = await accepted(d.front);
  await d.advance(first, ['fetchJoined', 'fetched']);
  const second = await d.front.updateFirmware({ ...UPDATE, request_id: 8 }, requester());
  t.ok(await d.store.commit(d.store.transaction().setStation(STATION, { learnedDialect: 'ocpp2.x' })), 'by the leader');
  const commits = d.commits.length;
  await d.front.confirm(second);
  t.equal(d.commits.length - commits, 2, 'the first try is made from memory');
  t.match(await d.store.load(first), { state: 'Superseded' });
  t.same(await d.store.outboxEntries(STATION), [], 'OCPP 2.x needs no end of what was replaced');
});

void t.test('a first try made from memory is stored only if nothing it looked at has changed', async (t) => {
  const d = await desk(t);
  const written = async (fields: Record<string, string | undefined>): Promise<void> => {
    t.ok(await d.store.commit(d.store.transaction().setStation(STATION, fields)), 'written by somebody else');
  };
  const allowed = () => d.front.isResetAllowed(requester(), true);
  t.equal((await allowed()).reply, true);
  t.equal(d.reads(), 1);
  t.equal((await d.front.isResetAllowed(requester('twice'), true)).reply, true);
  t.same(await d.answerOf('twice'), { reply: true }, 'stored like any other');
  t.equal(d.reads(), 1, 'nothing was read for it');

  await written({ conflictSince: '1' });
  t.match(await allowed(), { reply: false, reason: 'station_not_configured' });
  t.equal(d.reads(), 2);
  t.equal((await d.front.isResetAllowed(requester('twice'), true)).reply, true, 'an answer that is stored stands');
  await written({ conflictSince: undefined });
  t.equal((await allowed()).reply, true);

  await accepted(d.front);
  t.equal((await d.front.updateFirmware(UPDATE, requester('second'))).reply, 'AcceptedCanceled');
  await written({ 'slot:firmware_update': undefined });
  t.equal((await d.front.updateFirmware(UPDATE, requester())).reply, 'Accepted', 'the slot is free by now');
  t.equal((await d.front.getBootReason(requester(), SILENT)).reply, 'PowerUp');
  await d.boots.notice(STATION, 3000);
  t.equal((await d.front.getBootReason(requester(), SILENT)).reply, 'ApplicationReset');
});
