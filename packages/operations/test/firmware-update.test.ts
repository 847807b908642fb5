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
import { needsReaffirming } from '@khumbu/operations/kinds/firmware-update/reaffirm';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import t from 'tap';
import { updateRecord } from './make-records.js';
import { NOW, RESTART, SIGNED, TO_DOWNLOADED, TO_VERIFIED, UNSIGNED, walk } from './update-walk.js';

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
  const early = updateRecord({ ...SIGNED, permission: { bootEpoch: 1, at: NOW, by: 'everest' } });
  t.match(
    walk(early, 'ocpp2.x', [...TO_DOWNLOADED, RESTART, 'signatureGood']).record,
    { triggerEpoch: 2, permission: undefined, waitingFor: 'permission' },
    'what an earlier boot has permitted before the trigger does not count in this one',
  );
  t.match(walk(early, 'ocpp2.x', TO_VERIFIED).record, { triggerEpoch: 1, permission: { bootEpoch: 1 } });
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
