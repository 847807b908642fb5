import type { FirmwareUpdateStatusEnum, LogStatusEnum } from '@khumbu/shared/contract/schemas';
import type { ChargerView } from '@khumbu/station-drivers/simulated/charger-view';
import t from 'tap';
import { followCharger } from '../src/charger-watch.js';
import { createDialectChecks } from '../src/dialect-checks.js';
import { OcppPeer, type StationDialect } from '../src/ocpp-peer.js';

type Fw = FirmwareUpdateStatusEnum;

function peerOf(dialect: StationDialect) {
  let allowed = 0;
  const peer = new OcppPeer(dialect, () => {
    allowed += 1;
  });
  return {
    peer,
    /** How often permission was given meanwhile. */
    hear: (status: Fw, requestId: number, disable?: boolean): number => {
      const before = allowed;
      peer.status({
        firmware_update_status: status,
        request_id: requestId,
        ...(disable === undefined ? {} : { firmware_update_metadata: { disable_connectors_during_install: disable } }),
      });
      return allowed - before;
    },
    during: (act: () => void): number => {
      const before = allowed;
      act();
      return allowed - before;
    },
  };
}

void t.test('permission comes at the trigger and connectors come back at the end', async (t) => {
  const cases: [StationDialect, number, boolean, Fw, Fw[]][] = [
    ['ocpp1.6', -1, false, 'Downloaded', ['Downloading']],
    ['ocpp1.6', 5, true, 'SignatureVerified', ['Downloading', 'Downloaded']],
    ['ocpp2.x', 5, true, 'SignatureVerified', ['Downloading', 'Downloaded']],
    ['ocpp2.x', 5, false, 'Downloaded', ['Downloading']],
  ];
  for (const [dialect, id, signed, trigger, before] of cases) {
    const { peer, hear } = peerOf(dialect);
    peer.requested({ signed });
    for (const status of before) t.equal(hear(status, id), 0, `${dialect} ${id}: nothing at ${status}`);
    t.notOk(peer.connectorsDown);
    t.equal(hear(trigger, id), 1, `${dialect} ${id}: allowed at ${trigger}`);
    t.ok(peer.connectorsDown, 'connectors are out of use');
    t.notOk(peer.beginTransaction(), 'and take no transaction');
    hear('Installing', id);
    hear('InstallationFailed', id);
    t.notOk(peer.connectorsDown, 'connectors are back');
    t.ok(peer.beginTransaction());
  }
});

void t.test('metadata false: connectors stay and permission never comes', async (t) => {
  for (const dialect of ['ocpp1.6', 'ocpp2.x'] as const) {
    const { peer, hear } = peerOf(dialect);
    peer.requested({ signed: true });
    t.equal(hear('SignatureVerified', 3, false), 0);
    t.equal(hear('Installing', 3), 0);
    t.notOk(peer.connectorsDown);
  }
});

void t.test('1.6 repeats permission on every later status, and keeps on after Installed', async (t) => {
  const { peer, hear, during } = peerOf('ocpp1.6');
  t.equal(hear('SignatureVerified', 3), 1);
  t.equal(hear('InstallScheduled', 3), 1);
  t.equal(hear('SignatureVerified', 3), 1, 'no filter for repeats');
  t.equal(
    during(() => peer.triggerMessage()),
    1,
  );
  hear('Installed', 3);
  t.notOk(peer.connectorsDown);
  t.ok(peer.pending, 'Installed does not end it');
  t.ok(peer.beginTransaction());
  t.equal(
    during(() => peer.endTransaction()),
    1,
  );
  t.ok(peer.connectorsDown, 'the next transaction takes the connectors down again');
  hear('InstallationFailed', 3);
  t.notOk(peer.pending);
});

void t.test('1.6 drops what has no place without an id, and DownloadFailed gives no connectors back', async (t) => {
  const { peer, hear } = peerOf('ocpp1.6');
  t.equal(hear('Downloaded', -1), 1);
  t.equal(hear('InstallScheduled', -1), 0, 'dropped, so it asks for nothing');
  t.equal(hear('InstallVerificationFailed', -1), 0);
  t.ok(peer.connectorsDown);
  hear('DownloadFailed', -1);
  t.ok(peer.connectorsDown);
  t.same(peer.csmsHeard, [{ status: 'Downloaded' }, { status: 'DownloadFailed' }]);
});

void t.test('2.x swallows repeats, and forgets an unsigned update with a restart', async (t) => {
  const { peer, hear } = peerOf('ocpp2.x');
  peer.requested({ signed: true });
  t.equal(hear('SignatureVerified', 3), 1);
  t.equal(hear('SignatureVerified', 3), 0);
  t.equal(hear('InstallScheduled', 3), 0);
  t.equal(hear('SignatureVerified', 3), 1, 'after another status it asks again');
  hear('DownloadFailed', 3);
  t.notOk(peer.connectorsDown, 'DownloadFailed restores here');
  t.same(
    peer.csmsHeard.map((n) => n.status),
    ['SignatureVerified', 'InstallScheduled', 'SignatureVerified', 'DownloadFailed'],
  );
  t.equal(peerOf('ocpp2.x').hear('Downloaded', 4), 0, 'a fresh OCPP module waits for SignatureVerified');
});

void t.test('transactions hold permission back', async (t) => {
  for (const dialect of ['ocpp1.6', 'ocpp2.x'] as const) {
    const { peer, hear, during } = peerOf(dialect);
    peer.requested({ signed: true });
    peer.beginTransaction();
    peer.beginTransaction();
    t.equal(hear('SignatureVerified', 3), 0, 'busy');
    t.ok(peer.connectorsDown, 'idle ones are out of use');
    t.equal(
      during(() => peer.endTransaction()),
      0,
    );
    t.equal(
      during(() => peer.endTransaction()),
      1,
      'after the last one',
    );
    const heard = peer.csmsHeard.map((n) => n.status);
    t.same(heard, dialect === 'ocpp2.x' ? ['SignatureVerified', 'InstallScheduled'] : ['SignatureVerified']);
  }
});

void t.test('after a reset OCPP hears nothing', async (t) => {
  const { peer, hear } = peerOf('ocpp2.x');
  peer.stop();
  t.equal(hear('SignatureVerified', 3), 0);
  t.same(peer.csmsHeard, []);
});

interface Script {
  readonly dialect?: StationDialect;
  readonly perAttempt?: boolean;
  readonly adopt?: boolean;
  /** `?7` unsigned request 7, `!7` signed request 7, `l7` log request 7, `Status 7`, `log Status 7`. */
  readonly says: string;
  readonly violation?: RegExp;
}

function run({ dialect = 'ocpp2.x', perAttempt = false, adopt = false, says }: Script): string[] {
  const checks = createDialectChecks({
    dialect,
    logFailurePerAttempt: perAttempt,
    unknownIds: adopt ? 'adopt' : 'violation',
  });
  return says.split(/, */).flatMap((word) => {
    const [, mark, id] = /^([?!l])(-?\d+)$/.exec(word) ?? [];
    if (mark !== undefined) {
      checks.accepted(mark === 'l' ? 'log' : 'firmware', Number(id), mark === '!');
      return [];
    }
    const parts = word.split(' ');
    const requestId = Number(parts.at(-1));
    return parts[0] === 'log'
      ? checks.log({ log_status: parts[1] as LogStatusEnum, request_id: requestId })
      : checks.firmware({ firmware_update_status: parts[0] as Fw, request_id: requestId });
  });
}

const GOOD: Script[] = [
  {
    says: '!7, DownloadScheduled 7, Downloading 7, DownloadPaused 7, Downloading 7, Downloaded 7, SignatureVerified 7, InstallScheduled 7, SignatureVerified 7, Installing 7, InstallRebooting 7, Installed 7',
  },
  { says: '?7, Downloading 7, Downloaded 7, InstallScheduled 7, Downloaded 7, Installing 7, Installed 7, Installed 7' },
  { says: '!7, DownloadFailed 7' },
  { says: '!7, Downloading 7, Downloaded 7, InvalidSignature 7' },
  { says: '!7, Downloading 7, !8, DownloadFailed 7, Downloading 8, Downloaded 8' },
  { says: '!7, Downloading 7, !8, Downloading 8, Downloaded 8' },
  { dialect: 'ocpp1.6', says: '?-1, Downloading -1, Downloaded -1, Downloaded -1, Installing -1, Installed -1' },
  {
    dialect: 'ocpp1.6',
    says: '?-1, Downloading -1, Downloaded -1, ?-1, InstallationFailed -1, Downloading -1, Downloaded -1',
  },
  { dialect: 'ocpp1.6', says: 'Downloading -1, Downloaded -1, Installing -1, Installed -1, Downloading -1' },
  { says: 'DownloadScheduled -1, Downloading -1, Downloaded -1, SignatureVerified -1, Installing -1, Installed -1' },
  { says: 'l7, log Uploading 7, log Uploading 7, log Uploaded 7' },
  { says: 'l7, log Uploading 7, l8, log AcceptedCanceled 7, log Uploading 8' },
  { perAttempt: true, says: 'l7, log Uploading 7, log UploadFailure 7, log Uploading 7, log Uploaded 7' },
  { dialect: 'ocpp1.6', says: 'l-1, log Uploading -1, log UploadFailure -1' },
  { adopt: true, says: 'InstallRebooting 7, Installed 7, log Uploading 3, log Uploaded 3' },
];

const BAD: Script[] = [
  { says: 'Downloading 7', violation: /never accepted/ },
  { says: 'log Uploading 7', violation: /never accepted/ },
  { says: 'log Uploading -1', violation: /never accepted/ },
  { says: '!7, Downloading 7, SignatureVerified 7', violation: /SignatureVerified after Downloading/ },
  { says: '!7, Downloading 7, Downloaded 7, Installing 7', violation: /Installing after Downloaded/ },
  { says: '?7, Downloading 7, Downloaded 7, SignatureVerified 7', violation: /SignatureVerified after Downloaded/ },
  { says: '!7, Installed 7', violation: /Installed after start/ },
  { says: '!7, Idle 7', violation: /Idle is not ours/ },
  { says: 'l7, log Idle 7', violation: /Idle is not ours/ },
  { says: '!7, DownloadFailed 7, InstallationFailed 7', violation: /second final status/ },
  { says: '!7, DownloadFailed 7, Downloading 7', violation: /a status, Downloading, after DownloadFailed/ },
  { says: 'l7, log Uploading 7, log UploadFailure 7, log Uploaded 7', violation: /second final status/ },
  { says: 'l7, log Uploading 7, log UploadFailure 7, log Uploading 7', violation: /after UploadFailure/ },
  { says: '!7, Downloading 7, !8, Downloading 8, DownloadFailed 7', violation: /after a later request began/ },
  { says: 'Downloading -1, DownloadFailed -1, Installed -1', violation: /second final status/ },
  { dialect: 'ocpp1.6', says: '?-1, DownloadScheduled -1', violation: /has no DownloadScheduled without an id/ },
  { dialect: 'ocpp1.6', says: 'l7, log AcceptedCanceled 7', violation: /aborts the OCPP 1.6 module/ },
  { dialect: 'ocpp1.6', says: 'l-1, log PermissionDenied -1', violation: /aborts the OCPP 1.6 module/ },
  {
    dialect: 'ocpp1.6',
    says: '!7, Downloading 7, Downloaded 7, SignatureVerified 7, !8, Downloading 8',
    violation: /firmware 7: .* left connectors out of use/,
  },
  {
    dialect: 'ocpp1.6',
    says: '?-1, Downloading -1, Downloaded -1, ?-1, Downloading -1',
    violation: /firmware -1: .* left connectors out of use/,
  },
];

void t.test('legal sequences pass', async (t) => {
  for (const script of GOOD) t.same(run(script), [], script.says);
});

void t.test('each rule fires, and only once', async (t) => {
  for (const script of BAD) {
    const violations = run(script);
    t.equal(violations.length, 1, script.says);
    t.match(violations[0], script.violation);
  }
});

void t.test('EVerest follows its charger', async (t) => {
  const state = (bootId: string, everestStarts: number, rebooting = false, restarting = false): ChargerView => ({
    bootId,
    everestStarts,
    rebooting,
    restarting,
  });
  t.equal(followCharger(undefined, state('a', 1)), 'stay');
  t.equal(followCharger(undefined, state('a', 1, true)), 'go-down');
  t.equal(followCharger(state('a', 1), state('a', 1)), 'stay');
  t.equal(followCharger(state('a', 1), state('a', 1, true)), 'go-down');
  t.equal(followCharger(state('a', 1), state('a', 1, false, true)), 'go-down');
  t.equal(followCharger(state('a', 1, true), state('b', 2)), 'come-up');
  t.equal(followCharger(state('a', 1, true), state('a', 1, true, true)), 'stay');
  t.equal(followCharger(state('a', 1), state('b', 2)), 'restart', 'a reboot that was told as one change');
  t.equal(followCharger(state('a', 1), state('a', 2)), 'restart');
});
