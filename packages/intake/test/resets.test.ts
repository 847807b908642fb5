import { resetReservedMs } from '@khumbu/operations/stations/station-state';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import type { Answer } from '../src/decision.js';
import { STATION } from './fixtures.js';
import { accepted, FROZEN, must, openStage, requester, type Stage, server } from './stage.js';

const SIGNS_OF_BOOT: Record<string, (d: Stage) => Promise<unknown>> = {
  'by its heartbeat': (d) => d.boots.notice(STATION, 3000),
  'by its question': (d) => d.intake.getBootReason(requester(), { silentMs: 5000, heartbeatPeriodMs: 1000 }),
};

void t.test('a reservation belongs to the question that made it, until EVerest resets', async (t) => {
  const d = await openStage(t);
  const first = requester();
  t.equal((await d.intake.isResetAllowed(first, true)).reply, true);
  t.equal((await d.intake.isResetAllowed(requester(), true)).reply, true);
  const reserved = must((await d.state()).resetReservedUntil);
  await d.intake.revoke(first, 'is_reset_allowed', undefined);
  t.equal((await d.state()).resetReservedUntil, reserved, 'revoking the first question leaves the second one alone');
  await d.intake.reset({ type: 'Soft' }, requester('tool', 'rest'));
  t.equal((await d.state()).resetReservedUntil, reserved, 'an operator’s reset leaves it alone');
  await d.intake.reset({ type: 'Hard' }, requester());
  t.equal((await d.state()).resetReservedUntil, undefined, 'EVerest’s own uses it up');

  t.equal((await d.intake.isResetAllowed(requester(), true)).reply, true);
  await d.intake.reset({ type: 'Hard' }, requester());
  t.equal((await d.state()).resetReservedUntil, undefined, 'also one that is open already');

  const last = requester();
  await d.intake.isResetAllowed(last, true);
  await d.intake.revoke(last, 'is_reset_allowed', undefined);
  t.match(await d.state(), { resetReservedUntil: undefined, resetAllowedEpoch: undefined });
});

void t.test('a reservation ends with the boot of EVerest that was told it may reset', async (t) => {
  for (const [how, begin] of Object.entries(SIGNS_OF_BOOT)) {
    const d = await openStage(t);
    t.equal((await d.intake.isResetAllowed(requester(), true)).reply, true);
    await begin(d);
    t.match(await d.state(), { bootEpoch: 1, resetReservedUntil: undefined, resetAllowedEpoch: undefined }, how);
    t.equal((await d.intake.isResetAllowed(requester(), true)).reply, true, 'and it may be reserved anew');
    t.match(await d.state(), { resetAllowedEpoch: 1 });
  }
});

void t.test('is_reset_allowed and a boot in the same moment: what is reserved is the boot that was told', async (t) => {
  for (const [how, begin] of Object.entries(SIGNS_OF_BOOT)) {
    for (const isKnown of [false, true]) {
      const d = await openStage(t);
      if (isKnown) await d.intake.isResetAllowed(requester(), false);
      d.beforeNextCommit(() => begin(d));
      t.equal((await d.intake.isResetAllowed(requester(), true)).reply, true, how);
      const state = await d.state();
      t.match(state, { bootEpoch: 1, resetAllowedEpoch: 1 }, how);
      t.ok(resetReservedMs(state, Date.now()) > 0, `${how}: installs keep away`);
    }
  }
});

void t.test('what two questions have reserved stays when either is answered by default', async (t) => {
  for (const taken of ['first', 'second'] as const) {
    for (const how of ['one after the other', 'in the same moment', 'while it is revoked'] as const) {
      const d = await openStage(t);
      const other = await openStage(t, { prefix: d.prefix });
      const asked = { first: requester('is_reset_allowed:1'), second: requester('is_reset_allowed:2') };
      const askFirst = async (): Promise<void> => {
        t.equal((await other.intake.isResetAllowed(asked.first, true)).reply, true);
      };
      if (how === 'in the same moment') d.beforeNextCommit(askFirst);
      else await askFirst();
      const askSecond = async (): Promise<void> => {
        t.equal((await d.intake.isResetAllowed(asked.second, true)).reply, true);
      };
      if (how === 'while it is revoked') other.beforeNextCommit(askSecond);
      else await askSecond();
      const revoke = () => other.intake.revoke(asked[taken], 'is_reset_allowed', undefined);
      await revoke().catch(revoke);
      t.ok(resetReservedMs(await d.state(), Date.now()) > 0, `the ${taken} one, asked ${how}`);
      t.match(await d.answerOf(asked[taken].answerKey), { reply: false });
    }
  }
});

void t.test('a reservation is not cut short by one of a shorter time', async (t) => {
  const d = await openStage(t);
  const brief = await openStage(t, { prefix: d.prefix, resetReservationMs: 1000 });
  await d.intake.isResetAllowed(requester(), true);
  const { resetReservedUntil } = await d.state();
  await brief.intake.isResetAllowed(requester(), true);
  t.equal((await d.state()).resetReservedUntil, resetReservedUntil);
});

void t.test('is_reset_allowed and an install that begins in the same moment', async (t) => {
  const d = await openStage(t);
  const id = await accepted(d.intake);
  await d.advance(id, ['fetchJoined', 'fetched']);
  let raced = false;
  d.afterLoad(async (loaded) => {
    if (raced || loaded !== id) return;
    raced = true;
    await d.advance(id, ['installBegun']);
  });
  t.equal((await d.intake.isResetAllowed(requester(), true)).reply, false, 'the newer state decides');
  t.equal((await d.state()).resetReservedUntil, undefined);
});

void t.test(
  'is_reset_allowed, a reset, and an update that comes and begins to install in the same moment',
  async (t) => {
    const TO_INSTALLING = ['fetchJoined', 'fetched', 'installBegun'] as const;
    for (const before of ['no update before', 'one that has ended']) {
      for (const asks of ['is_reset_allowed', 'reset']) {
        await t.test(`${asks}, ${before}`, async (t) => {
          const d = await openStage(t);
          if (before !== 'no update before') await d.advance(await accepted(d.intake), ['canceled']);
          d.beforeNextCommit(async () => d.advance(await accepted(d.intake), TO_INSTALLING));
          if (asks === 'is_reset_allowed') {
            t.match(await d.intake.isResetAllowed(requester(), true), { reply: false, reason: 'installing' });
            t.equal((await d.state()).resetReservedUntil, undefined);
            return;
          }
          const { operationId } = await d.intake.reset({ type: 'Soft', scheduled: false }, requester());
          t.match(await d.store.load(must(operationId)), { reasonStored: false });
          t.equal((await d.state()).restartExpected, undefined, 'the boot to come is that of the update');
        });
      }
    }
  },
);

void t.test('a reset is one until its restart is seen', async (t) => {
  const d = await openStage(t);
  const soft = { type: 'Soft', scheduled: false } as const;
  const [first, second] = await Promise.all([d.intake.reset(soft, requester()), d.intake.reset(soft, requester())]);
  const id = must(first.operationId);
  t.equal(second.operationId, id);
  t.equal((await d.intake.reset({ type: 'Soft' }, requester())).operationId, id, 'scheduled false is the default');
  t.same(await d.jobIds(), [`${id}.reset.1`]);
  t.match((await d.state()).restartExpected, { reason: 'RemoteReset', operationId: id });
  const hard = await d.intake.reset({ type: 'Hard', scheduled: true }, requester());
  t.not(hard.operationId, id);
  t.match(await d.store.load(id), { state: 'Superseded' });
  t.match((await d.state()).restartExpected, { reason: 'ScheduledReset' });
});

void t.test('a reset is shown to REST as it is stored', async (t) => {
  const d = await openStage(t);
  for (const [key, version] of [
    ['tool', 1],
    ['tool', 2],
    ['other', 2],
  ] as const) {
    const { record } = await d.intake.reset({ type: 'Soft' }, requester(key, 'rest'));
    t.equal(record?.version, version, key);
    t.same(record, await d.store.load(must(record).id), key);
  }
});

void t.test('a reset whose commit was of unknown fate is stored once, with its job', async (t) => {
  const d = await openStage(t, FROZEN);
  d.freezeAtCommit();
  await t.rejects(d.intake.reset({ type: 'Soft' }, requester()), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
  const { operationId } = await d.intake.reset({ type: 'Soft' }, requester());
  const resets = (await d.openRecords()).map(({ id }) => id);
  t.same(resets, [operationId]);
  t.same(await d.jobIds(), [`${operationId}.reset.1`]);
});

void t.test('a reset of REST that could not be stored is not done', async (t) => {
  const d = await openStage(t, FROZEN);
  const rest = requester('rest:1', 'rest');
  d.freezeAtCommit();
  await t.rejects(d.intake.reset({ type: 'Hard' }, rest), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
  t.same(await d.openRecords(), [], 'nothing that a job would be made for');
  const [over] = await d.store.operationsOf(STATION);
  t.match(over, { state: 'Failed', outcome: { ok: false, reason: 'withdrawn' } }, 'for all to see');
  t.equal(await d.slot('reset'), undefined);
  t.equal((await d.state()).restartExpected, undefined);
  t.equal(await d.answerOf('rest:1'), undefined);
  const again = await d.intake.reset({ type: 'Hard' }, rest);
  t.not(again.operationId, over?.id, 'asked again, it is decided anew');
  await d.intake.confirm(again);
  t.same(await d.jobIds(), [`${again.operationId}.reset.1`]);
});

void t.test('a reset of REST that another request counts on is not revoked', async (t) => {
  const others = [
    ['EVerest', requester('e', 'everest')],
    ['the same request at another gateway', requester('rest:2', 'rest')],
    ['another caller', requester('rest:3', 'rest')],
  ] as const;
  for (const [name, who] of others) {
    const d = await openStage(t, FROZEN);
    const other = await openStage(t, { ...FROZEN, prefix: d.prefix });
    d.freezeAtCommit();
    await t.rejects(d.intake.reset({ type: 'Hard' }, requester('rest:2', 'rest')), { code: 'NOT_STORED' });
    let counted: Answer | undefined;
    d.beforeNextCommit(async () => {
      counted = await other.intake.reset({ type: 'Hard' }, who);
      await other.intake.confirm(counted);
    });
    server.thaw();
    await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
    const id = must(counted?.operationId);
    t.match(await d.store.load(id), { state: 'Accepted' }, name);
    t.equal(await d.slot('reset'), id);
    t.same(await d.jobIds(), [`${id}.reset.1`]);
  }
});

void t.test('what another gateway has answered to the same reset stays when a decision is revoked', async (t) => {
  const d = await openStage(t);
  const other = await openStage(t, { prefix: d.prefix });
  const same = requester('rest:both', 'rest');
  let kept: Answer | undefined;
  d.beforeNextCommit(async () => {
    kept = await other.intake.reset({ type: 'Hard' }, same);
    throw new Error('Command timed out');
  });
  await t.rejects(d.intake.reset({ type: 'Hard' }, same), { code: 'NOT_STORED' });
  await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
  t.match(await d.answerOf('rest:both'), { operationId: must(kept?.operationId) });
});

void t.test('a reset that one of REST would have replaced is done when that could not be stored', async (t) => {
  const d = await openStage(t, FROZEN);
  const { operationId } = await d.intake.reset({ type: 'Soft', scheduled: true }, requester());
  d.freezeAtCommit();
  const replacing = { ...requester('rest:4', 'rest'), replace: true };
  await t.rejects(d.intake.reset({ type: 'Hard' }, replacing), { code: 'NOT_STORED' });
  server.thaw();
  await awaitUntil(() => d.intake.isSettled(), 5000, 'settled');
  t.match(await d.store.load(must(operationId)), { state: 'Superseded' });
  const [open, ...more] = await d.openRecords();
  t.match(open, { kind: 'reset', state: 'Accepted', origin: 'everest', type: 'Soft', scheduled: true });
  t.same(more, []);
  t.equal(await d.slot('reset'), open?.id);
  t.match((await d.state()).restartExpected, { reason: 'ScheduledReset', operationId: open?.id });
  t.ok((await d.jobIds()).includes(`${open?.id}.reset.1`));
});

void t.test('a reset during an install is kept', async (t) => {
  const d = await openStage(t);
  const id = await accepted(d.intake);
  await d.advance(id, ['fetchJoined', 'fetched', 'installBegun']);
  const { operationId } = await d.intake.reset({ type: 'NotSpecified' }, requester());
  t.match(await d.store.load(must(operationId)), { state: 'Accepted', type: 'NotSpecified' });
  t.match(await d.store.load(id), { state: 'Installing' });
});
