import t from 'tap';
import { STATION } from './fixtures.js';
import { openStage, requester, SILENT } from './stage.js';

void t.test('boot reasons: one for each boot', async (t) => {
  const d = await openStage(t);
  const ask = async (liveness = SILENT) => d.intake.getBootReason(requester(), liveness);
  t.match(await ask(), { reply: 'PowerUp', begun: false });
  t.match(await ask(), { reply: 'PowerUp', begun: false });
  await d.intake.reset({ type: 'Soft', scheduled: true }, requester());
  t.match(await ask(), { reply: 'ScheduledReset', begun: true }, 'before the first heartbeat');
  t.equal((await d.state()).bootEpoch, 1);
  t.match(await ask({ silentMs: 60_000, heartbeatPeriodMs: 1000 } as never), { reply: 'ScheduledReset', begun: false });
  t.equal((await d.state()).bootEpoch, 1, 'asked twice: one boot');
  await d.boots.notice(STATION, 3000);
  t.equal((await d.state()).bootEpoch, 2);
  t.match(await ask(), { reply: 'ApplicationReset', begun: false }, 'as noticed by the heartbeat');
});

void t.test('many boot questions at once count one boot', async (t) => {
  const d = await openStage(t);
  await d.intake.reset({ type: 'Soft' }, requester());
  const answers = await Promise.all(Array.from({ length: 10 }, () => d.intake.getBootReason(requester(), SILENT)));
  t.same(new Set(answers.map(({ reply }) => reply)), new Set(['RemoteReset']));
  t.equal((await d.state()).bootEpoch, 1);
});
