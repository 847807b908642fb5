import t from 'tap';
import { STATION, UPDATE } from './fixtures.js';
import { accepted, openStage, requester, SILENT } from './stage.js';

void t.test('a first try made from memory is stored only if nothing it looked at has changed', async (t) => {
  const d = await openStage(t);
  const written = async (fields: Record<string, string | undefined>): Promise<void> => {
    t.ok(await d.store.commit(d.store.transaction().setStation(STATION, fields)), 'written by another process');
  };
  const allowed = () => d.intake.isResetAllowed(requester(), true);
  t.equal((await allowed()).reply, true);
  t.equal(d.reads(), 1);
  t.equal((await d.intake.isResetAllowed(requester('twice'), true)).reply, true);
  t.same(await d.answerOf('twice'), { reply: true }, 'stored like any other');
  t.equal(d.reads(), 1, 'nothing was read for it');

  await written({ heartbeat: JSON.stringify({ id: 7, at: 1 }), lastSeenAt: '1' });
  t.equal((await d.intake.updateFirmware({ ...UPDATE, request_id: 8 }, requester())).reply, 'Accepted');
  t.equal(d.reads(), 1, 'a heartbeat does not matter to it');

  await written({ conflictSince: '1' });
  t.match(await allowed(), { reply: false, reason: 'station_not_configured' });
  t.equal(d.reads(), 2);
  t.equal((await d.intake.isResetAllowed(requester('twice'), true)).reply, true, 'an answer that is stored stands');
  await written({ conflictSince: undefined });
  t.equal((await allowed()).reply, true);

  await accepted(d.intake);
  t.equal((await d.intake.updateFirmware(UPDATE, requester('second'))).reply, 'AcceptedCanceled');
  await written({ 'slot:firmware_update': undefined });
  t.equal((await d.intake.updateFirmware(UPDATE, requester())).reply, 'Accepted', 'the slot is free by now');
  t.equal((await d.intake.getBootReason(requester(), SILENT)).reply, 'PowerUp');
  await d.boots.notice(STATION, 3000);
  t.equal((await d.intake.getBootReason(requester(), SILENT)).reply, 'ApplicationReset');
});

void t.test('a question that is found open from memory is open by what is stored', async (t) => {
  const d = await openStage(t);
  t.equal((await d.intake.getBootReason(requester(), SILENT)).reply, 'PowerUp');
  const unsure = { silentMs: 900, heartbeatPeriodMs: 1000 };
  t.match(await d.intake.getBootReason(requester(), unsure), { openIn: 0 });
  t.equal(d.reads(), 1, 'nothing was read for it');
  await d.boots.notice(STATION, 3000);
  t.equal((await d.intake.getBootReason(requester(), unsure)).reply, 'ApplicationReset');
});
