import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { putOff } from '@khumbu/operations/jobs/job-loop';
import { auditEnded } from '@khumbu/operations/kinds/audit';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { type SystemTimeRecord, tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import { createStore } from '@khumbu/operations/kinds/store';
import { ended } from '@khumbu/operations/records/record';
import { createLogger } from '@khumbu/shared/runtime/logger';
import t from 'tap';
import { logRecord, updateRecord } from './make-records.js';
import { AT, NOW, newPrefix, redis, stored } from './store-stage.js';

void t.test('an ended operation has one audit line, by whoever ended it', async (t) => {
  const lines: unknown[] = [];
  const log = createLogger('test', 'info', { write: (line: string) => lines.push(JSON.parse(line)) });
  const store = createStore(redis, newPrefix(), auditEnded(log));
  const open = await stored(store, logRecord({ requestId: 7 }));
  const end = ended({ ...open, state: 'UploadFailure' as const }, AT, {
    ok: false,
    reason: 'denied',
    message: 'https://user:secret@files.example/x said no',
  });
  t.notOk(await store.commit(store.transaction().put({ ...end, version: 9 })));
  t.same(lines, [], 'not for what was not stored, and not for what goes on');
  t.ok(await store.commit(store.transaction().put(end)));
  t.equal(lines.length, 1);
  t.match(lines[0], {
    audit: true,
    operationId: open.id,
    kind: 'log_upload',
    station: 'cp1',
    origin: 'everest',
    request_id: 7,
    status: 'UploadFailure',
    outcome: { ok: false, reason: 'denied' },
  });
  t.notMatch(JSON.stringify(lines), /secret/);
});

void t.test('an end is told and audited once, however often what has ended is put', async (t) => {
  const lines: string[] = [];
  const log = createLogger('test', 'info', { write: (line: string) => lines.push(line) });
  const store = createStore(redis, newPrefix(), auditEnded(log));
  const told = async (): Promise<unknown[]> => {
    const all = await redis.xrange(store.keys.events, '-', '+');
    return all.map(([, fields]) => {
      const { operationId, ended: isEnd } = JSON.parse(String(fields[fields.indexOf('event') + 1]));
      return `${operationId} ${isEnd ? 'ended' : 'open'}`;
    });
  };
  const open = await stored(store, updateRecord({ id: 'up', state: 'Installing' }));
  const held: FirmwareUpdateRecord = { ...open, state: 'InstallationFailed', slotHeld: true };
  let update = await stored(store, ended(held, AT, { ok: false }));
  t.same(await told(), ['up open', 'up ended']);
  for (let tries = 0; tries < 3; tries++) {
    update = await stored(store, putOff(update, 10_000, 'station_busy', momentOf(NOW + tries)));
  }
  t.match(update, { version: 5, run: 4, waitingFor: 'station_busy' }, 'stored all the same');
  const { slotHeld: _held, ...released } = update;
  await stored(store, released);
  t.same(await told(), ['up open', 'up ended']);
  t.equal(lines.length, 1);

  const time = { value: 1, toldAtRedisMs: 1, origin: 'rest' } as const;
  let clock: SystemTimeRecord | undefined;
  for (let times = 0; times < 2; times++) {
    clock = await stored(store, tellSystemTime(clock, 'cp1', time, AT));
    clock = await stored(store, ended({ ...clock, state: 'Done' as const }, AT, { ok: true }));
  }
  t.same(
    (await told()).slice(2),
    ['open', 'ended', 'open', 'ended'].map((word) => `${clock?.id} ${word}`),
    'what is used again ends again',
  );
  t.equal(lines.length, 3);
});
