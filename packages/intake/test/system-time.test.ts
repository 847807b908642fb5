import { systemTimeId } from '@khumbu/operations/kinds/set-system-time/record';
import t from 'tap';
import { STATION } from './fixtures.js';
import { openStage, requester } from './stage.js';

void t.test('a told time is stored once its answer is out, and only if it is known how old it is', async (t) => {
  const TOLD = '2026-12-01T00:00:00Z';
  const d = await openStage(t);
  const id = systemTimeId(STATION);
  const first = await d.intake.setSystemTime(TOLD, requester('first'));
  t.same([first.reply, await d.openRecords(), await d.jobIds()], [true, [], []]);
  await d.intake.confirm(first);
  t.match(await d.store.load(id), { state: 'Pending', value: Date.parse(TOLD) });
  t.same(await d.jobIds(), [`${id}.set-system-time.2`]);

  const refused = await d.intake.setSystemTime('2027-01-01T00:00:00Z', requester('refused'));
  await d.intake.revoke(requester('refused'), 'set_system_time', refused.operationId);
  t.same(await d.answerOf('refused'), { reply: false });
  t.match(await d.store.load(id), { state: 'Pending', value: Date.parse(TOLD) }, 'what was accepted stays');

  const late = await d.intake.setSystemTime('2027-01-01T00:00:00Z', requester('late'), true);
  t.match(late, { reply: true, followUp: undefined }, 'nothing follows from what the broker has kept');
  const repeated = await d.intake.setSystemTime(TOLD, requester('first'));
  t.match(repeated, { reply: true, followUp: undefined });
});

void t.test(
  'a time that was told over REST is found again, also if the process ended before it was stored',
  async (t) => {
    const d = await openStage(t);
    const id = systemTimeId(STATION);
    const tell = () => d.intake.setSystemTime('2026-12-01T00:00:00Z', requester('key', 'rest'));
    t.match(await tell(), { reply: true, operationId: id });
    const again = await tell();
    t.match(again, { reply: true, operationId: id, repeated: true });
    await d.intake.confirm(again);
    t.match(await d.store.load(id), { state: 'Pending', toldAtRedisMs: 0 }, 'too old to be set');
  },
);
