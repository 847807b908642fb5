import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { applyNetworkEvent, CONFIGURE_NETWORK_TRANSITIONS } from '@khumbu/operations/kinds/configure-network/record';
import {
  FIRMWARE_UPDATE_EVENTS,
  FIRMWARE_UPDATE_STATES,
  FIRMWARE_UPDATE_TRANSITIONS,
  type FirmwareUpdateEvent,
  type FirmwareUpdateState,
  isBeforeInstall,
  isFinalUpdateState,
  isInstalling,
  isStoppable,
  nextFirmwareUpdateState,
} from '@khumbu/operations/kinds/firmware-update/machine';
import { needsReaffirming, reaffirm } from '@khumbu/operations/kinds/firmware-update/reaffirm';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import {
  applyUpdateEvent,
  type EventDetail,
  UPDATE_DEADLINES,
} from '@khumbu/operations/kinds/firmware-update/transition';
import { definitionOf, isOverdue } from '@khumbu/operations/kinds/kinds';
import {
  applyLogEvent,
  isFinalLogState,
  LOG_UPLOAD_TRANSITIONS,
  type LogUploadEvent,
  type LogUploadState,
} from '@khumbu/operations/kinds/log-upload/record';
import { applyResetEvent, RESET_TRANSITIONS, type ResetEvent } from '@khumbu/operations/kinds/reset/record';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import t from 'tap';
import { logRecord, networkRecord, resetRecord, updateRecord } from './make-records.js';

const NOW = 1_800_000_000_000;
const HOUR = 3600_000;
const iso = (at: number): string => new Date(at).toISOString();

type EventWithDetail = FirmwareUpdateEvent | readonly [FirmwareUpdateEvent, EventDetail];
const RESTART = 'RESTART';

/** Walk the events, an hour apart in boot epoch 1; `RESTART` is an EVerest restart as the gateway treats it. */
function walk(
  record: FirmwareUpdateRecord,
  dialect: Dialect,
  events: readonly (EventWithDetail | typeof RESTART)[],
): { record: FirmwareUpdateRecord; entries: OutboxEntry[] } {
  const entries: OutboxEntry[] = [];
  let current = record;
  let bootEpoch = 1;
  events.forEach((step, index) => {
    const context = { now: momentOf(NOW + index), dialect, bootEpoch };
    if (step === RESTART) {
      bootEpoch += 1;
      if (!needsReaffirming(current, bootEpoch)) return;
      const again = reaffirm(current, { ...context, bootEpoch });
      current = again.record;
      entries.push(...again.statuses);
      return;
    }
    const [event, detail] = typeof step === 'string' ? [step, {}] : step;
    const applied = applyUpdateEvent(current, event, context, detail);
    current = applied.record;
    entries.push(...applied.statuses);
  });
  return { record: current, entries };
}

/** What EVerest is told: the status, `+false` for metadata, and the id where it is not the request's. */
const told = (record: FirmwareUpdateRecord, entries: readonly OutboxEntry[]): string =>
  entries
    .map(({ channel, payload, operationId }) => {
      t.equal(channel, 'firmware_update_status');
      t.equal(operationId, record.id);
      const status = payload as {
        firmware_update_status: string;
        request_id: number;
        firmware_update_metadata?: { disable_connectors_during_install: boolean };
      };
      const metadata = status.firmware_update_metadata;
      return [
        status.firmware_update_status,
        ...(metadata ? [`+${metadata.disable_connectors_during_install}`] : []),
        ...(status.request_id === record.requestId ? [] : [`#${status.request_id}`]),
      ].join('');
    })
    .join(' ');

void t.test('the table of the update', async (t) => {
  const row = (state: FirmwareUpdateState): [FirmwareUpdateEvent, FirmwareUpdateState][] =>
    Object.entries(FIRMWARE_UPDATE_TRANSITIONS[state]) as [FirmwareUpdateEvent, FirmwareUpdateState][];

  const reached = new Set<FirmwareUpdateState>(['Offered']);
  for (const state of reached) for (const [, next] of row(state)) reached.add(next);
  t.same([...reached].sort(), [...FIRMWARE_UPDATE_STATES].sort(), 'every state can be reached');

  const endsFrom = (state: FirmwareUpdateState, seen: readonly FirmwareUpdateState[]): boolean =>
    isFinalUpdateState(state) || row(state).some(([, next]) => !seen.includes(next) && endsFrom(next, [...seen, next]));
  for (const state of FIRMWARE_UPDATE_STATES) {
    t.ok(endsFrom(state, [state]), `${state} reaches an end`);
    if (!isFinalUpdateState(state)) {
      t.ok(isFinalUpdateState(nextFirmwareUpdateState(state, 'outOfTime')), `${state} ends when it lasts too long`);
    }
  }
  const used = new Set(FIRMWARE_UPDATE_STATES.flatMap((state) => row(state).map(([event]) => event)));
  t.same([...used].sort(), [...FIRMWARE_UPDATE_EVENTS].sort(), 'every event happens somewhere');

  for (const state of FIRMWARE_UPDATE_STATES) {
    for (const event of FIRMWARE_UPDATE_EVENTS) {
      if (event in FIRMWARE_UPDATE_TRANSITIONS[state]) continue;
      t.throws(() => nextFirmwareUpdateState(state, event), TypeError, `${state} knows no ${event}`);
    }
  }
  const are = (test: (state: FirmwareUpdateState) => boolean) => FIRMWARE_UPDATE_STATES.filter(test).join(' ');
  t.equal(are(isStoppable), 'Accepted DownloadScheduled Downloading Downloaded SignatureVerified InstallScheduled');
  t.equal(are(isBeforeInstall), 'Downloaded SignatureVerified InstallScheduled');
  t.equal(are(isInstalling), 'Installing InstallRebooting');
  for (const state of FIRMWARE_UPDATE_STATES) {
    t.notOk(isStoppable(state) && isInstalling(state), `${state}: what touches the station cannot be stopped`);
  }
});

const SIGNED: Partial<FirmwareUpdateRecord> = {
  signed: true,
  requestId: 7,
  request: { location: 'http://h/f', request_id: 7, signing_certificate: 'PEM', signature: 'QQ==' },
};
const UNSIGNED: Partial<FirmwareUpdateRecord> = { requestId: 8, request: { location: 'http://h/f', request_id: 8 } };
const PLAIN: Partial<FirmwareUpdateRecord> = { requestId: -1, request: { location: 'http://h/f', request_id: -1 } };
const SIGNED_PLAIN: Partial<FirmwareUpdateRecord> = {
  ...SIGNED,
  requestId: -1,
  request: { location: 'http://h/f', request_id: -1, signing_certificate: 'PEM', signature: 'QQ==' },
};

const KEEPS: EventWithDetail = ['signatureGood', { set: { disableConnectors: false } }];
const FETCHED_KEEPS: EventWithDetail = ['fetched', { set: { disableConnectors: true } }];
const TO_DOWNLOADED = ['confirmed', 'fetchJoined', 'fetched'] as const;
const TO_VERIFIED = [...TO_DOWNLOADED, 'signatureGood'] as const;
const REBOOT = ['installBegun', 'rebootNeeded', 'proved'] as const;

void t.test('what EVerest is told', async (t) => {
  type Case = [
    string,
    Partial<FirmwareUpdateRecord>,
    Dialect | 'any',
    readonly (EventWithDetail | typeof RESTART)[],
    string,
  ];
  const cases: Case[] = [
    [
      'signed',
      SIGNED,
      'any',
      [...TO_VERIFIED, ...REBOOT],
      'Downloading Downloaded SignatureVerified Installing InstallRebooting Installed',
    ],
    [
      'signed, metadata on the trigger only',
      SIGNED,
      'any',
      [...TO_DOWNLOADED, KEEPS, 'installBegun', 'proved'],
      'Downloading Downloaded SignatureVerified+false Installing Installed',
    ],
    [
      'unsigned, metadata on the trigger only',
      UNSIGNED,
      'any',
      ['confirmed', 'fetchJoined', FETCHED_KEEPS, 'installBegun', 'proved'],
      'Downloading Downloaded+true Installing Installed',
    ],
    [
      'id -1',
      PLAIN,
      'ocpp1.6',
      ['confirmed', 'fetchJoined', FETCHED_KEEPS, ...REBOOT],
      'Downloading Downloaded+true Installing Installed',
    ],
    ['id -1', PLAIN, 'unknown', [...TO_DOWNLOADED, ...REBOOT], 'Downloading Downloaded Installing Installed'],
    [
      'id -1',
      PLAIN,
      'ocpp2.x',
      [...TO_DOWNLOADED, ...REBOOT],
      'Downloading Downloaded Installing InstallRebooting Installed',
    ],
    [
      'scheduled retrieve',
      SIGNED,
      'any',
      ['confirmed', 'retrieveLater', 'fetchJoined', 'fetched', 'signatureGood', 'installBegun', 'proved'],
      'DownloadScheduled Downloading Downloaded SignatureVerified Installing Installed',
    ],
    [
      'scheduled retrieve, id -1',
      PLAIN,
      'ocpp1.6',
      ['confirmed', 'retrieveLater', ...TO_DOWNLOADED.slice(1), 'installBegun', 'proved'],
      'Downloading Downloaded Installing Installed',
    ],
    [
      'scheduled install',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installLater', ...REBOOT],
      'Downloading Downloaded SignatureVerified InstallScheduled Installing InstallRebooting Installed',
    ],
    [
      'scheduled install, id -1',
      PLAIN,
      'unknown',
      [...TO_DOWNLOADED, 'installLater', ...REBOOT],
      'Downloading Downloaded Installing Installed',
    ],
    [
      'a failed try is silent',
      SIGNED,
      'any',
      ['confirmed', 'fetchJoined', 'tryFailed', 'fetchJoined', 'tryFailed', 'fetchJoined', 'gaveUp'],
      'Downloading DownloadFailed',
    ],
    ['bad signature', SIGNED, 'any', [...TO_DOWNLOADED, 'signatureBad'], 'Downloading Downloaded InvalidSignature'],
    [
      'bad signature, id -1',
      SIGNED_PLAIN,
      'ocpp1.6',
      [...TO_DOWNLOADED, 'signatureBad'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'install fails',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installBegun', 'installFailed'],
      'Downloading Downloaded SignatureVerified Installing InstallationFailed',
    ],
    [
      'image unfit',
      UNSIGNED,
      'any',
      [...TO_DOWNLOADED, 'installBegun', 'imageUnfit'],
      'Downloading Downloaded Installing InstallVerificationFailed',
    ],
    [
      'image unfit, id -1',
      PLAIN,
      'ocpp1.6',
      [...TO_DOWNLOADED, 'installBegun', 'imageUnfit'],
      'Downloading Downloaded Installing InstallationFailed',
    ],
    ['image lost', SIGNED, 'any', [...TO_DOWNLOADED, 'imageLost'], 'Downloading Downloaded InstallationFailed'],
    [
      'image lost, id -1',
      PLAIN,
      'ocpp1.6',
      [...TO_DOWNLOADED, 'installLater', 'imageLost'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'image lost',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'imageLost'],
      'Downloading Downloaded SignatureVerified InstallationFailed',
    ],
    [
      'image lost',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installBegun', 'imageLost'],
      'Downloading Downloaded SignatureVerified Installing InstallationFailed',
    ],
    [
      'fell back',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installBegun', 'rebootNeeded', 'fellBack'],
      'Downloading Downloaded SignatureVerified Installing InstallRebooting InstallationFailed',
    ],
    ['withdrawn', SIGNED, 'any', ['withdrawn'], ''],
    ['never confirmed', SIGNED, 'any', ['outOfTime'], ''],
    ['superseded as an offer', SIGNED, 'any', ['superseded'], ''],
    ['superseded before the trigger', SIGNED, 'any', [...TO_DOWNLOADED.slice(0, 2), 'superseded'], 'Downloading'],
    [
      'superseded after the trigger',
      SIGNED,
      'ocpp2.x',
      [...TO_VERIFIED, 'superseded'],
      'Downloading Downloaded SignatureVerified',
    ],
    [
      'superseded after the trigger',
      SIGNED,
      'ocpp1.6',
      [...TO_VERIFIED, 'superseded'],
      'Downloading Downloaded SignatureVerified InstallationFailed',
    ],
    [
      'superseded after the trigger',
      SIGNED,
      'unknown',
      [...TO_VERIFIED, 'installLater', 'superseded'],
      'Downloading Downloaded SignatureVerified InstallScheduled InstallationFailed',
    ],
    [
      'superseded after the trigger, id -1',
      PLAIN,
      'ocpp1.6',
      [...TO_DOWNLOADED, 'superseded'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'signed over REST: with id -1 the trigger is Downloaded',
      SIGNED_PLAIN,
      'ocpp1.6',
      [...TO_DOWNLOADED, 'superseded'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'signed over REST, verified',
      SIGNED_PLAIN,
      'unknown',
      [...TO_VERIFIED, 'superseded'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'signed over REST, station restarted',
      SIGNED_PLAIN,
      'ocpp1.6',
      [...TO_VERIFIED, RESTART, ...REBOOT],
      'Downloading Downloaded Downloaded Installing Installed',
    ],
    [
      'signed over REST',
      SIGNED_PLAIN,
      'ocpp2.x',
      [...TO_VERIFIED, RESTART],
      'Downloading Downloaded SignatureVerified SignatureVerified',
    ],
    [
      'canceled while it waits for its time',
      SIGNED,
      'any',
      ['confirmed', 'retrieveLater', 'canceled'],
      'DownloadScheduled DownloadFailed',
    ],
    [
      'canceled while it is fetched',
      SIGNED,
      'any',
      ['confirmed', 'fetchJoined', 'canceled'],
      'Downloading DownloadFailed',
    ],
    [
      'canceled while it is verified: what was told stays true',
      SIGNED,
      'any',
      [...TO_DOWNLOADED, 'canceled'],
      'Downloading Downloaded InstallationFailed',
    ],
    [
      'canceled after the trigger',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'canceled'],
      'Downloading Downloaded SignatureVerified InstallationFailed',
    ],
    [
      'canceled after the trigger, id -1',
      PLAIN,
      'unknown',
      [...TO_DOWNLOADED, 'canceled'],
      'Downloading Downloaded InstallationFailed',
    ],
    ['out of time', SIGNED, 'any', ['confirmed', 'outOfTime'], 'DownloadFailed'],
    ['out of time', SIGNED, 'any', ['confirmed', 'retrieveLater', 'outOfTime'], 'DownloadScheduled DownloadFailed'],
    ['out of time', SIGNED, 'any', ['confirmed', 'fetchJoined', 'outOfTime'], 'Downloading DownloadFailed'],
    ['out of time', SIGNED, 'any', [...TO_DOWNLOADED, 'outOfTime'], 'Downloading Downloaded InstallationFailed'],
    [
      'out of time',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'outOfTime'],
      'Downloading Downloaded SignatureVerified InstallationFailed',
    ],
    [
      'out of time',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installLater', 'outOfTime'],
      'Downloading Downloaded SignatureVerified InstallScheduled InstallationFailed',
    ],
    [
      'out of time',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installBegun', 'outOfTime'],
      'Downloading Downloaded SignatureVerified Installing InstallationFailed',
    ],
    [
      'out of time',
      SIGNED,
      'any',
      [...TO_VERIFIED, 'installBegun', 'rebootNeeded', 'outOfTime'],
      'Downloading Downloaded SignatureVerified Installing InstallRebooting InstallationFailed',
    ],
    [
      'station restarted while it waits',
      SIGNED,
      'any',
      [...TO_DOWNLOADED, KEEPS, RESTART, RESTART, ...REBOOT],
      'Downloading Downloaded SignatureVerified+false SignatureVerified+false SignatureVerified+false Installing InstallRebooting Installed',
    ],
    [
      'station restarted while it waits for its time',
      UNSIGNED,
      'any',
      [...TO_DOWNLOADED, 'installLater', RESTART, ...REBOOT],
      'Downloading Downloaded InstallScheduled Downloaded Installing InstallRebooting Installed',
    ],
    [
      'station restarted before the trigger',
      SIGNED,
      'any',
      [...TO_DOWNLOADED, RESTART, 'signatureGood'],
      'Downloading Downloaded SignatureVerified',
    ],
    [
      'station restarted, no permission needed',
      { ...SIGNED, permissionNeeded: false },
      'any',
      [...TO_VERIFIED, RESTART],
      'Downloading Downloaded SignatureVerified',
    ],
    ['nobody is told', { ...SIGNED, announced: false }, 'any', [...TO_VERIFIED, RESTART, ...REBOOT], ''],
    ['nobody is told', { ...SIGNED, announced: false }, 'ocpp1.6', [...TO_VERIFIED, 'canceled'], ''],
  ];
  const FINAL = ['DownloadFailed', 'InstallationFailed', 'Installed', 'InstallVerificationFailed', 'InvalidSignature'];
  for (const [what, changes, dialects, events, wanted] of cases) {
    for (const dialect of dialects === 'any' ? (['ocpp1.6', 'ocpp2.x', 'unknown'] as const) : [dialects]) {
      const name = `${what} (${dialect}): ${events.map((event) => (Array.isArray(event) ? event[0] : event)).join(' ')}`;
      const { record, entries } = walk(updateRecord(changes), dialect, events);
      t.equal(told(record, entries), wanted, name);
      const finals = entries.filter(({ payload }) =>
        FINAL.includes((payload as { firmware_update_status: string }).firmware_update_status),
      );
      const closed = isFinalUpdateState(record.state) && wanted !== '' && !/superseded/.test(events.at(-1) as string);
      t.ok(finals.length <= 1 && (!closed || finals[0] === entries.at(-1)), `${name}: one final status, at the end`);
      if (isFinalUpdateState(record.state)) {
        t.ok(record.endedAt !== undefined && record.outcome !== undefined && record.deadlineAt === undefined, name);
        t.equal(record.outcome?.ok, record.state === 'Installed', name);
        t.notMatch(JSON.stringify(record), /PEM|QQ==/, `${name}: no certificate is kept`);
        t.equal(record.request.location, 'http://h/f');
      } else {
        t.type(record.deadlineAt, 'number', `${name}: it may not last for ever`);
        t.match(record.request, changes.request ?? {});
      }
    }
  }
});

void t.test('what an update remembers', async (t) => {
  const restarted = walk(
    updateRecord({ ...UNSIGNED, permission: { bootEpoch: 1, at: NOW, by: 'everest' } }),
    'ocpp2.x',
    [...TO_DOWNLOADED, RESTART],
  ).record;
  t.match(restarted, {
    state: 'Downloaded',
    triggerEpoch: 2,
    waitingFor: 'permission_unobtainable',
    permission: undefined,
  });
  t.match(walk(updateRecord(SIGNED), 'ocpp2.x', [...TO_VERIFIED, RESTART]).record, { waitingFor: 'permission' });
  t.match(walk(updateRecord(UNSIGNED), 'ocpp1.6', [...TO_DOWNLOADED, RESTART]).record, { waitingFor: 'permission' });
  t.notOk(needsReaffirming({ ...restarted, heldFor: 'x' }, 3), 'not while another may take its place');

  const put = updateRecord({
    ...SIGNED,
    notBefore: 5,
    waitingFor: 'retry',
    faults: 3,
    later: 1,
  } as Partial<FirmwareUpdateRecord>);
  const { record } = walk(put, 'unknown', [
    'confirmed',
    'fetchJoined',
    ['gaveUp', { reason: 'http_404', message: 'no' }],
  ]);
  t.match(record, { outcome: { ok: false, reason: 'http_404', message: 'no' }, later: 1 });
  t.same(
    [record.notBefore, record.waitingFor, record.faults, record.fetch],
    [undefined, undefined, undefined, undefined],
  );
  t.same(
    record.history.map(({ state, reason }) => [state, reason].filter(Boolean).join(' ')),
    ['Offered', 'Accepted', 'Downloading', 'DownloadFailed http_404'],
  );
  for (const [events, held] of [
    [[...TO_VERIFIED, 'installBegun', 'outOfTime'], true],
    [[...TO_VERIFIED, 'installBegun', 'rebootNeeded', 'outOfTime'], true],
    [[...TO_VERIFIED, 'installBegun', 'installFailed'], undefined],
    [[...TO_VERIFIED, 'installBegun', 'imageLost'], undefined],
    [[...TO_VERIFIED, 'outOfTime'], undefined],
  ] as const)
    t.equal(walk(updateRecord(SIGNED), 'unknown', events).record.slotHeld, held, events.slice(4).join(' '));

  const afterBoot = { at: NOW, settleMs: 5 };
  const proved = walk(updateRecord(SIGNED), 'unknown', [
    ...TO_VERIFIED,
    'installBegun',
    'rebootNeeded',
    ['proved', { afterBoot }],
  ]);
  t.same(
    proved.entries.map((entry) => entry.afterBoot),
    [undefined, undefined, undefined, undefined, undefined, afterBoot],
  );
});

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

void t.test('log uploads', async (t) => {
  const states = Object.keys(LOG_UPLOAD_TRANSITIONS) as LogUploadState[];
  for (const state of states) {
    const row = LOG_UPLOAD_TRANSITIONS[state];
    if (!isFinalLogState(state)) t.ok('outOfTime' in row, `${state} may not last for ever`);
    if (!('confirmed' in row))
      t.throws(
        () =>
          applyLogEvent(logRecord({ state }), 'confirmed', {
            now: momentOf(NOW),
            dialect: 'unknown',
          }),
        TypeError,
      );
  }
  const DONE = ['confirmed', 'uploadBegun'] as const;
  type Case = [string, number, readonly LogUploadEvent[], Record<Dialect, string>];
  const all = (status: string): Record<Dialect, string> => ({ 'ocpp1.6': status, 'ocpp2.x': status, unknown: status });
  const cases: Case[] = [
    ['happy', 3, [...DONE, 'uploaded'], all('Uploading Uploaded')],
    ['happy', -1, [...DONE, 'uploaded'], all('Uploading Uploaded')],
    ['failed tries are silent', 3, [...DONE, 'tryFailed', 'tryFailed', 'failed'], all('Uploading UploadFailure')],
    ['denied', 3, [...DONE, 'denied'], all('Uploading PermissionDenied')],
    ['denied', -1, [...DONE, 'denied'], all('Uploading UploadFailure')],
    ['bad location', 3, [...DONE, 'badMessage'], all('Uploading BadMessage')],
    ['bad location', -1, [...DONE, 'badMessage'], all('Uploading UploadFailure')],
    ['not supported', 3, ['confirmed', 'notSupported'], all('NotSupportedOperation')],
    ['not supported', -1, ['confirmed', 'notSupported'], all('UploadFailure')],
    [
      'superseded',
      3,
      [...DONE, 'superseded'],
      {
        'ocpp2.x': 'Uploading AcceptedCanceled',
        'ocpp1.6': 'Uploading UploadFailure',
        unknown: 'Uploading UploadFailure',
      },
    ],
    ['superseded', -1, [...DONE, 'superseded'], all('Uploading UploadFailure')],
    ['canceled', 3, [...DONE, 'canceled'], all('Uploading UploadFailure')],
    ['out of time', 3, [...DONE, 'outOfTime'], all('Uploading UploadFailure')],
    ['out of time', 3, ['confirmed', 'outOfTime'], all('UploadFailure')],
    ['withdrawn', 3, ['withdrawn'], all('')],
    ['never confirmed', 3, ['outOfTime'], all('')],
    ['superseded as an offer', 3, ['superseded'], all('')],
  ];
  for (const [what, requestId, events, wanted] of cases) {
    for (const dialect of ['ocpp1.6', 'ocpp2.x', 'unknown'] as const) {
      for (const announced of [true, false]) {
        let record = logRecord({ requestId, announced });
        const statuses: string[] = [];
        for (const event of events) {
          const applied = applyLogEvent(record, event, {
            now: momentOf(NOW),
            dialect,
          });
          record = applied.record;
          for (const { channel, payload } of applied.statuses) {
            t.equal(channel, 'log_status');
            const status = payload as { log_status: string; request_id: number };
            t.equal(status.request_id, requestId);
            statuses.push(status.log_status);
          }
        }
        t.equal(statuses.join(' '), announced ? wanted[dialect] : '', `${what} ${requestId} (${dialect})`);
        t.ok(record.endedAt !== undefined && record.outcome !== undefined && record.deadlineAt === undefined);
      }
    }
  }
});

void t.test('resets and networks', async (t) => {
  const resets: [readonly ResetEvent[], string, object, true?][] = [
    [['begun', 'performed', 'restartSeen'], 'Restarted', { ok: true }],
    [['begun', 'restartSeen'], 'Restarted', { ok: true }],
    [['begun', 'performed', 'outOfTime'], 'Restarted', { ok: true, reason: 'everest_not_heard' }],
    [['begun', 'performed', 'superseded'], 'Restarted', { ok: true }],
    [['superseded'], 'Superseded', { ok: false, reason: 'superseded' }],
    [['outOfTime'], 'Failed', { ok: false, reason: 'deadline' }],
    [['begun', 'outOfTime'], 'Failed', { ok: false, reason: 'deadline' }, true],
    [['begun', 'failed'], 'Failed', { ok: false, reason: 'failed' }],
  ];
  for (const [events, state, outcome, slotHeld] of resets) {
    let record = resetRecord({});
    for (const event of events) {
      record = applyResetEvent(record, event, { now: momentOf(NOW) });
      t.equal(
        record.deadlineAt !== undefined,
        record.endedAt === undefined,
        `${event}: a deadline as long as it is open`,
      );
    }
    t.match(record, { state, outcome, endedAt: NOW }, events.join(' '));
    t.equal(record.slotHeld, slotHeld, `${events.join(' ')}: the station may still be reset`);
  }
  for (const [state, row] of Object.entries(RESET_TRANSITIONS))
    if (Object.keys(row).length > 0) t.ok('outOfTime' in row, `${state} may not last for ever`);
  t.throws(
    () =>
      applyResetEvent(resetRecord({ state: 'Resetting' }), 'superseded', {
        now: momentOf(NOW),
      }),
    TypeError,
  );

  const secrets = {
    apn: { apn: 'internet', apn_password: 'hunter2' },
    vpn: { server: 's', type: 'Other', key: 'hunter2' },
  } as const;
  const networks = [
    [['confirmed', 'ready'], 'Ready', { request_id: 5, status: 'Ready', interface_address: 'wwan0' }],
    [['confirmed', 'failed'], 'Failed', { request_id: 5, status: 'Failed' }],
    [['confirmed', 'outOfTime'], 'Failed', { request_id: 5, status: 'Failed' }],
    [['confirmed', 'superseded'], 'Superseded', undefined],
    [['withdrawn'], 'Withdrawn', undefined],
    [['outOfTime'], 'Withdrawn', undefined],
    [['superseded'], 'Withdrawn', undefined],
  ] as const;
  for (const origin of ['everest', 'rest'] as const) {
    for (const [events, state, payload] of networks) {
      let record = networkRecord({ origin, request: { request_id: 5, interface: 'Any', ...secrets } });
      const payloads: unknown[] = [];
      for (const event of events) {
        const applied = applyNetworkEvent(record, event, { now: momentOf(NOW) }, { interfaceAddress: 'wwan0' });
        record = applied.record;
        payloads.push(...applied.statuses.map((entry) => entry.payload));
      }
      t.equal(record.state, state, events.join(' '));
      t.same(payloads, payload && origin === 'everest' ? [payload] : [], events.join(' '));
      t.notMatch(JSON.stringify(record), /hunter2|internet/, 'no secret is kept');
    }
  }
  for (const [state, row] of Object.entries(CONFIGURE_NETWORK_TRANSITIONS))
    if (Object.keys(row).length > 0) t.ok('outOfTime' in row, `${state} may not last for ever`);
});
