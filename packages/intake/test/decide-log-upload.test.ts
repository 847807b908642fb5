import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import t from 'tap';
import { decideLogUpload } from '../src/decide-log-upload.js';
import { LOGS, locations, logUpload, profile } from './fixtures.js';

const withLogs = (logs: RealDriverEntry['logs']) =>
  profile({
    driver: { transport: 'local', state_dir: '/var/lib/khumbu', profile: 'rauc', ...(logs ? { logs } : {}) },
  });

void t.test('upload_logs', async (t) => {
  const situation = { profile: profile(), current: undefined, locations, fileName: 'name.tar.gz' };
  const { request_id: _id, ...oldRequest } = LOGS;
  const accepted = { reply: 'Accepted', fileName: 'name.tar.gz', logType: 'DiagnosticsLog' };
  t.same(decideLogUpload(LOGS, situation), accepted);
  t.same(decideLogUpload(oldRequest, situation), accepted);
  t.same(decideLogUpload({ ...LOGS, type: '' }, situation), accepted);
  t.match(decideLogUpload({ ...LOGS, type: 'SecurityLog' }, situation), { logType: 'SecurityLog' });
  t.match(decideLogUpload({ ...LOGS, location: 'https://files.example/put/mine.log' }, situation), {
    fileName: 'mine.log',
  });
  const refusals: [object, object][] = [
    [LOGS, { profile: undefined }],
    [{ ...LOGS, type: 'Diary' }, {}],
    [{ ...LOGS, type: 'DataCollectorLog' }, {}],
    [LOGS, { profile: withLogs({ DiagnosticsLog: [] }) }],
    [{ ...LOGS, location: 'ftp://files.example/' }, {}],
    [{ ...LOGS, location: 'http://169.254.169.254/' }, {}],
    [{ ...LOGS, oldest_timestamp: '2026-02-02T00:00:00Z', latest_timestamp: '2026-02-01T00:00:00Z' }, {}],
  ];
  for (const [request, more] of refusals) {
    const decision = decideLogUpload(request as typeof LOGS, { ...situation, ...more });
    t.match(decision, { reply: 'Rejected', reason: /./ });
    t.notOk('fileName' in decision, 'no file name where nothing will come');
  }
  t.match(
    decideLogUpload({ ...LOGS, type: 'SecurityLog' }, { ...situation, profile: withLogs({ DiagnosticsLog: [] }) }),
    {
      reply: 'Accepted',
      logType: 'SecurityLog',
    },
  );
  for (const state of ['Offered', 'Accepted', 'Uploading'] satisfies LogUploadRecord['state'][]) {
    const current = logUpload(state);
    t.match(decideLogUpload(LOGS, { ...situation, current }), {
      reply: 'AcceptedCanceled',
      replaces: { id: current.id },
    });
  }
  t.equal(decideLogUpload(LOGS, { ...situation, current: logUpload('Uploaded', { endedAt: 1 }) }).reply, 'Accepted');
});
