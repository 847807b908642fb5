import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createJudges } from '@khumbu/firmware-trust/judges';
import { openTrustStore } from '@khumbu/firmware-trust/roots';
import {
  type BootEvidence,
  type BootSign,
  decideBootReason,
  HOST_BOOT_MS,
  OPEN,
  RESTART_EXPECTED_FOR_MS,
  reasonOfBoot,
  signWaitMs,
} from '@khumbu/intake/decide-boot-reason';
import { decideLogUpload } from '@khumbu/intake/decide-log-upload';
import { decideNetwork } from '@khumbu/intake/decide-network';
import { decideReset, decideResetAllowed } from '@khumbu/intake/decide-reset';
import { decideSystemTime } from '@khumbu/intake/decide-system-time';
import { type CertificateVerdict, decideUpdate } from '@khumbu/intake/decide-update';
import { createJudgeCertificate } from '@khumbu/intake/judge-certificate';
import {
  FIRMWARE_UPDATE_STATES,
  type FirmwareUpdateState,
  isFinalUpdateState,
} from '@khumbu/operations/kinds/firmware-update/machine';
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import type { ResetState } from '@khumbu/operations/kinds/reset/record';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import type { FirmwareUpdateRequest } from '@khumbu/shared/contract/schemas';
import { makeAuthority } from '@khumbu/test-support/certificates';
import t from 'tap';
import { dialectShownBy } from '../src/mqtt/inbound/request-table.js';
import {
  hasDuplicateIdentity,
  oneModuleAnswered,
  restartCounted,
  twoModulesAnswered,
} from '../src/mqtt/liveness/duplicate-identity.js';
import type { Presence } from '../src/mqtt/liveness/presence.js';
import {
  bootBegun,
  hearHeartbeat,
  heartbeatPeriodMs,
  isAway,
  NEVER_HEARD,
  restartExplained,
} from '../src/mqtt/liveness/presence.js';
import type { Station } from '../src/mqtt/liveness/station.js';
import { ageOfHeartbeat } from '../src/mqtt/liveness/stored-fields.js';
import { checkIntervalMs } from '../src/mqtt/outbound/communication-checks.js';
import { heldBecause } from '../src/mqtt/outbound/status-publisher.js';
import { createBacklogMarker, stillWaits } from '../src/mqtt/session/backlog-marker.js';
import { fullBuckets } from '../src/mqtt/session/token-bucket.js';
import { createLogLimiter } from '../src/rate-limited-log.js';
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
  const told = (reason: string, more: object = {}) => ({
    bootEpoch: '3',
    bootReason: { bootEpoch: 3, reason, asked: true, ...more },
    heartbeat: { id: 50, at: now, steadyAt: now },
  });
  const known = told('PowerUp');
  const ask = (fields: object, silentMs?: number, more: number | Partial<BootEvidence> = {}) =>
    decideBootReason({
      state: stationState({ ...fields }),
      silentMs,
      heartbeatPeriodMs: more === 0 ? undefined : 1000,
      monotonicNow: now,
      ...(typeof more === 'object' ? more : {}),
    });
  const first = { reason: 'PowerUp', beginsBoot: false, store: true };
  const same = (reason: string, store = false) => ({ reason, beginsBoot: false, store });
  const anew = (reason: string) => ({ reason, beginsBoot: true, store: true });

  t.same(ask({}), first, 'a station we have never heard');
  t.same(ask({ restartExpected: expected(now - 5000) }, 3000), anew('RemoteReset'));
  t.same(
    ask({ ...known, restartExpected: expected(now - 5000) }, 100),
    anew('RemoteReset'),
    'the question overtakes the first heartbeat',
  );
  t.same(ask(known, 2600), anew('ApplicationReset'), 'too quick for a host');
  t.same(ask(known, HOST_BOOT_MS + 1), anew('PowerUp'));
  t.same(ask(known, 60_000, 0), same('PowerUp'), 'no heartbeats to miss');
  const stale = { ...known, restartExpected: expected(now - RESTART_EXPECTED_FOR_MS - 1) };
  t.same(ask(stale, HOST_BOOT_MS + 1), anew('PowerUp'), 'an expectation that went stale');

  for (const reason of ['PowerUp', 'RemoteReset', 'ScheduledReset', 'FirmwareUpdate']) {
    for (const silentMs of [0, 400, 900, 2400]) {
      const open = [told(reason), told(reason, { asked: undefined }), told(reason, { asked: false })];
      for (const fields of open) t.equal(ask(fields, silentMs), OPEN, `${reason}, silent for ${silentMs} ms`);
    }
    const sign = (what: BootSign, bootEpoch = 3) => ({ sign: { what, bootEpoch } });
    t.same(ask(told(reason), 900, sign('goes_on')), same(reason), 'the same answer in one boot');
    t.same(ask(told(reason, { asked: false }), 900, sign('goes_on')), same(reason, true), 'asked for the first time');
    t.same(ask(told(reason), 900, sign('silence')), anew('ApplicationReset'), 'never twice on suspicion');
    t.same(ask(told(reason), 900, sign('beacon')), anew('ApplicationReset'));
    t.same(ask(told(reason), 900, sign('silence', 2)), same(reason), 'another question has waited for the same');
    t.same(ask(told(reason, { asked: false }), 900, sign('begins', 2)), same(reason, true), 'counted by its heartbeat');
    t.same(ask(told(reason), 900, { beaconHeard: true }), anew('ApplicationReset'), 'its modules have started');
    t.same(ask(told(reason, { asked: false }), 30, { countAgeMs: 30 }), same(reason, true), 'as it starts');
    t.equal(ask(told(reason), 30, { countAgeMs: 30 }), OPEN, 'it had asked already');
    t.equal(ask(told(reason, { asked: false }), 30, { countAgeMs: 3000 }), OPEN, 'long after it started');
    const expects = { ...told(reason), restartExpected: expected(now - 5) };
    t.same(ask(expects, 900, sign('goes_on')), same(reason), 'the restart that is expected is still to come');
    t.same(ask(expects, 900, sign('silence')), anew('RemoteReset'), 'it has come while the question waited');
  }
  const counted = { ...told('RemoteReset', { asked: false }), heartbeat: { id: -1, at: now, steadyAt: now } };
  t.same(
    ask(counted, 9000, { awaitsHeartbeat: false, isCounted: true }),
    same('RemoteReset', true),
    'its heartbeat was counted while the question waited for its turn',
  );
  t.same(ask(told('ApplicationReset'), 900), same('ApplicationReset'), 'the same, whichever boot it is');
  const heard = { bootEpoch: '0', heartbeat: { id: 9, at: now, steadyAt: now } };
  t.equal(ask(heard, 900), OPEN, 'it was heard, and nobody had asked');
  t.same(ask(heard, 900, { sign: { what: 'goes_on', bootEpoch: 0 } }), first);
  t.same(ask(heard, 900, { sign: { what: 'silence', bootEpoch: 0 } }), anew('ApplicationReset'));
  t.same(ask(heard, 4000), anew('ApplicationReset'), 'and it came back');

  const begun = {
    bootEpoch: '4',
    bootReason: { bootEpoch: 4, reason: 'RemoteReset', asked: true },
    heartbeat: { id: -1, at: now - 9000, steadyAt: now - 9000 },
  };
  t.same(ask(begun, 9000, { begunMs: 100 }), same('RemoteReset'), 'asked by two as it starts');
  t.same(ask(begun, 9000), anew('ApplicationReset'), 'that start came to nothing: its first heartbeat never came');
  t.same(ask(begun, 60_000, { begunMs: 60_000 }), anew('PowerUp'));
  t.same(ask(begun, undefined, 0), anew('ApplicationReset'), 'EVerest without heartbeats asks once in each start');
  t.equal(ask(begun, 900, { awaitsHeartbeat: false }), OPEN, 'it has come, and is not stored yet');

  const seldom = { heartbeatPeriodMs: 10_000 };
  t.same(ask(known, 25_001, seldom), anew('PowerUp'));
  t.same(
    reasonOfBoot({ state: stationState(known), silentMs: 22_000, monotonicNow: now, ...seldom }),
    'ApplicationReset',
  );
});

void t.test('get_boot_reason: how long an answer may wait', (t) => {
  const rows: [silentMs: number, periodMs: number, timeoutS: number | undefined, waitMs: number][] = [
    [0, 1000, 30, 1200],
    [1000, 1000, 30, 1200],
    [2000, 1000, 30, 500],
    [0, 10_000, 60, 12_000],
    [0, 10_000, 30, 10_000],
    [0, 60_000, undefined, 72_000],
    [0, 600_000, undefined, 100_000],
    [9000, 1000, 30, 0],
  ];
  for (const [silentMs, periodMs, timeoutS, waitMs] of rows) {
    const told = timeoutS === undefined ? {} : { request_reply_timeout_s: timeoutS };
    t.equal(Math.round(signWaitMs(silentMs, periodMs, told)), waitMs, `${silentMs} of ${periodMs}`);
  }
  t.end();
});

/** Hear a list of [monotonic time, heartbeat id]. */
const hearAll = (beats: readonly (readonly [number, number])[], from: Presence = NEVER_HEARD) =>
  beats.reduce((presence, [at, id]) => hearHeartbeat(presence, id, at).presence, from);

void t.test('presence: restarts, absence, period', async (t) => {
  const first = hearHeartbeat(NEVER_HEARD, 41, 1000);
  t.match(first, { restarted: false, returned: true });
  t.match(hearHeartbeat(first.presence, 42, 2000), { restarted: false, returned: false });
  t.match(hearHeartbeat(first.presence, 41, 2000), { restarted: true, returned: true }, 'the same id once more');
  t.match(hearHeartbeat(first.presence, 0, 2000), { restarted: true, returned: true });
  t.match(hearHeartbeat(hearAll([[0, 0]]), 0, 1000), { restarted: true }, '0 after 0');
  const big = Number.MAX_SAFE_INTEGER - 1;
  t.match(hearHeartbeat(hearAll([[0, big]]), big + 1, 1000), { restarted: false });
  t.match(hearHeartbeat(hearAll([[0, big + 1]]), 0, 1000), { restarted: true }, 'an overflow looks like a start');

  const former = hearAll([
    [0, 7],
    [1000, 8],
  ]);
  const begun = bootBegun(former, former, 2500);
  t.match(hearHeartbeat(begun, 0, 3000), { restarted: false, returned: true }, 'the boot was counted by its question');
  t.equal(bootBegun(hearAll([[2000, 9]], former), former, 2500).heartbeatId, -1, 'perhaps one of the former boot');
  for (const before of [NEVER_HEARD, begun]) {
    const heard = bootBegun(hearAll([[2600, 0]], before), before, 2700);
    t.match(heard, { heartbeatId: 0, countBeganAt: 2600 }, 'its first heartbeat came before its question was decided');
    t.match(hearHeartbeat(heard, 1, 3600), { restarted: false, returned: false });
    t.match(hearHeartbeat(heard, 0, 3600), { restarted: true });
  }

  t.equal(heartbeatPeriodMs(NEVER_HEARD), undefined);
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
  const told = { ...NEVER_HEARD, communication: { heartbeat_period_ms: 250 } };
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
    isAway(hearAll([[0, 1]], { ...NEVER_HEARD, communication: { heartbeat_period_ms: -1 } }), 1e9),
    'no heartbeats wanted',
  );
  t.notOk(isAway(NEVER_HEARD, 1e9), 'a station that was only asked about');
});

void t.test('presence: our own restarts are nobody else’s, however many beats they live for', async (t) => {
  for (const beats of [1, 2, 3, 5]) {
    for (const byQuestion of [false, true]) {
      for (const lost of [0, 1]) {
        let presence = hearAll([[0, 0]]);
        let now = 0;
        for (let boot = 0; boot < 12; boot++) {
          now += 900;
          // Its question may come first, or while its first heartbeat is being looked at.
          if (byQuestion && boot % 2 === 0) presence = bootBegun(presence, presence, now);
          for (let id = 0; id < beats; id++) {
            if (lost > 0 && id === beats - 1 && beats > 2) continue;
            const heard = hearHeartbeat(presence, id, now);
            presence = heard.restarted ? restartExplained(heard.unjudged) : heard.presence;
            t.notOk(
              hasDuplicateIdentity(presence, now),
              `${beats} beats, ${byQuestion ? 'asked' : 'heard'}, boot ${boot}`,
            );
            now += 200;
          }
        }
      }
    }
  }
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
  t.notOk(
    hasDuplicateIdentity(hearAll(restartsEvery(4000, 7)), 24_000),
    'six restarts in 24 s are a bad day, not two stations',
  );
  t.ok(hasDuplicateIdentity(hearAll(restartsEvery(1000, 7)), 6000), 'six in ten seconds are');
  t.notOk(hasDuplicateIdentity(hearAll(restartsEvery(1000, 6)), 5000), 'five are not');

  const twins = hearAll([
    [0, 100],
    [300, 5],
    [1000, 101],
    [1300, 6],
  ]);
  t.ok(hasDuplicateIdentity(twins, 1300), 'both counts go on');
  t.notOk(hasDuplicateIdentity(twins, 61_301), 'long over');
  const long = Array.from({ length: 400 }, (_, id) => [100_000 + id * 1000, id] as const);
  t.notOk(
    hasDuplicateIdentity(hearAll([[0, 99], [1000, 100], ...long]), 500_000),
    'a restarted count passes where it was before',
  );

  const unheard = { ...hearAll([[0, 9]]), handedOver: true as const };
  t.notOk(hearHeartbeat(unheard, 4, 1000).presence.resumptions.length, 'what began while nobody listened did not');
  t.ok(hasDuplicateIdentity({ ...NEVER_HEARD, twoModulesAt: 1000 }, 60_000));
  t.notOk(hasDuplicateIdentity({ ...NEVER_HEARD, twoModulesAt: 1000 }, 61_001));
});

/** Two stations of one identity, each with its own period and its first id, until one has left at `untilMs`. */
function twinBeats(
  stays: { periodMs: number; from: number; id: number },
  leaves: { periodMs: number; from: number; id: number },
  untilMs: number,
  toMs: number,
): { at: number; id: number; stays: boolean }[] {
  const beats: { at: number; id: number; stays: boolean }[] = [];
  for (let n = 0; stays.from + n * stays.periodMs < toMs; n++)
    beats.push({ at: stays.from + n * stays.periodMs, id: stays.id + n, stays: true });
  for (let n = 0; leaves.from + n * leaves.periodMs < untilMs; n++)
    beats.push({ at: leaves.from + n * leaves.periodMs, id: leaves.id + n, stays: false });
  return beats.sort((a, b) => a.at - b.at);
}

void t.test('presence: a station has its identity back within three heartbeats after its twin is gone', async (t) => {
  const rows: [string, Parameters<typeof twinBeats>[0], Parameters<typeof twinBeats>[1], number][] = [
    ['counts far apart', { periodMs: 1000, from: 0, id: 100 }, { periodMs: 1000, from: 300, id: 0 }, 3],
    ['it started as the other left off', { periodMs: 1000, from: 0, id: 0 }, { periodMs: 1000, from: 700, id: 40 }, 3],
    ['started together', { periodMs: 1000, from: 0, id: 0 }, { periodMs: 1000, from: 10, id: 0 }, 3],
    ['quick', { periodMs: 200, from: 0, id: 9 }, { periodMs: 200, from: 120, id: 70 }, 3],
    ['slow', { periodMs: 10_000, from: 0, id: 9 }, { periodMs: 10_000, from: 4000, id: 70 }, 3],
    // Of the seldom one's periods, as nobody knows sooner that it is gone.
    ['the twin beats seldom', { periodMs: 1000, from: 0, id: 9 }, { periodMs: 5000, from: 400, id: 70 }, 15],
  ];
  for (const [label, stays, leaves, within] of rows) {
    const goneAt = 8 * leaves.periodMs + leaves.from + 1;
    const beats = twinBeats(stays, leaves, goneAt, goneAt + 20 * stays.periodMs);
    let presence = NEVER_HEARD;
    let noticedAt: number | undefined;
    let beatsSince = 0;
    let backAfter: number | undefined;
    for (const { at, id, stays: isIt } of beats) {
      presence = hearHeartbeat(presence, id, at).presence;
      const conflict = hasDuplicateIdentity(presence, at);
      if (at < goneAt) {
        if (conflict) noticedAt ??= at;
        if (noticedAt !== undefined) t.ok(conflict, `${label}: it lasts while both are there, at ${at}`);
        continue;
      }
      if (isIt) beatsSince++;
      if (!conflict) backAfter ??= beatsSince;
      if (backAfter !== undefined) t.notOk(conflict, `${label}: and it is over for good`);
    }
    t.ok((noticedAt ?? Infinity) <= 4 * Math.max(stays.periodMs, leaves.periodMs), `${label}: noticed at ${noticedAt}`);
    t.ok((backAfter ?? Infinity) <= within, `${label}: back after ${backAfter} heartbeats`);
  }
});

void t.test('presence: what modules answered is judged by what they answer next', async (t) => {
  const twins = twoModulesAnswered(
    hearAll([
      [0, 4],
      [1000, 5],
    ]),
    1500,
  );
  t.ok(
    hasDuplicateIdentity(
      hearAll(
        [
          [2000, 6],
          [3000, 7],
          [4000, 8],
        ],
        twins,
      ),
      4000,
    ),
    'heartbeats of one say nothing of the other',
  );
  t.ok(hasDuplicateIdentity(oneModuleAnswered(twins, 1400), 2000), 'an answer to an earlier question says nothing');
  t.notOk(hasDuplicateIdentity(oneModuleAnswered(twins, 1600), 2000), 'one alone has answered since');
  const counted = restartCounted(restartCounted(twins, 3, 1600), 4, 1900);
  t.ok(hasDuplicateIdentity(oneModuleAnswered(counted, 1600), 2000), 'but two were heard to count');
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
  bootsCounted: 0,
  bootsByQuestion: 0,
  learnedDialect: 'unknown',
  dirty: false,
  duplicateReported: false,
  metAt: 0,
  buckets: fullBuckets(200, 0),
  stored: { heard: true, duplicate: false, away: false },
  ...more,
});

void t.test('statuses are held while nobody would hear them', async (t) => {
  const monotonic = 1_000_000;
  const there = hearAll([
    [9000, 1],
    [10_000, 2],
  ]);
  const at = (mono: number) => ({ monotonic, mono });
  t.equal(heldBecause(entryFor(), undefined, at(0)), 'unknown_station');
  t.equal(heldBecause(entryFor(), station(there), at(10_500)), undefined);
  t.equal(heldBecause(entryFor(), station(there), at(13_001)), 'away');
  const bootAgo = (ms: number, settleMs = 0) => entryFor({ at: monotonic - ms, settleMs });
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
  const begun = (ms: number) => entryFor({ at: monotonic - 900, settleMs: 0, begunAt: monotonic - ms });
  t.equal(heldBecause(begun(1100), station(anew), at(10_500)), undefined, 'but after it was asked for');
  t.equal(heldBecause(begun(950), station(anew), at(10_500)), 'booting');
  t.equal(heldBecause(bootAgo(1100, 2000), station(anew), at(10_500)), 'settling');
  t.equal(heldBecause(bootAgo(60_000, 2000), station(anew), at(10_500)), 'settling', 'the host was back long before');
  t.equal(heldBecause(bootAgo(60_000, 2000), station(anew), at(11_499)), 'settling');
  t.equal(heldBecause(bootAgo(60_000, 2000), station(anew), at(11_500)), undefined, 'counted from its first heartbeat');
  const seenLate = entryFor({ at: monotonic - 600, settleMs: 900, begunAt: monotonic - 5000 });
  t.equal(
    heldBecause(seenLate, station(anew), at(10_500)),
    undefined,
    'EVerest was back before its host was seen to be',
  );
  const handedOver = {
    ...hearAll([[9000, 7]]),
    handedOver: true as const,
    communication: { heartbeat_period_ms: 500 },
  };
  const afterTakeover = hearAll([[10_400, 9]], handedOver);
  t.equal(
    heldBecause(bootAgo(60_000, 2000), station(afterTakeover), at(10_500)),
    'settling',
    'of what another leader heard nothing is known',
  );
  const asked = bootBegun(NEVER_HEARD, NEVER_HEARD, 10_000);
  t.equal(
    heldBecause(bootAgo(60_000, 2000), station(asked), at(10_500)),
    'settling',
    'without heartbeats: its question',
  );
  t.equal(heldBecause(bootAgo(60_000, 2000), station(asked), at(12_000)), undefined);
  const withOcpp = { ocppConsumer: 'ocpp' };
  t.equal(heldBecause(bootAgo(9000), station(there, withOcpp), at(10_500)), 'not_registered');
  t.equal(heldBecause(bootAgo(1100, 5000), station(anew, { ...withOcpp, registered: true }), at(10_500)), undefined);
  t.equal(heldBecause(bootAgo(100), station(NEVER_HEARD), at(10_500)), undefined, 'a station without heartbeats');
});

void t.test('what asks for a permission waits for the first heartbeat after a takeover', async (t) => {
  const at = { monotonic: 1_000_000, mono: 10_500 };
  const asking = (status: string) => ({ ...entryFor(), payload: { firmware_update_status: status, request_id: 1 } });
  const communication = { heartbeat_period_ms: 1000 };
  const known: Presence = { ...NEVER_HEARD, communication, heartbeatId: 7, heartbeatAt: 9000, heardAt: 9000 };
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
  const after = (wallMs: number, steadyMs: number) => ({ wall: 10 * hour + wallMs, monotonic: 5 * hour + steadyMs });
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
  const [backlogMarker, other] = [createBacklogMarker('c'), createBacklogMarker('c')];
  t.equal(backlogMarker.topic, other.topic);
  other.hear(Buffer.from(backlogMarker.nonce));
  t.notOk(other.isPassed(), 'the echo of an earlier session');
  backlogMarker.hear(Buffer.from(backlogMarker.nonce));
  t.ok(backlogMarker.isPassed());

  const period = (seconds?: number) =>
    checkIntervalMs({
      presence: {
        ...NEVER_HEARD,
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
    const requester = { station: 'a', origin: 'everest' } as const;
    return createJudgeCertificate({ judges, now: () => at, log })(request, profile({ certificate: rule }), requester);
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
