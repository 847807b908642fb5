import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { reaffirm } from '@khumbu/operations/kinds/firmware-update/reaffirm';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { UPDATE_DEADLINES } from '@khumbu/operations/kinds/firmware-update/transition';
import { definitionOf, isOverdue } from '@khumbu/operations/kinds/kinds';
import { iso } from '@khumbu/test-support/dates';
import t from 'tap';
import { logRecord, networkRecord, resetRecord, updateRecord } from './make-records.js';
import { type EventWithDetail, HOUR, NOW, SIGNED, TO_VERIFIED, walk } from './update-walk.js';

void t.test('how long a state may last', async (t) => {
  const later = {
    ...SIGNED.request,
    location: 'x',
    request_id: 7,
    retrieve_timestamp: iso(NOW + 50 * HOUR),
    install_timestamp: iso(NOW + 90 * HOUR),
  };
  const past = { ...later, retrieve_timestamp: iso(NOW - HOUR), install_timestamp: iso(NOW - HOUR) };
  const cases: [string, Partial<FirmwareUpdateRecord>, readonly EventWithDetail[], number][] = [
    ['accepted', SIGNED, ['confirmed'], UPDATE_DEADLINES.downloadMs],
    [
      'to be fetched later',
      { ...SIGNED, request: later },
      ['confirmed', 'retrieveLater'],
      50 * HOUR + UPDATE_DEADLINES.downloadMs,
    ],
    ['to have been fetched', { ...SIGNED, request: past }, ['confirmed'], UPDATE_DEADLINES.downloadMs],
    [
      'all tries together',
      SIGNED,
      ['confirmed', 'fetchJoined', 'tryFailed', 'fetchJoined'],
      UPDATE_DEADLINES.downloadMs,
    ],
    ['permission', SIGNED, TO_VERIFIED, UPDATE_DEADLINES.permissionMs + 3],
    [
      'permission and time',
      { ...SIGNED, request: later },
      [...TO_VERIFIED, 'installLater'],
      90 * HOUR + UPDATE_DEADLINES.permissionMs,
    ],
    ['installing', SIGNED, [...TO_VERIFIED, 'installBegun'], UPDATE_DEADLINES.installMs + 4],
    ['rebooting', SIGNED, [...TO_VERIFIED, 'installBegun', 'rebootNeeded'], UPDATE_DEADLINES.rebootMs + 5],
  ];
  for (const [what, changes, events, wanted] of cases)
    t.equal((walk(updateRecord(changes), 'unknown', events).record.deadlineAt ?? 0) - NOW, wanted, what);

  const waiting = walk(updateRecord(SIGNED), 'unknown', TO_VERIFIED).record;
  const restarted = reaffirm(waiting, {
    now: momentOf(NOW + 100 * HOUR),
    dialect: 'unknown',
    bootEpoch: 2,
  }).record;
  t.equal(restarted.deadlineAt, waiting.deadlineAt, 'a station that restarts every day does not make it last for ever');
});

void t.test('what becomes of a record that is out of time', async (t) => {
  const context = { now: momentOf(NOW), dialect: 'unknown', bootEpoch: 1 } as const;
  const wait = walk(updateRecord(SIGNED), 'unknown', TO_VERIFIED).record;
  const cases = [
    [wait, 'deadline'],
    [{ ...wait, waitingFor: 'permission' }, 'deadline_permission'],
    [{ ...wait, waitingFor: 'error: http://u:p@h/' }, 'deadline_error'],
    [logRecord({ state: 'Uploading' }), 'deadline'],
    [resetRecord({}), 'deadline'],
    [networkRecord({ state: 'Accepted' }), 'deadline'],
  ] as const;
  for (const [record, reason] of cases) {
    const due = { ...record, deadlineAt: NOW };
    t.notOk(isOverdue(due, momentOf(NOW - 1)), record.kind);
    t.ok(isOverdue(due, momentOf(NOW)), record.kind);
    t.notOk(isOverdue({ ...due, endedAt: 1 }, momentOf(NOW)), record.kind);
    const end = definitionOf(due).onDeadline?.(due, context);
    t.match(end?.record, { outcome: { ok: false, reason }, endedAt: NOW, deadlineAt: undefined }, record.kind);
    t.equal(end?.statuses.length, record.kind === 'reset' ? 0 : 1, record.kind);
  }
});
