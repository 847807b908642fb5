import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { installAt, retrieveAt } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { deadlineDate, isOverdue, waitingOf } from '@khumbu/operations/kinds/kinds';
import { logWindow } from '@khumbu/operations/kinds/log-upload/window';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import t from 'tap';
import { updateRecord } from './make-records.js';

const NOW = Date.UTC(2026, 10, 22);
const MIN = '0001-01-01T00:00:00Z';
const MAX = '9999-12-31T23:59:59.9999999Z';
const LAST = '2100-01-01T00:00:00.000Z';

void t.test('an update for the end of time waits for 2100, and shows that in RFC 3339', async (t) => {
  const request = { request_id: 3, location: 'http://x/y', retrieve_timestamp: MAX, install_timestamp: MAX };
  const context = {
    now: momentOf(NOW),
    dialect: 'ocpp2.x',
    bootEpoch: 1,
  } as const;
  const accepted = updateRecord({ request, state: 'Accepted' });
  const { record } = applyUpdateEvent(accepted, 'retrieveLater', context);
  t.equal(rfc3339(retrieveAt(record) ?? 0), LAST);
  t.equal(rfc3339(installAt(record) ?? 0), LAST);
  t.equal(rfc3339(deadlineDate(record, context.now) ?? 0), '2100-01-02T00:00:00.000Z');
  const waiting = waitingOf(record, context.now);
  t.match(waiting, { for: 'retrieve_timestamp', until: Date.UTC(2100, 0, 1), afterwards: 'goes_on' });
  t.notOk(isOverdue(record, momentOf(Date.UTC(2099, 0, 1))));
});

void t.test('an update for a time before there were chargers is for now', async (t) => {
  for (const text of [MIN, '1970-01-01T00:00:00Z', '1999-12-31T23:59:59Z', '0000-01-01T00:00:00+14:00']) {
    const request = { request_id: 3, location: 'http://x/y', retrieve_timestamp: text, install_timestamp: text };
    const record = updateRecord({ request, state: 'Accepted', deadlineAt: NOW + 1000 });
    t.ok((retrieveAt(record) ?? Infinity) < NOW);
    t.ok((installAt(record) ?? Infinity) < NOW);
    t.equal(waitingOf(record, momentOf(NOW))?.for, 'worker', text);
  }
});

void t.test('what a window of logs means at its edges', async (t) => {
  const window = (oldest?: string, latest?: string) =>
    logWindow({
      ...(oldest === undefined ? {} : { oldest_timestamp: oldest }),
      ...(latest === undefined ? {} : { latest_timestamp: latest }),
    });
  const [early, late] = ['2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z'];
  const [oldest, latest] = [new Date(early), new Date(late)];
  t.same(window(), {});
  t.same(window(early, late), { oldest, latest });
  t.same(window(early, early), { oldest, latest: oldest });
  t.equal(window(late, early), undefined, 'turned round');
  t.same(window(MIN, MAX), {}, 'all there is');
  t.same(window(MIN, MIN), {}, 'neither was set');
  t.same(window(early, MIN), { oldest }, 'the latest was not set');
  t.same(window('1970-01-01T00:00:00Z', late), { latest });
  t.same(window(early, MAX), { oldest });
  t.equal(window(MAX), undefined);
  t.equal(window(MAX, MAX), undefined);
  t.equal(window(MAX, MIN), undefined);
  t.equal(window('2100-06-01T00:00:00Z'), undefined);
});
