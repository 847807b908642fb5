import { setImmediate as turn } from 'node:timers/promises';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import type { Answer } from '../src/decision.js';
import type { Intake } from '../src/intake.js';
import { LOGS, STATION, UPDATE } from './fixtures.js';
import { accepted, confirmOffer, must, NETWORK, openStage, REDELIVERY_MS, requester } from './stage.js';

void t.test('an offer makes no job; the confirmation does, and is safe to repeat', async (t) => {
  const d = await openStage(t);
  const answer = await d.intake.updateFirmware(UPDATE, requester('update:1'));
  t.match(answer, { reply: 'Accepted', operationId: /^firmware-update-/ });
  const id = must(answer.operationId);
  t.match(await d.store.load(id), { state: 'Offered', answerKey: 'update:1', requestId: 7 });
  t.same(await d.jobIds(), []);
  t.same(await d.answerOf('update:1'), { reply: 'Accepted', operationId: id });
  await confirmOffer(d.intake, answer);
  await confirmOffer(d.intake, answer);
  t.match(await d.store.load(id), { state: 'Accepted' });
  t.same(await d.jobIds(), [`${id}.download.1`]);

  const logs = await d.intake.uploadLogs(LOGS, requester());
  t.match(logs.reply, { upload_logs_status: 'Accepted', file_name: /\.tar\.gz$/ });
  await d.intake.confirm(logs);
  t.equal((await d.store.load(must(logs.operationId)))?.state, 'Accepted');
  const network = await d.intake.configureNetwork(NETWORK, requester());
  t.same(network.reply, { status: 'Processing' });
  await d.intake.confirm(network);
  t.match(await d.store.load(must(network.operationId)), { state: 'Accepted', interfaceName: 'eth0' });
  t.equal((await d.jobIds()).length, 3);
});

void t.test('an update is shown to REST as it is stored', async (t) => {
  const d = await openStage(t);
  const answer = await d.intake.updateFirmware(UPDATE, requester('tool', 'rest'));
  const id = must(answer.operationId);
  t.same(answer.record, await d.store.load(id), 'offered');
  await d.intake.confirm(answer);
  const { record } = await d.intake.orderDownload(STATION, id, 'pause', 'an operator');
  t.match(record, { pausedByOperator: {} });
  t.same(record, await d.store.load(id), 'paused');
});

void t.test('the format of an archive is told by its name and kept in the record', async (t) => {
  const d = await openStage(t, { archiveFormat: 'zstd' });
  const logs = await d.intake.uploadLogs(LOGS, requester());
  t.match(logs.reply, { file_name: /\.tar\.zst$/ });
  t.match(await d.store.load(must(logs.operationId)), { archiveFormat: 'zstd' });
});

void t.test('an offer to EVerest waits for as long as its request may come again; one to REST does not', async (t) => {
  const d = await openStage(t);
  const waitsMs = async (answer: Answer): Promise<number> => {
    const record = must(await d.store.load(must(answer.operationId)));
    return must(record.deadlineAt) - record.createdAt;
  };
  t.ok((await waitsMs(await d.intake.updateFirmware(UPDATE, requester()))) > REDELIVERY_MS);
  t.ok((await waitsMs(await d.intake.uploadLogs(LOGS, requester(undefined, 'rest')))) < REDELIVERY_MS);
});

void t.test('the same request gets its stored answer again, whatever has changed since', async (t) => {
  const d = await openStage(t);
  const first = await d.intake.updateFirmware(UPDATE, requester('a'));
  const again = await d.intake.updateFirmware(UPDATE, requester('a'));
  t.equal(again.reply, 'Accepted');
  t.equal(again.operationId, first.operationId);
  t.match(await d.store.load(must(first.operationId)), { state: 'Offered' });
  await d.intake.confirm(again);
  t.match(await d.store.load(must(first.operationId)), { state: 'Accepted' }, 'a redelivered Accepted is confirmed');

  const badLocation = { ...UPDATE, location: 'http://127.0.0.1/' };
  const rejected = await d.intake.updateFirmware(badLocation, requester('b'));
  t.match(rejected, { reply: 'Rejected', reason: 'LOCATION_ADDRESS_FORBIDDEN' });
  t.equal((await d.intake.updateFirmware(UPDATE, requester('b'))).reply, 'Rejected', 'rejections are kept too');

  t.equal((await d.intake.isResetAllowed(requester('c'), true)).reply, true);
  await d.advance(first.operationId, ['fetchJoined', 'fetched', 'installBegun']);
  t.equal((await d.intake.isResetAllowed(requester('c'), true)).reply, true, 'booleans too');
  t.equal((await d.intake.isResetAllowed(requester('d'), true)).reply, false);
  await d.advance(first.operationId, ['installFailed']);
  t.equal((await d.intake.isResetAllowed(requester('d'), true)).reply, false);
  t.equal((await d.intake.setSystemTime('2026-12-01T00:00:00Z', requester('e'))).reply, true);
  t.equal((await d.intake.setSystemTime('1970-01-01T00:00:00Z', requester('e'))).reply, true);
});

void t.test('a second update supersedes the first when its answer is out, not before', async (t) => {
  const d = await openStage(t);
  const first = await accepted(d.intake);
  const second = await d.intake.updateFirmware({ ...UPDATE, request_id: 8 }, requester('second'));
  t.equal(second.reply, 'AcceptedCanceled');
  const secondId = must(second.operationId);
  t.match(await d.store.load(first), { state: 'Accepted', heldFor: secondId });
  t.equal(await d.slot('firmware_update'), secondId);
  await d.intake.confirm(second);
  t.match(await d.store.load(first), { state: 'Superseded', endedAt: Number });
  t.match(await d.store.load(secondId), { state: 'Accepted' });

  const third = await d.intake.updateFirmware({ ...UPDATE, request_id: 9 }, requester('third'));
  t.match(await d.store.load(secondId), { heldFor: third.operationId });
  await d.intake.revoke(requester('third'), 'update_firmware', third.operationId);
  const released = await d.store.load(secondId);
  t.match(released, { state: 'Accepted' });
  t.equal(released?.heldFor, undefined, 'the withdrawn offer lets go of it');
  t.equal(await d.slot('firmware_update'), secondId);
  t.match(await d.store.load(must(third.operationId)), { state: 'Withdrawn' });
  t.same(await d.answerOf('third'), { reply: 'Rejected' });
  await d.intake.confirm(third);
  t.match(await d.store.load(must(third.operationId)), { state: 'Withdrawn' }, 'and stays withdrawn');
});

void t.test('three offers in a row, however they end, leave one current update', async (t) => {
  type Step = (intake: Intake, offers: readonly [Answer, Answer]) => Promise<void>;
  const confirm =
    (which: 0 | 1): Step =>
    async (intake, offers) =>
      confirmOffer(intake, offers[which]);
  const withdraw =
    (which: 0 | 1): Step =>
    (intake, offers) =>
      intake.revoke(requester(['b', 'c'][which] ?? ''), 'update_firmware', offers[which].operationId);
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
    const d = await openStage(t);
    const a = await accepted(d.intake);
    const offers = [
      await d.intake.updateFirmware({ ...UPDATE, request_id: 8 }, requester('b')),
      await d.intake.updateFirmware({ ...UPDATE, request_id: 9 }, requester('c')),
    ] as const;
    await one(d.intake, offers);
    await two(d.intake, offers);
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
  const d = await openStage(t);
  const ask = async (index: number): Promise<void> => {
    const who = requester(`k${index}`);
    const work =
      index % 2 === 0 ? d.intake.updateFirmware({ ...UPDATE, request_id: index }, who) : d.intake.uploadLogs(LOGS, who);
    const answer = await work.catch((error: { code?: string }) => {
      if (error.code !== 'NOT_STORED') throw error;
      return undefined;
    });
    if (!answer?.operationId) return;
    if (index % 3 === 0) await turn();
    if (index % 5 !== 4) return confirmOffer(d.intake, answer);
    const name = index % 2 === 0 ? 'update_firmware' : 'upload_logs';
    for (let tries = 0; ; tries++) {
      try {
        return await d.intake.revoke(who, name, answer.operationId);
      } catch (error) {
        if (tries > 100) throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: 50 }, (_, index) => ask(index)));
  for (const result of results) if (result.status === 'rejected') t.match(result.reason, { code: 'NOT_STORED' });
  t.ok(results.filter(({ status }) => status === 'fulfilled').length > 10);
  await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
  for (const kind of ['firmware_update', 'log_upload'] as const) {
    const working = (await d.openRecords()).filter((record) => record.kind === kind && record.state !== 'Offered');
    t.ok(working.filter(({ heldFor }) => heldFor === undefined).length <= 1, `${kind}: ${working.length}`);
  }
});

void t.test('a default that could not be stored is stored later, and nothing else is overwritten', async (t) => {
  const d = await openStage(t);
  const id = await accepted(d.intake, UPDATE, 'decided');
  await d.intake.persistDefaultReplies([
    { station: STATION, answerKey: 'refused', reply: 'Rejected' },
    { station: STATION, answerKey: 'decided', reply: 'Rejected' },
  ]);
  t.match(await d.answerOf('refused'), { reply: 'Rejected' });
  t.match(await d.answerOf('decided'), { reply: 'Accepted', operationId: id });
  t.equal((await d.intake.updateFirmware(UPDATE, requester('refused'))).reply, 'Rejected');
});

void t.test('an offer that another leader has confirmed is not revoked', async (t) => {
  const d = await openStage(t);
  const ours = requester();
  const answer = await d.intake.updateFirmware(UPDATE, ours);
  await d.intake.confirm(answer);
  await d.intake.revoke(ours, 'update_firmware', answer.operationId);
  t.match(await d.store.load(answer.operationId ?? ''), { state: 'Accepted' });
  t.match(await d.answerOf(ours.answerKey), { reply: 'Accepted' });
});

void t.test('a confirmation speaks the dialect of now, not the one of its offer', async (t) => {
  const d = await openStage(t);
  const first = await accepted(d.intake);
  await d.advance(first, ['fetchJoined', 'fetched']);
  const second = await d.intake.updateFirmware({ ...UPDATE, request_id: 8 }, requester());
  t.ok(await d.store.commit(d.store.transaction().setStation(STATION, { learnedDialect: 'ocpp2.x' })), 'by the leader');
  await d.intake.confirm(second);
  t.match(await d.store.load(first), { state: 'Superseded' });
  t.same(await d.store.outboxEntries(STATION), [], 'OCPP 2.x needs no end of what was replaced');
});
