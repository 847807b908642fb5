import type { StationKind } from '@khumbu/operations/kinds/kinds';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import type { Answer } from '../src/decision.js';
import type { Intake } from '../src/intake.js';
import type { Requester } from '../src/requester.js';
import { LOGS, UPDATE } from './fixtures.js';
import { accepted, confirmOffer, FROZEN, must, NETWORK, openStage, requester, server } from './stage.js';

/** Each request that may meet a frozen Redis: what is answered by default, and what must not be there afterwards. */
const MET_FROZEN: [string, (intake: Intake, who: Requester) => Promise<Answer>, unknown, StationKind | undefined][] = [
  ['update_firmware', (intake, who) => intake.updateFirmware(UPDATE, who), 'Rejected', 'firmware_update'],
  ['upload_logs', (intake, who) => intake.uploadLogs(LOGS, who), { upload_logs_status: 'Rejected' }, 'log_upload'],
  ['is_reset_allowed', (intake, who) => intake.isResetAllowed(who, true), false, undefined],
  ['set_system_time', (intake, who) => intake.setSystemTime('2026-12-01T00:00:00Z', who), false, undefined],
  [
    'configure_network',
    (intake, who) => intake.configureNetwork(NETWORK, who),
    { status: 'NotSupported' },
    'configure_network',
  ],
];
void t.test('what was answered by default is never executed later', async (t) => {
  for (const [name, ask, fallback, slot] of MET_FROZEN) {
    const d = await openStage(t, FROZEN);
    await d.intake.isResetAllowed(requester(), false);
    d.freezeAtCommit();
    const key = `${name}:frozen`;
    await t.rejects(ask(d.intake, requester(key)), { code: 'NOT_STORED' }, name);
    t.notOk(d.intake.isSettled());
    await t.rejects(ask(d.intake, requester()), { code: 'NOT_STORED' }, 'refused while the fate is unknown');
    server.thaw();
    await awaitUntil(() => d.intake.isSettled(), 5000, `${name} settled`);
    t.same(await d.answerOf(key), { reply: fallback }, 'the stored answer is the one that was given');
    t.same(await d.openRecords(), [], `${name}: nothing is open`);
    t.same(await d.jobIds(), [], `${name}: no job`);
    if (slot) t.equal(await d.slot(slot), undefined, 'the slot is as it was');
    t.equal((await d.state()).resetReservedUntil, undefined, 'nothing is reserved');
    const late = d.commits.find((transaction) => transaction.ops.some(([, where]) => where?.endsWith(key)));
    t.notOk(await d.store.commit(must(late)), 'executed later still, the commit fails its guard');
    t.same((await ask(d.intake, requester(key))).reply, fallback, 'redelivered: the same answer');
    const next = await ask(d.intake, requester());
    t.notSame(next.reply, fallback, 'and it serves again');
    await d.intake.confirm(next);
  }
});

void t.test('a running update goes on when the one that would replace it was answered by default', async (t) => {
  const d = await openStage(t, FROZEN);
  const first = await accepted(d.intake);
  d.freezeAtCommit();
  await t.rejects(d.intake.updateFirmware({ ...UPDATE, request_id: 8 }, requester('second')), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
  const open = await d.openRecords();
  t.same(
    open.map(({ id, state, heldFor }) => ({ id, state, heldFor })),
    [{ id: first, state: 'Accepted', heldFor: undefined }],
  );
  t.equal(await d.slot('firmware_update'), first);
});

void t.test('what another gateway has answered to the same request stays when a decision is revoked', async (t) => {
  for (const origin of ['rest', 'everest'] as const) {
    const d = await openStage(t);
    const other = await openStage(t, { prefix: d.prefix });
    const same = requester(`sent to both by ${origin}`, origin);
    let kept: Answer | undefined;
    d.beforeNextCommit(async () => {
      kept = await other.intake.updateFirmware(UPDATE, same);
      await other.intake.confirm(kept);
      throw new Error('Command timed out');
    });
    await t.rejects(d.intake.updateFirmware(UPDATE, same), { code: 'NOT_STORED' });
    await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
    t.match(
      await d.answerOf(same.answerKey),
      { operationId: must(kept?.operationId) },
      `${origin}: its answer is kept`,
    );
    const again = await d.intake.updateFirmware(UPDATE, same);
    t.strictSame([again.operationId, again.reply], [kept?.operationId, 'Accepted'], 'asked again: the same operation');
    t.equal((await d.openRecords()).length, 1, 'one operation');
  }
});

/** Asked again while it could not be stored: of its 200 ms a standstill may leave none, and nothing has happened then. */
const permissionOnceStored = (intake: Intake): Promise<unknown> =>
  awaitUntil(
    () =>
      intake.isResetAllowed(requester(), true).catch((error: { code?: string }) => {
        if (error.code !== 'NOT_STORED') throw error;
        return undefined;
      }),
    10_000,
    'an answer that is stored',
  ).then(({ reply }) => reply);

void t.test('an outage costs those who come one after the other no more than those who came first', async (t) => {
  const took: number[] = [];
  // One after the other with patience of their own they would take 8 s. A machine that stands still twice takes nearly as long for
  // those who have none: the best of three rounds counts.
  while (took.length < 3 && !(Math.min(...took) < 7000)) {
    const d = await openStage(t, { timeoutMs: 200 });
    d.freezeAtCommit();
    const began = performance.now();
    // A broker that passes on one request at a time, each once the one before was answered.
    for (let n = 0; n < 20; n++)
      await t.rejects(d.intake.isResetAllowed(requester(`in a row ${n}`), true), { code: 'NOT_STORED' });
    took.push(performance.now() - began);
    server.thaw();
    await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
    t.equal(await permissionOnceStored(d.intake), true, 'and it serves again');
  }
  t.ok(Math.min(...took) < 7000, `refused after ${took.map(Math.round).join()} ms`);
});

void t.test('a confirmation of unknown fate is made again: its answer is out', async (t) => {
  const d = await openStage(t, FROZEN);
  const answer = await d.intake.updateFirmware(UPDATE, requester());
  d.freezeAtCommit();
  await t.rejects(confirmOffer(d.intake, answer), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
  t.match(await d.store.load(must(answer.operationId)), { state: 'Accepted' });
  await confirmOffer(d.intake, answer);
  t.same(await d.jobIds(), [`${answer.operationId}.download.1`]);
});

void t.test('a question from REST that could not be stored leaves EVerest’s reservation alone', async (t) => {
  const d = await openStage(t, FROZEN);
  await d.intake.isResetAllowed(requester('everest'), true);
  const { resetReservedUntil } = await d.state();
  t.ok(must(resetReservedUntil) > Date.now());
  d.freezeAtCommit();
  await t.rejects(d.intake.isResetAllowed(requester('rest', 'rest'), false), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
  t.equal((await d.state()).resetReservedUntil, resetReservedUntil);
});

void t.test('the intake goes on when Redis has forgotten its epoch', async (t) => {
  const d = await openStage(t, FROZEN);
  d.freezeAtCommit();
  await t.rejects(d.intake.isResetAllowed(requester(), true), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
  const guards = d.commits.flatMap((transaction) => transaction.guards);
  const [key] = must(guards.find(([, field]) => field === 'epoch'));
  await awaitUntil(async () => (await d.patient.exists(key)) === 1, 5000, 'the epoch is stored');
  t.ok((await d.patient.pttl(key)) > 0, 'it goes away when its process does');
  await d.patient.del(key);
  t.equal((await d.intake.isResetAllowed(requester(), true)).reply, true);
});
