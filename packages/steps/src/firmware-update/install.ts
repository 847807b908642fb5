/**
 * From permission to the new image being in place. "About to" is committed before the station is touched, and the
 * effect on the station is idempotent, so that a worker that continues after a crash finds it there.
 */
import type { InstallProgressPort } from '@khumbu/operations/events/progress';
import { putOff, type StepContext } from '@khumbu/operations/jobs/job-loop';
import { hasAnswered } from '@khumbu/operations/kinds/firmware-update/certificates';
import { isBeforeInstall } from '@khumbu/operations/kinds/firmware-update/machine';
import { needsReaffirming, reaffirm } from '@khumbu/operations/kinds/firmware-update/reaffirm';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { slotField } from '@khumbu/operations/records/keys';
import { isEnded } from '@khumbu/operations/records/record';
import type { StoredWait } from '@khumbu/operations/records/wait-words';
import { decideInstallStart, type InstallStart } from '@khumbu/operations/stations/everest-presence';
import { resetReservedMs, STATION_FIELDS, type StationState } from '@khumbu/operations/stations/station-state';
import { requireProfile } from '@khumbu/shared/stations/stations-file';
import { awaitEffect } from '@khumbu/station-drivers/await-effect';
import type { FirmwareImage } from '@khumbu/station-drivers/port';
import { askCertificateStore } from '../certificate-store.js';
import { orSettle } from '../driver-faults.js';
import { hasBegun } from '../has-begun.js';
import { noteEvidence } from '../observe.js';
import { openUnlessLost } from './image-ports.js';
import { settleUpdate } from './settle-update.js';
import { applyAll, loseImage, type StationView, type StepDeps, viewStation } from './step-deps.js';

/** How soon a reset that has precedence is looked for again. */
const RESET_PAUSE_MS = 500;
/** How soon a station that shares its name with another one is looked at again, and one that was found away. */
const CONFLICT_PAUSE_MS = 5000;
const AWAY_PAUSE_MS = 5000;
/** ...and one whose absence no leader has detected yet: perhaps there is no leader. */
const SILENT_PAUSE_MS = 1000;

interface Obstacle {
  readonly waitMs: number;
  readonly waitingFor: StoredWait;
  readonly until?: number;
}

/** EVerest is not there: its permission is kept, for it may be the same boot that comes back. */
function absence(start: InstallStart, { awaySince }: StationState): Obstacle | undefined {
  if (start === 'begin' || start === 'ask_again') return undefined;
  const isFound = awaySince !== undefined || start.waitFor === 'station_never_heard';
  return { waitMs: isFound ? AWAY_PAUSE_MS : SILENT_PAUSE_MS, waitingFor: start.waitFor };
}

const pathOfContent = ({ contentPath }: StepDeps, sha256: string): Pick<FirmwareImage, 'contentPath'> =>
  contentPath ? { contentPath: (seconds) => contentPath(sha256, seconds) } : {};

/** `progress` publishes how far the image is on its way to the station, and the percentage that the station reports. */
export function createInstall(deps: StepDeps, progress?: InstallProgressPort) {
  const { store, images, driverOf, now } = deps;

  /** Why the install may not begin yet, when to look again, and until when (monotonic); `undefined`: it may. */
  const obstacle = async ({ state }: StationView): Promise<Obstacle | undefined> => {
    if (state.conflictSince !== undefined) return { waitMs: CONFLICT_PAUSE_MS, waitingFor: 'station_conflict' };
    const reservedMs = resetReservedMs(state, now().monotonic);
    if (reservedMs > 0) {
      const waitMs = Math.min(reservedMs, RESET_PAUSE_MS);
      return { waitMs, waitingFor: 'reset_reservation', until: now().monotonic + reservedMs };
    }
    const id = state.slot('reset');
    const reset = id === undefined ? undefined : await store.load(id, 'reset');
    return reset && (!isEnded(reset) || reset.slotHeld) ? { waitMs: RESET_PAUSE_MS, waitingFor: 'reset' } : undefined;
  };

  const begin = async (record: FirmwareUpdateRecord, { signal, commit, log }: StepContext): Promise<void> => {
    if (!record.image) throw new TypeError('an update to be installed has an image');
    const view = await viewStation(deps, record.station);
    const profile = requireProfile(view.profile);
    const { state, context } = view;
    const transaction = store.transaction();
    const isVoid = needsReaffirming(record, state.bootEpoch);
    const start = decideInstallStart(record, state, now());
    if (isVoid || start === 'ask_again') {
      const again = reaffirm(record, context, isVoid ? 'station_restarted' : 'permission_expired');
      return commit(transaction.put(again.record).enqueueStatus(record.station, again.statuses));
    }
    const wait = (await obstacle(view)) ?? absence(start, state);
    if (wait) return commit(transaction.put(putOff(record, wait.waitMs, wait.waitingFor, now(), wait.until)));
    // Brought here and read now, while the station may still be left as it is.
    const path = await openUnlessLost(images, record.image, signal, { anew: true });
    if (path === undefined) return commit(await loseImage(deps, record));
    const before = profile.certificateStore && (await askCertificateStore(store, record.station, signal));
    const certificates = hasAnswered(before) ? { certificates: { before } } : {};
    if (profile.certificateStore && !hasAnswered(before))
      log.warn('the certificate store of EVerest does not answer before the installation: it is not judged after it');
    const asked = now();
    const evidence = await driverOf(profile).observe(signal);
    const { resetReservedUntil, resetAllowedEpoch, bootEpoch, conflictSince, awaySince } = STATION_FIELDS;
    const reservation = [resetReservedUntil, resetAllowedEpoch, slotField('reset')];
    for (const field of [...reservation, bootEpoch, conflictSince, awaySince]) {
      transaction.expectStation(record.station, field, state.fields[field]);
    }
    noteEvidence(transaction, record.station, state, evidence, asked);
    const set = { bootIdBefore: evidence.bootId, ...certificates };
    applyAll(transaction, record, [{ event: 'installBegun', detail: { set } }], context);
    await commit(transaction);
  };

  const perform = async (record: FirmwareUpdateRecord, { signal, commit, log }: StepContext): Promise<void> => {
    const driver = driverOf(requireProfile((await viewStation(deps, record.station)).profile));
    if (!record.image) throw new TypeError('an update being installed has an image');
    const path = await openUnlessLost(images, record.image, signal, { anew: true });
    const { id: operationId, station, kind } = record;
    const { onTransfer, onPercent } = progress?.({ operationId, station, kind }) ?? {};
    if (path !== undefined) {
      const image = { path, ...record.image, ...pathOfContent(deps, record.image.sha256) };
      await driver.start({ step: 'install', operationId, image }, signal, onTransfer);
      log.info('install started');
    } else if (!(await hasBegun(driver, operationId, 'install', signal))) return commit(await loseImage(deps, record));
    const effect = await awaitEffect(driver, operationId, 'install', signal, { onPercent });
    const { context } = await viewStation(deps, record.station);
    const transaction = store.transaction();
    if (effect.state === 'failed') {
      const event = effect.code === 'verification_failed' ? 'imageUnfit' : 'installFailed';
      applyAll(transaction, record, [{ event, detail: { reason: effect.code, message: effect.message } }], context);
    } else if (effect.rebootNeeded) {
      applyAll(transaction, record, [{ event: 'rebootNeeded' }], context);
      // Stored before the reboot: the station may request its boot reason at once.
      const expected = { reason: 'FirmwareUpdate', operationId: record.id, at: now().monotonic };
      transaction.setStation(record.station, { [STATION_FIELDS.restartExpected]: JSON.stringify(expected) });
    } else {
      const running = (await driver.observe(signal)).runningImageSha256;
      const proved = running === record.image.sha256;
      applyAll(
        transaction,
        record,
        [proved ? { event: 'proved' } : { event: 'installFailed', detail: { reason: 'not_running' } }],
        context,
      );
    }
    await commit(transaction);
  };

  return (record: FirmwareUpdateRecord, context: StepContext): Promise<void> =>
    orSettle(
      context,
      () => (isBeforeInstall(record.state) ? begin(record, context) : perform(record, context)),
      (error) => settleUpdate(deps, record, 'install', error, context.signal),
    );
}
