import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createJudges } from '@khumbu/firmware-trust/judges';
import { openTrustStore } from '@khumbu/firmware-trust/roots';
import {
  FIRMWARE_UPDATE_STATES,
  type FirmwareUpdateState,
  isFinalUpdateState,
} from '@khumbu/operations/firmware-update/machine';
import type { LogUploadRecord } from '@khumbu/operations/log-upload/record';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import type { ResetState } from '@khumbu/operations/reset/record';
import type { FirmwareUpdateRequest } from '@khumbu/shared/contract/schemas';
import { makeAuthority } from '@khumbu/test-support/certificates';
import t from 'tap';
import { fullAllowance } from '../src/bridge/allowance.js';
import { createLogLimiter } from '../src/bridge/calm-log.js';
import { checkIntervalMs } from '../src/bridge/communication-checks.js';
import { createFence, stillWaits } from '../src/bridge/fence.js';
import { dialectShownBy } from '../src/bridge/request-table.js';
import { heldBecause } from '../src/bridge/status-pump.js';
import { decideBootReason, HOST_BOOT_MS, RESTART_EXPECTED_FOR_MS } from '../src/front-desk/decide-boot-reason.js';
import { decideLogUpload } from '../src/front-desk/decide-log-upload.js';
import { decideNetwork } from '../src/front-desk/decide-network.js';
import { decideReset, decideResetAllowed } from '../src/front-desk/decide-reset.js';
import { decideSystemTime } from '../src/front-desk/decide-system-time.js';
import { type CertificateVerdict, decideUpdate } from '../src/front-desk/decide-update.js';
import { createJudgeCertificate } from '../src/front-desk/judge-certificate.js';
import type { Presence } from '../src/stations/presence.js';
import {
  bootBegun,
  hearHeartbeat,
  heartbeatPeriodMs,
  inConflict,
  isAway,
  NOBODY,
  restartExplained,
} from '../src/stations/presence.js';
import type { Station } from '../src/stations/station.js';
import { ageOfHeartbeat } from '../src/stations/stored-fields.js';
import { LOGS, locations, logUpload, profile, resetRecord, STATION, stationState, UPDATE, update } from './fixtures.js';

const signedRequest = { ...UPDATE, signing_certificate: 'PEM', signature: 'c2ln' };
const badVerdict: CertificateVerdict = { ok: false, response: 'InvalidCertificate', reason: 'untrusted' };
const revoked: CertificateVerdict = { ok: false, response: 'RevokedCertificate', reason: 'revoked' };

void t.test('update_firmware: the answer for each state of the station’s update', async (t) => {
  const answers: Partial<Record<FirmwareUpdateState, string>> = {
    Offered: 'AcceptedCanceled',
    Accepted: 'AcceptedCanceled',
    DownloadScheduled: 'AcceptedCanceled',
    Downloading: 'AcceptedCanceled',
    Downloaded: 'AcceptedCanceled',
    SignatureVerified: 'AcceptedCanceled',
    InstallScheduled: 'AcceptedCanceled',
    Installing: 'Rejected',
    InstallRebooting: 'Rejected',
  };
  const situation = { profile: profile(), certificate: undefined, locations };
  t.same(decideUpdate(UPDATE, { ...situation, current: undefined }), { reply: 'Accepted', signed: false });
  for (const state of FIRMWARE_UPDATE_STATES) {
    const final = isFinalUpdateState(state);
    const current = update(state, final ? { endedAt: 2000 } : {});
    const decision = decideUpdate(UPDATE, { ...situation, current });
    t.equal(decision.reply, final ? 'Accepted' : answers[state], state);
    if (decision.reply === 'AcceptedCanceled') t.equal(decision.replaces, current);
    if (decision.reply === 'Rejected') t.equal(decision.reason, 'installing');
  }
  const held = update('InstallationFailed', { endedAt: 2000, slotHeld: true });
  t.match(decideUpdate(UPDATE, { ...situation, current: held }), { reply: 'Rejected', reason: 'installing' });
});

void t.test('update_firmware: what policy and certificates refuse', async (t) => {
  const strict = profile({ require_signature: true });
  const rows: [string, FirmwareUpdateRequest, object, object][] = [
    ['unconfigured', UPDATE, { profile: undefined }, { reply: 'Rejected', reason: 'station_not_configured' }],
    ['unsigned where allowed', UPDATE, {}, { reply: 'Accepted', signed: false }],
    ['unsigned where not', UPDATE, { profile: strict }, { reply: 'Rejected', reason: 'signature_required' }],
    [
      'empty members are unsigned',
      { ...UPDATE, signature: '', signing_certificate: '' },
      { profile: strict },
      { reply: 'Rejected', reason: 'signature_required' },
    ],
    ['signature alone', { ...UPDATE, signature: 'x' }, {}, { reply: 'Rejected', reason: 'signature_incomplete' }],
    [
      'certificate alone',
      { ...UPDATE, signing_certificate: 'x', signature: '' },
      { certificate: { ok: true } },
      { reply: 'Rejected', reason: 'signature_incomplete' },
    ],
    [
      'signed, good',
      signedRequest,
      { profile: strict, certificate: { ok: true } },
      { reply: 'Accepted', signed: true },
    ],
    [
      'signed, id -1',
      { ...signedRequest, request_id: -1 },
      { certificate: { ok: true } },
      { reply: 'Accepted', signed: true },
    ],
    ['signed, bad', signedRequest, { certificate: badVerdict }, { reply: 'InvalidCertificate', reason: 'untrusted' }],
    ['signed, revoked', signedRequest, { certificate: revoked }, { reply: 'RevokedCertificate', reason: 'revoked' }],
    [
      'bad certificate while installing',
      signedRequest,
      { certificate: badVerdict, current: update('Installing') },
      { reply: 'InvalidCertificate' },
    ],
    ['scheme', { ...UPDATE, location: 'file:///etc/passwd' }, {}, { reply: 'Rejected', reason: /^LOCATION_/ }],
    [
      'metadata service',
      { ...UPDATE, location: 'http://169.254.169.254/x' },
      {},
      { reply: 'Rejected', reason: 'LOCATION_ADDRESS_FORBIDDEN' },
    ],
    [
      'loopback',
      { ...UPDATE, location: 'http://127.0.0.1/x' },
      {},
      { reply: 'Rejected', reason: 'LOCATION_ADDRESS_FORBIDDEN' },
    ],
    ['no URL', { ...UPDATE, location: 'image.bin' }, {}, { reply: 'Rejected', reason: /^LOCATION_/ }],
  ];
  for (const [name, request, situation, expected] of rows) {
    const given = { profile: profile(), current: undefined, certificate: undefined, locations, ...situation };
    t.match(decideUpdate(request, given), expected, name);
  }
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
    [{ ...LOGS, location: 'ftp://files.example/' }, {}],
    [{ ...LOGS, location: 'http://169.254.169.254/' }, {}],
    [{ ...LOGS, oldest_timestamp: '2026-02-02T00:00:00Z', latest_timestamp: '2026-02-01T00:00:00Z' }, {}],
  ];
  for (const [request, more] of refusals) {
    const decision = decideLogUpload(request as typeof LOGS, { ...situation, ...more });
    t.match(decision, { reply: 'Rejected', reason: /./ });
    t.notOk('fileName' in decision, 'no file name where nothing will come');
  }
  for (const state of ['Offered', 'Accepted', 'Uploading'] satisfies LogUploadRecord['state'][]) {
    const current = logUpload(state);
    t.match(decideLogUpload(LOGS, { ...situation, current }), {
      reply: 'AcceptedCanceled',
      replaces: { id: current.id },
    });
  }
  t.equal(decideLogUpload(LOGS, { ...situation, current: logUpload('Uploaded', { endedAt: 1 }) }).reply, 'Accepted');
});

void t.test('configure_network', async (t) => {
  const wired = profile({ interfaces: { Wired0: 'eth0', Wireless0: 'wwan0' } });
  const ask = (more: object, of = wired) => decideNetwork({ request_id: 1, interface: 'Wired0', ...more }, of);
  t.match(ask({}), { reply: { status: 'Processing' }, interfaceName: 'eth0' });
  t.match(ask({ interface: 'Any' }), { interfaceName: 'eth0' });
  t.match(ask({ interface_name: 'wwan0' }), { interfaceName: 'wwan0' }, 'the name wins over the class');
  t.match(ask({ interface: 'Wired3' }), { reply: { status: 'Rejected' }, reason: 'interface_unknown' });
  t.match(ask({ interface_name: 'lo' }), { reply: { status: 'Rejected' } });
  t.match(ask({ interface_name: '' }), { interfaceName: 'eth0' }, 'no name is no name');
  t.match(ask({}, profile()), { reply: { status: 'NotSupported' } });
  for (const interfaces of [{}, { Wired0: '' }]) {
    const none = profile({ interfaces });
    for (const more of [{}, { interface: 'Any' }, { interface: 'Wireless1' }, { interface_name: 'eth0' }])
      t.match(
        ask(more, none),
        { reply: { status: 'NotSupported' }, reason: 'not_supported' },
        'a station without interfaces connects as it would without asking',
      );
  }
  const half = profile({ interfaces: { Wired0: '', Wireless0: 'wwan0' } });
  t.match(ask({}, half), { reply: { status: 'Rejected' } }, 'the station has another one');
  t.match(ask({ interface: 'Any' }, half), { interfaceName: 'wwan0' });
  t.match(decideNetwork({ request_id: 1, interface: 'Wired0' }, undefined), { reply: { status: 'NotSupported' } });
});

void t.test('set_system_time: what no CSMS in its right mind tells is refused', async (t) => {
  t.equal(decideSystemTime('2026-05-06T07:08:09.250Z'), Date.UTC(2026, 4, 6, 7, 8, 9, 250));
  t.equal(decideSystemTime('2026-05-06T07:08:09+02:00'), Date.UTC(2026, 4, 6, 5, 8, 9));
  for (const text of ['1970-01-01T00:00:00Z', '2023-12-31T23:59:59Z', '2100-01-01T00:00:00Z', 'now', ''])
    t.equal(decideSystemTime(text), undefined, text);
});

void t.test('resets', async (t) => {
  t.match(decideResetAllowed({ profile: undefined, update: undefined }), {
    allowed: false,
    reason: 'station_not_configured',
  });
  for (const state of FIRMWARE_UPDATE_STATES) {
    const allowed = state !== 'Installing' && state !== 'InstallRebooting';
    t.equal(decideResetAllowed({ profile: profile(), update: update(state) }).allowed, allowed, state);
  }
  const held = update('InstallationFailed', { endedAt: 2000, slotHeld: true });
  t.match(decideResetAllowed({ profile: profile(), update: held }), { allowed: false, reason: 'installing' });
  t.same(decideResetAllowed({ profile: profile(), update: undefined }), { allowed: true });

  const rows: [ResetState | undefined, object, string][] = [
    [undefined, {}, 'accept'],
    ['Accepted', {}, 'repeat'],
    ['Accepted', { scheduled: false }, 'repeat'],
    ['Accepted', { type: 'Hard' }, 'accept'],
    ['Accepted', { scheduled: true }, 'accept'],
    ['Resetting', {}, 'repeat'],
    ['Resetting', { type: 'Hard' }, 'repeat'],
    ['Restarting', {}, 'repeat'],
    ['Restarting', { type: 'Hard' }, 'accept'],
    ['Restarted', {}, 'accept'],
    ['Failed', {}, 'accept'],
    ['Superseded', {}, 'accept'],
  ];
  for (const [state, request, kind] of rows) {
    const final = state === 'Restarted' || state === 'Failed' || state === 'Superseded';
    const current = state && resetRecord(state, final ? { endedAt: 2000 } : {});
    const given = { profile: profile(), update: update('Installing'), current };
    const decision = decideReset({ type: 'Soft', ...request }, given);
    t.equal(decision.kind, kind, `${state} ${JSON.stringify(request)}`);
    if (decision.kind === 'accept' && current && !final) t.equal(decision.replaces, current);
  }
  t.match(decideReset({ type: 'Soft' }, { profile: undefined, update: undefined, current: undefined }), {
    kind: 'refuse',
  });
});

void t.test('get_boot_reason', async (t) => {
  const now = 10 * RESTART_EXPECTED_FOR_MS;
  const expected = (at: number) => ({ reason: 'RemoteReset', operationId: 'reset-1', at });
  const known = { bootEpoch: '3', bootReason: { bootEpoch: 3, reason: 'PowerUp' }, heartbeat: { id: 50, at: now } };
  const ask = (fields: object, silentMs?: number, periodMs = 1000) =>
    decideBootReason({
      state: stationState({ ...fields }),
      silentMs,
      heartbeatPeriodMs: periodMs > 0 ? periodMs : undefined,
      steadyNow: now,
    });
  const first = { reason: 'PowerUp', beginsBoot: false, store: true };

  t.same(ask({}), first, 'a station we have never heard');
  t.same(ask({ restartExpected: expected(now - 5000) }, 3000), {
    reason: 'RemoteReset',
    beginsBoot: true,
    store: true,
  });
  t.same(
    ask({ ...known, restartExpected: expected(now - 5000) }, 100),
    { reason: 'RemoteReset', beginsBoot: true, store: true },
    'the question overtakes the first heartbeat',
  );
  t.same(ask(known, 900), { reason: 'PowerUp', beginsBoot: false, store: false }, 'the same answer in one boot');
  t.same(ask(known, 2400), { reason: 'PowerUp', beginsBoot: false, store: false });
  t.same(ask(known, 2600), { reason: 'ApplicationReset', beginsBoot: true, store: true }, 'too quick for a host');
  t.same(ask(known, HOST_BOOT_MS + 1), { reason: 'PowerUp', beginsBoot: true, store: true });
  t.same(ask(known, 60_000, 0), { reason: 'PowerUp', beginsBoot: false, store: false }, 'no heartbeats to miss');
  const stale = { ...known, restartExpected: expected(now - RESTART_EXPECTED_FOR_MS - 1) };
  t.same(ask(stale, 500), { reason: 'PowerUp', beginsBoot: false, store: false }, 'an expectation that went stale');
  t.same(ask(stale, HOST_BOOT_MS + 1), { reason: 'PowerUp', beginsBoot: true, store: true });

  const begun = {
    bootEpoch: '4',
    bootReason: { bootEpoch: 4, reason: 'RemoteReset' },
    heartbeat: { id: -1, at: now - 9000 },
  };
  t.same(
    ask(begun, 9000),
    { reason: 'RemoteReset', beginsBoot: false, store: false },
    'asked again before the first heartbeat: still the same boot',
  );
  t.same(
    ask({ bootEpoch: '0', heartbeat: { id: 9, at: now } }, 4000),
    { reason: 'ApplicationReset', beginsBoot: true, store: true },
    'it was heard, nobody had asked, and it came back',
  );
});

/** Hear a list of [monotonic time, heartbeat id]. */
const hearAll = (beats: readonly (readonly [number, number])[], from: Presence = NOBODY) =>
  beats.reduce((presence, [at, id]) => hearHeartbeat(presence, id, at).presence, from);

void t.test('presence: restarts, absence, period', async (t) => {
  const first = hearHeartbeat(NOBODY, 41, 1000);
  t.match(first, { restarted: false, returned: true });
  t.match(hearHeartbeat(first.presence, 42, 2000), { restarted: false, returned: false });
  t.match(hearHeartbeat(first.presence, 41, 2000), { restarted: true, returned: true }, 'the same id once more');
  t.match(hearHeartbeat(first.presence, 0, 2000), { restarted: true, returned: true });
  t.match(hearHeartbeat(hearAll([[0, 0]]), 0, 1000), { restarted: true }, '0 after 0');
  const big = Number.MAX_SAFE_INTEGER - 1;
  t.match(hearHeartbeat(hearAll([[0, big]]), big + 1, 1000), { restarted: false });
  t.match(hearHeartbeat(hearAll([[0, big + 1]]), 0, 1000), { restarted: true }, 'an overflow looks like a start');

  const begun = bootBegun(
    hearAll([
      [0, 7],
      [1000, 8],
    ]),
  );
  t.match(hearHeartbeat(begun, 0, 3000), { restarted: false, returned: true }, 'the boot was counted by its question');

  t.equal(heartbeatPeriodMs(NOBODY), undefined);
  t.equal(heartbeatPeriodMs(hearAll([[0, 1]])), undefined);
  t.equal(
    heartbeatPeriodMs(
      hearAll([
        [0, 1],
        [5000, 2],
      ]),
    ),
    5000,
    'learned',
  );
  t.equal(
    heartbeatPeriodMs(
      hearAll([
        [0, 1],
        [10, 2],
      ]),
    ),
    1000,
    'never shorter than EVerest’s default',
  );
  const told = { ...NOBODY, communication: { heartbeat_period_ms: 250 } };
  t.equal(
    heartbeatPeriodMs(
      hearAll(
        [
          [0, 1],
          [5000, 2],
        ],
        told,
      ),
    ),
    250,
    'told wins',
  );
  t.equal(heartbeatPeriodMs({ ...told, communication: { heartbeat_period_ms: 0 } }), undefined, 'none');

  const there = hearAll([
    [0, 1],
    [1000, 2],
  ]);
  t.notOk(isAway(there, 4000));
  t.ok(isAway(there, 4001));
  t.match(hearHeartbeat(there, 3, 4001), { restarted: false, returned: true });
  t.notOk(
    isAway(hearAll([[0, 1]], { ...NOBODY, communication: { heartbeat_period_ms: -1 } }), 1e9),
    'no heartbeats wanted',
  );
  t.notOk(isAway(NOBODY, 1e9), 'a station that was only asked about');
});

void t.test('presence: our own restarts are nobody else’s', (t) => {
  let presence = NOBODY;
  for (let boot = 0; boot < 12; boot++) {
    presence = hearHeartbeat(presence, 0, boot * 900).presence;
    if (boot > 0) presence = restartExplained(presence);
  }
  t.notOk(inConflict(presence, 12 * 900));
  t.end();
});

void t.test('presence: a restart while nobody listened', async (t) => {
  const left = { ...hearAll([[0, 10]]), handedOver: true as const, communication: { heartbeat_period_ms: 1000 } };
  const cases: [label: string, id: number, at: number, restarted: boolean][] = [
    ['the count has gone on', 30, 20_000, false],
    ['a few were late', 27, 20_000, false],
    ['it began anew and has overtaken', 14, 20_000, true],
    ['a short gap tells nothing', 11, 2900, false],
    ['it began anew and has not', 3, 20_000, true],
    ['it began anew soon after it left', 32, 40_000, true],
  ];
  for (const [label, id, at, restarted] of cases) t.match(hearHeartbeat(left, id, at), { restarted }, label);
  const quick = { ...left, heartbeatId: 30, communication: { heartbeat_period_ms: 250 } };
  t.match(hearHeartbeat(quick, 31, 900), { restarted: false }, 'a leader that is busy with its start hears it late');
  const young = { ...quick, heartbeatId: 1 };
  t.match(
    hearHeartbeat(young, 10, 3250),
    { restarted: false },
    'who stored its heartbeat read a clock a second behind',
  );
  const old = { ...left, heartbeatId: 100 };
  t.match(hearHeartbeat(old, 105, 20_000), { restarted: false }, 'beats were lost: no count of the gap is so high');
  t.match(hearHeartbeat({ ...left, heartbeatId: -1 }, 0, 20_000), { restarted: false }, 'counted by its question');
  const { handedOver: _handedOver, ...own } = left;
  t.match(hearHeartbeat(own, 14, 20_000), { restarted: false }, 'heartbeats that were merely lost');
  t.notOk(hearHeartbeat(left, 30, 20_000).presence.handedOver, 'told once');
});

void t.test('presence: two stations with one identity', async (t) => {
  const restartsEvery = (ms: number, count: number) =>
    Array.from({ length: count }, (_, index) => [index * ms, 0] as const);
  t.notOk(inConflict(hearAll(restartsEvery(4000, 7)), 24_000), 'six restarts in 24 s are a bad day, not two stations');
  t.ok(inConflict(hearAll(restartsEvery(1000, 7)), 6000), 'six in ten seconds are');
  t.notOk(inConflict(hearAll(restartsEvery(1000, 6)), 5000), 'five are not');

  const twins = hearAll([
    [0, 100],
    [300, 5],
    [1000, 101],
    [1300, 6],
  ]);
  t.ok(inConflict(twins, 1300), 'both counts go on');
  t.notOk(inConflict(twins, 61_301), 'long over');
  const long = Array.from({ length: 400 }, (_, id) => [100_000 + id * 1000, id] as const);
  t.notOk(
    inConflict(hearAll([[0, 99], [1000, 100], ...long]), 500_000),
    'a restarted count passes where it was before',
  );

  t.ok(inConflict({ ...NOBODY, twinSeenAt: 1000 }, 60_000));
  t.notOk(inConflict({ ...NOBODY, twinSeenAt: 1000 }, 61_001));
});

const entryFor = (afterBoot?: OutboxEntry['afterBoot']): OutboxEntry => ({
  id: 'e',
  operationId: 'o',
  channel: 'firmware_update_status',
  payload: {},
  at: 0,
  expiresAt: 1e15,
  ...(afterBoot ? { afterBoot } : {}),
});
const station = (presence: Presence, more: Partial<Station> = {}): Station => ({
  station: STATION,
  moduleId: STATION,
  presence,
  registered: false,
  bootsNoticed: 0,
  learnedDialect: 'unknown',
  dirty: false,
  conflictReported: false,
  metAt: 0,
  allowance: fullAllowance(200, 0),
  stored: { heard: true, conflict: false, away: false },
  ...more,
});

void t.test('statuses are held while nobody would hear them', async (t) => {
  const steady = 1_000_000;
  const there = hearAll([
    [9000, 1],
    [10_000, 2],
  ]);
  const at = (mono: number) => ({ steady, mono });
  t.equal(heldBecause(entryFor(), undefined, at(0)), 'unknown_station');
  t.equal(heldBecause(entryFor(), station(there), at(10_500)), undefined);
  t.equal(heldBecause(entryFor(), station(there), at(13_001)), 'away');
  const bootAgo = (ms: number, settleMs = 0) => entryFor({ at: steady - ms, settleMs });
  t.equal(
    heldBecause(bootAgo(200), station(there), at(10_500)),
    'booting',
    'the last heartbeat is older than the boot',
  );
  t.equal(heldBecause(bootAgo(900), station(there), at(10_500)), 'booting', 'the count goes on: it may not have ended');
  t.equal(heldBecause(bootAgo(3499), station(there), at(10_500)), 'booting');
  t.equal(heldBecause(bootAgo(3501), station(there), at(10_500)), undefined, 'it goes on through boots');
  const anew = hearAll([
    [8000, 7],
    [9500, 0],
    [10_000, 1],
  ]);
  t.equal(heldBecause(bootAgo(1100), station(anew), at(10_500)), undefined, 'the count began anew');
  t.equal(heldBecause(bootAgo(900), station(anew), at(10_500)), 'booting', 'before the boot was seen');
  const begun = (ms: number) => entryFor({ at: steady - 900, settleMs: 0, begunAt: steady - ms });
  t.equal(heldBecause(begun(1100), station(anew), at(10_500)), undefined, 'but after it was asked for');
  t.equal(heldBecause(begun(950), station(anew), at(10_500)), 'booting');
  t.equal(heldBecause(bootAgo(1100, 2000), station(anew), at(10_500)), 'settling');
  t.equal(heldBecause(bootAgo(2000, 2000), station(anew), at(10_500)), undefined);
  const withOcpp = { ocppConsumer: 'ocpp' };
  t.equal(heldBecause(bootAgo(9000), station(there, withOcpp), at(10_500)), 'not_registered');
  t.equal(heldBecause(bootAgo(1100, 5000), station(anew, { ...withOcpp, registered: true }), at(10_500)), undefined);
  t.equal(heldBecause(bootAgo(100), station(NOBODY), at(10_500)), undefined, 'a station without heartbeats');
});

void t.test('what asks for a permission waits for the first heartbeat after a takeover', async (t) => {
  const at = { steady: 1_000_000, mono: 10_500 };
  const asking = (status: string) => ({ ...entryFor(), payload: { firmware_update_status: status, request_id: 1 } });
  const communication = { heartbeat_period_ms: 1000 };
  const known: Presence = { ...NOBODY, communication, heartbeatId: 7, heartbeatAt: 9000, heardAt: 9000 };
  const taken: Presence = { ...known, handedOver: true };
  const rows: [string, Presence, string | undefined][] = [
    ['SignatureVerified', taken, 'boot_unsure'],
    ['Downloaded', taken, 'boot_unsure'],
    ['Downloading', taken, undefined],
    ['Installed', taken, undefined],
    ['SignatureVerified', known, undefined],
    ['SignatureVerified', hearHeartbeat(taken, 8, 10_400).presence, undefined],
    ['SignatureVerified', { ...taken, communication: { heartbeat_period_ms: 0 } }, undefined],
  ];
  for (const [status, presence, expected] of rows)
    t.equal(heldBecause(asking(status), station(presence), at), expected, status);
});

void t.test('the age of a stored heartbeat', async (t) => {
  const hour = 3600_000;
  const heartbeat = { id: 7, at: 10 * hour, steadyAt: 5 * hour };
  const after = (wallMs: number, steadyMs: number) => ({ wall: 10 * hour + wallMs, steady: 5 * hour + steadyMs });
  const here = 4 * hour;
  const since = 6 * hour;
  const cases: [string, ReturnType<typeof after>, number, number][] = [
    ['time passes', after(2000, 2000), here, 2000],
    ['the date jumped forward, and so the leader changed', after(hour, 2000), here, 2000],
    ['the date jumped back', after(-hour, 2000), here, 2000],
    ['the depot was off for an hour', after(hour, 2000), since, hour],
    ['this process is new, and the date was set back', after(-hour, 2000), since, 2000],
  ];
  for (const [what, now, openedAt, wanted] of cases) t.equal(ageOfHeartbeat(heartbeat, now, openedAt), wanted, what);
  t.equal(ageOfHeartbeat({ id: 7, at: 10 * hour }, after(3000, 0), here), 3000, 'stored by an earlier version');
});

void t.test('small decisions of the bridge', async (t) => {
  t.ok(stillWaits(undefined, 10), 'EVerest’s default of 550 s');
  t.ok(stillWaits({ request_reply_timeout_s: 30 }, 25));
  t.notOk(stillWaits({ request_reply_timeout_s: 29 }, 25));
  t.ok(stillWaits({}, 10));
  const [fence, other] = [createFence('c'), createFence('c')];
  t.equal(fence.topic, other.topic);
  other.hear(Buffer.from(fence.nonce));
  t.notOk(other.isPassed(), 'the echo of an earlier session');
  fence.hear(Buffer.from(fence.nonce));
  t.ok(fence.isPassed());

  const period = (seconds?: number) =>
    checkIntervalMs({
      presence: {
        ...NOBODY,
        ...(seconds === undefined ? {} : { communication: { communication_check_period_s: seconds } }),
      },
    });
  t.equal(period(3), 1000);
  t.equal(period(), 5000 / 3);
  t.equal(period(0), undefined);
  t.equal(period(-1), undefined);

  t.equal(dialectShownBy('update_firmware', { request_id: -1 }), 'ocpp1.6');
  t.equal(dialectShownBy('update_firmware', { request_id: 4 }), undefined);
  t.equal(dialectShownBy('upload_logs', {}), 'ocpp1.6');
  t.equal(dialectShownBy('upload_logs', { request_id: 0 }), undefined);
  t.equal(dialectShownBy('is_reset_allowed', 'NotSpecified'), 'ocpp2.x');
  t.equal(dialectShownBy('is_reset_allowed', 'Soft'), 'ocpp1.6');
  t.equal(dialectShownBy('get_boot_reason', undefined), undefined);

  let now = 0;
  const limiter = createLogLimiter(() => now);
  for (let line = 0; line < 20; line++) t.equal(limiter('a'), 0);
  t.equal(limiter('a'), undefined);
  t.equal(limiter('b'), 0);
  now = 10_000;
  t.equal(limiter('a'), 1);
});

void t.test('the certificate of a request is judged by the station’s rule', async (t) => {
  const dir = t.testdir();
  const root = await makeAuthority(join(dir, 'root'));
  const other = await makeAuthority(join(dir, 'other'), 'Other');
  const leaf = await root.issue({ name: 'leaf' });
  const withdrawn = await root.issue({ name: 'withdrawn' });
  const stranger = await other.issue({ name: 'stranger' });
  await root.revoke(withdrawn);
  const crlFile = join(dir, 'crl.pem');
  await writeFile(crlFile, await root.crl());
  const reports = { usable: () => undefined, unusable: () => undefined };
  const trust = openTrustStore({ rootsFile: root.certificateFile, crlFile }, reports);
  t.teardown(() => trust.close());
  const nothing = openTrustStore({}, reports);
  t.teardown(() => nothing.close());
  const now = new Date();
  const policy = { strength: 'ocpp', revocationUnknown: 'accept' } as const;
  const patient = { answerMs: 20_000, runMs: 20_000 };
  const log = { error: () => undefined, debug: () => undefined, warn: () => undefined };
  const judgesOf = new Map(
    [trust, nothing].map((store) => {
      const judges = createJudges({ material: () => store.current(), policy, log, limits: patient });
      t.teardown(() => judges.close());
      return [store, judges];
    }),
  );
  const judge = (pem: string | undefined, rule: 'chain' | 'any', store = trust, at = now) => {
    const request = { ...UPDATE, ...(pem === undefined ? {} : { signing_certificate: pem, signature: 'x' }) };
    const judges = judgesOf.get(store);
    if (!judges) throw new TypeError('no judges of this store');
    const asker = { station: 'a', origin: 'everest' } as const;
    return createJudgeCertificate({ judges, now: () => at, log })(request, profile({ certificate: rule }), asker);
  };
  t.equal(await judge(undefined, 'chain'), undefined);
  t.equal(await judge('', 'chain'), undefined);
  t.same(await judge(leaf.certificatePem, 'chain'), { ok: true });
  t.same(await judge(leaf.certificatePem.replaceAll('\n', '\\n'), 'chain'), { ok: true }, 'literal \\n');
  t.match(await judge(withdrawn.certificatePem, 'chain'), { response: 'RevokedCertificate', reason: 'revoked' });
  t.match(await judge(stranger.certificatePem, 'chain'), { response: 'InvalidCertificate', reason: 'untrusted' });
  t.match(await judge(leaf.certificatePem, 'chain', nothing), { response: 'InvalidCertificate', reason: 'no_roots' });
  t.match(await judge('rubbish', 'chain'), { response: 'InvalidCertificate', reason: 'certificate_unreadable' });
  t.match(await judge(leaf.certificatePem, 'chain', trust, new Date('2000-01-01')), { reason: 'clock_insane' });
  t.same(await judge(stranger.certificatePem, 'any'), { ok: true });
  t.match(await judge('rubbish', 'any'), { response: 'InvalidCertificate', reason: 'certificate_unreadable' });
});
