import { randomUUID } from 'node:crypto';
import type { QueueName } from '@khumbu/operations/jobs/expected-job';
import t from 'tap';
import { LOGS, STATION, UPDATE } from './fixtures.js';
import { NETWORK, openStage, requester, SILENT } from './stage.js';

void t.test('a station that is not configured is answered fail-closed and nothing is stored for it', async (t) => {
  const d = await openStage(t, { profile: undefined });
  t.equal((await d.intake.updateFirmware(UPDATE, requester())).reply, 'Rejected');
  t.same((await d.intake.uploadLogs(LOGS, requester())).reply, { upload_logs_status: 'Rejected' });
  t.equal((await d.intake.isResetAllowed(requester(), true)).reply, false);
  t.equal((await d.intake.setSystemTime('2026-12-01T00:00:00Z', requester())).reply, false);
  t.equal((await d.intake.getBootReason(requester(), SILENT)).reply, 'Unknown');
  t.same((await d.intake.configureNetwork(NETWORK, requester())).reply, { status: 'NotSupported' });
  t.match(await d.intake.reset({ type: 'Soft' }, requester()), { reason: 'station_not_configured' });
  t.same(await d.openRecords(), []);
  t.same(await d.store.station(STATION), {});
});

void t.test('what no worker is there to do is answered by default, and so is its repetition', async (t) => {
  const abandoned: QueueName[] = ['firmware-fetches', 'log-uploads', 'system-control'];
  const d = await openStage(t, { abandoned });
  const key = randomUUID();
  t.match(await d.intake.updateFirmware(UPDATE, requester(key)), { reply: 'Rejected', reason: 'workers_gone' });
  t.same((await d.intake.uploadLogs(LOGS, requester())).reply, { upload_logs_status: 'Rejected' });
  t.equal((await d.intake.isResetAllowed(requester(), true)).reply, false);
  t.equal((await d.intake.setSystemTime('2026-12-01T00:00:00Z', requester())).reply, false);
  t.same((await d.intake.configureNetwork(NETWORK, requester())).reply, { status: 'NotSupported' });
  t.same(await d.intake.questionsOver(d.store).resetPermission(STATION), { allowed: false, reason: 'workers_gone' });
  t.same(await d.openRecords(), []);
  t.equal((await d.state()).resetReservedUntil, undefined);
  t.equal((await d.intake.getBootReason(requester(), SILENT)).reply, 'PowerUp', 'from records alone');
  await t.rejects(d.intake.updateFirmware(UPDATE, requester(randomUUID(), 'rest')), { code: 'WORKERS_GONE' });
  await t.rejects(d.intake.reset({ type: 'Soft' }, requester(randomUUID(), 'rest')), { code: 'WORKERS_GONE' });
  t.type(
    (await d.intake.reset({ type: 'Soft' }, requester())).operationId,
    'string',
    'EVerest has stopped itself and waits',
  );
  abandoned.length = 0;
  t.equal(
    (await d.intake.updateFirmware(UPDATE, requester(key))).reply,
    'Rejected',
    'the same request, the same answer',
  );
  t.equal((await d.intake.updateFirmware(UPDATE, requester())).reply, 'Accepted');
});
