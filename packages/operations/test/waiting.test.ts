import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { putOff } from '@khumbu/operations/jobs/job-loop';
import { FIRMWARE_UPDATE_STATES, isBeforeInstall } from '@khumbu/operations/kinds/firmware-update/machine';
import { reaffirm } from '@khumbu/operations/kinds/firmware-update/reaffirm';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import type { StationKind, StationRecord } from '@khumbu/operations/kinds/kinds';
import { deadlineDate, KINDS, operationEvent, STATION_KINDS, waitingOf } from '@khumbu/operations/kinds/kinds';
import { tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import { newRecordBase } from '@khumbu/operations/records/record';
import { LIFTERS, WAIT_WORDS, waitOfWord } from '@khumbu/operations/records/wait-words';
import { iso } from '@khumbu/test-support/dates';
import t from 'tap';
import { logRecord, networkRecord, resetRecord, updateRecord } from './make-records.js';

const NOW = 1_800_000_000_000;
const HOUR = 3600_000;
/** The monotonic clock is far behind the date: the depot was stopped for a year. */
const BEHIND = 365 * 24 * HOUR;
const now = { wall: NOW, monotonic: NOW - BEHIND };

const clockRecord = (state: 'Pending' | 'Done'): StationRecord => ({
  ...tellSystemTime(undefined, 'cp1', { value: NOW, toldAtRedisMs: NOW, origin: 'everest' }, momentOf(NOW)),
  state,
});

/** A record of a kind in a state, where it has to have more than all records have. */
const MAKE: { readonly [K in StationKind]?: (state: never) => StationRecord } = {
  firmware_update: (state) => updateRecord({ state }),
  log_upload: (state) => logRecord({ state }),
  reset: (state) => resetRecord({ state }),
  configure_network: (state) => networkRecord({ state }),
  set_system_time: clockRecord,
};
const recordIn = (kind: StationKind, state: string): StationRecord => {
  const asked = { station: 'cp1', origin: 'everest', requestId: 7, now: momentOf(NOW) } as const;
  return MAKE[kind]?.(state as never) ?? (newRecordBase(kind, state, asked) as StationRecord);
};
const since = { history: [], updatedAt: NOW - HOUR };
const open = { ...since, deadlineAt: now.monotonic + HOUR };

void t.test('every state of every kind that is not final says what it waits for', async (t) => {
  const isFinal = (kind: StationKind, state: string): boolean => {
    const row = (KINDS[kind].transitions as Readonly<Record<string, object>>)[state] ?? {};
    return Object.keys(row).length === 0 || (kind === 'set_system_time' && state === 'Done');
  };
  for (const kind of STATION_KINDS) {
    for (const state of Object.keys(KINDS[kind].waits.words)) {
      const record = { ...recordIn(kind, state), ...open };
      if (isFinal(kind, state)) {
        t.equal(waitingOf({ ...record, endedAt: NOW }, now), undefined, `${kind} ${state} is over`);
        continue;
      }
      const waiting = waitingOf(record, now);
      t.ok(waiting, `${kind} ${state} waits for something`);
      if (!waiting) continue;
      t.ok(WAIT_WORDS.includes(waiting.for), `${kind} ${state}: ${waiting.for}`);
      t.equal(waiting.since, NOW - HOUR, `${kind} ${state}: since when`);
      t.ok(waiting.until !== undefined && waiting.afterwards !== undefined, `${kind} ${state}: until when, and then`);
      t.ok(waiting.liftedBy.length > 0 && waiting.liftedBy.every((who) => who in LIFTERS), `${kind} ${state}: by whom`);
      const event = operationEvent(record, 2, now);
      if (kind !== 'set_system_time')
        t.match(event, { waiting: { for: waiting.for, since: iso(NOW - HOUR), liftedBy: [...waiting.liftedBy] } });
    }
  }
  t.same(
    Object.keys(KINDS.firmware_update.transitions),
    [...FIRMWARE_UPDATE_STATES],
    'the tables have the same states',
  );
  // Nothing is waited for in a final state, nor by a record that rests until it is used again.
  const resting = ['Done', 'Resting'];
  for (const { transitions, waits } of Object.values(KINDS)) {
    const rows = Object.entries<object>(transitions).filter(([state]) => !resting.includes(state));
    const open = rows.filter(([, row]) => Object.keys(row).length > 0).map(([state]) => state);
    t.same(Object.keys(waits.words), open);
  }
});

void t.test('whatever a state of an update is in the way of, it is named', async (t) => {
  const request = { location: 'http://h/f', request_id: 7 };
  const inTwoHours = iso(NOW + 2 * HOUR);
  const longAgo = iso(NOW - 2 * HOUR);
  const permission = { bootEpoch: 1, at: NOW, by: 'everest' as const };
  const cases: [string, Partial<FirmwareUpdateRecord>, object][] = [
    [
      'a date to fetch at',
      { state: 'DownloadScheduled', request: { ...request, retrieve_timestamp: inTwoHours } },
      { for: 'retrieve_timestamp', until: NOW + 2 * HOUR, afterwards: 'goes_on', liftedBy: ['time'] },
    ],
    [
      'a date to fetch at that has passed',
      { state: 'DownloadScheduled', request: { ...request, retrieve_timestamp: longAgo } },
      { for: 'worker', liftedBy: ['worker'] },
    ],
    [
      'the pause between two tries',
      { state: 'Downloading', waitingFor: 'retry', notBefore: now.monotonic + 60_000 },
      {
        for: 'retry',
        until: NOW + 60_000,
        afterwards: 'goes_on',
        liftedBy: ['time'],
      },
    ],
    [
      'a pause that is over',
      { state: 'Downloading', waitingFor: 'retry', notBefore: now.monotonic - 1 },
      { for: 'worker' },
    ],
    ['a running fetch', { state: 'Downloading', fetch: { id: 'f', generation: 1 } }, { for: 'download' }],
    ['a signature to be checked', { state: 'Downloaded', signed: true }, { for: 'verification' }],
    ['EVerest', { state: 'Downloaded' }, { for: 'permission', liftedBy: ['everest', 'operator'], afterwards: 'fails' }],
    ['an operator', { state: 'Downloaded', announced: false }, { for: 'permission', liftedBy: ['operator'] }],
    [
      'a permission that may never come',
      { state: 'InstallScheduled', waitingFor: 'permission_unobtainable' },
      { for: 'permission_unobtainable', liftedBy: ['operator', 'everest'] },
    ],
    [
      'permission, however far the date is',
      { state: 'InstallScheduled', request: { ...request, install_timestamp: inTwoHours } },
      { for: 'permission', until: NOW + 2 * HOUR },
    ],
    [
      'a date to install at, with permission',
      { state: 'InstallScheduled', permission, request: { ...request, install_timestamp: inTwoHours } },
      { for: 'install_timestamp', until: NOW + 2 * HOUR, afterwards: 'goes_on', liftedBy: ['time'] },
    ],
    ['a worker, with permission', { state: 'SignatureVerified', signed: true, permission }, { for: 'worker' }],
    [
      'a reservation',
      {
        state: 'Downloaded',
        permission,
        ...waitsUntil('reset_reservation', now.monotonic + 500, now.monotonic + 90_000),
      },
      { for: 'reset_reservation', until: NOW + 90_000, afterwards: 'goes_on', liftedBy: ['time', 'everest'] },
    ],
    ['a reset', { state: 'Downloaded', permission, waitingFor: 'reset' }, { for: 'reset', afterwards: 'fails' }],
    [
      'an answer to another request',
      { state: 'Downloading', heldFor: 'x', hold: { since: NOW - 5, until: now.monotonic + 30_000 } },
      { for: 'successor', since: NOW - 5, until: NOW + 30_000, afterwards: 'goes_on', liftedBy: ['gateway'] },
    ],
    [
      'an error',
      { state: 'Downloaded', permission, waitingFor: 'error: cannot: reach', notBefore: now.monotonic + 1000 },
      { for: 'error', detail: 'cannot: reach', until: NOW + 1000 },
    ],
    [
      'its slot, after its end',
      { state: 'InstallationFailed', endedAt: NOW - 7, slotHeld: true, deadlineAt: undefined } as object,
      { for: 'station_busy', since: NOW - 7, until: undefined, afterwards: undefined },
    ],
    ['a word of another version', { state: 'Downloaded', waitingFor: 'rain' as 'retry' }, { for: 'permission' }],
  ];
  for (const [what, changes, wanted] of cases)
    t.match(waitingOf(updateRecord({ ...open, ...changes }), now), wanted, what);
});

function waitsUntil(waitingFor: 'reset_reservation', notBefore: number, waitingUntil: number) {
  return { waitingFor, notBefore, waitingUntil };
}

void t.test('a permission is waited for since it was first wanted, through dates and restarts', async (t) => {
  const at = (hours: number, bootEpoch = 1) => ({
    now: momentOf(NOW + hours * HOUR),
    dialect: 'ocpp1.6' as const,
    bootEpoch,
  });
  const set = { waitingFor: 'permission' } as const;
  const fetched = applyUpdateEvent(updateRecord({ state: 'Downloading' }), 'fetched', at(0), { set }).record;
  t.match(waitingOf(fetched, momentOf(NOW)), { for: 'permission', since: NOW });
  const later = applyUpdateEvent(fetched, 'installLater', at(1)).record;
  t.match(later, { state: 'InstallScheduled', waitingFor: 'permission' });
  t.match(waitingOf(later, momentOf(NOW + HOUR)), { for: 'permission', since: NOW });
  const { waitingFor: _lost, waitingSince: _too, ...asOnceStored } = later;
  t.match(waitingOf(asOnceStored, momentOf(NOW + HOUR)), { for: 'permission', since: NOW }, 'of an older version');
  const restarted = reaffirm(later, at(5, 2)).record;
  t.match(waitingOf(restarted, momentOf(NOW + 6 * HOUR)), { for: 'permission', since: NOW });
  const given = { ...restarted, permission: { bootEpoch: 2, at: NOW, by: 'everest' as const } };
  t.match(waitingOf(reaffirm(given, at(7, 3)).record, momentOf(NOW + 8 * HOUR)), { since: NOW + 7 * HOUR }, 'void');
});

void t.test('what is put off again for the same waits since the first time', async (t) => {
  const first = putOff(updateRecord(), 500, 'reset', momentOf(NOW));
  const again = putOff(first, 500, 'reset', momentOf(NOW + HOUR));
  t.match(again, { waitingSince: NOW });
  t.match(putOff(again, 500, 'station_conflict', momentOf(NOW + 2 * HOUR)), { waitingSince: NOW + 2 * HOUR });
});

void t.test('a deadline is a date that moves on by every stop of the depot', async (t) => {
  const record = updateRecord({ state: 'Installing', deadlineAt: NOW + 2 * HOUR });
  t.equal(deadlineDate(record, momentOf(NOW)), NOW + 2 * HOUR);
  t.equal(
    deadlineDate(record, { wall: NOW + 24 * HOUR, monotonic: NOW + HOUR }),
    NOW + 25 * HOUR,
    'stopped for 23 hours',
  );
  const later = updateRecord({
    state: 'InstallScheduled',
    deadlineAt: NOW + HOUR,
    request: { location: 'http://h/f', request_id: 7, install_timestamp: iso(NOW + 9 * HOUR) },
  });
  t.equal(deadlineDate(later, momentOf(NOW)), NOW + 9 * HOUR, 'not before a date that was asked for');
  t.equal(iso(deadlineDate(updateRecord({ deadlineAt: 9e15 - 1 }), momentOf(NOW)) ?? 0), '9999-12-31T23:59:59.000Z');
  t.equal(deadlineDate(updateRecord(), momentOf(NOW)), undefined);
});

void t.test('words and people are explained in one table', async (t) => {
  for (const word of WAIT_WORDS) {
    const { meaning, liftedBy } = waitOfWord(word);
    t.ok(meaning.endsWith('.') && liftedBy.length > 0, word);
  }
  t.ok(isBeforeInstall('InstallScheduled'));
});
