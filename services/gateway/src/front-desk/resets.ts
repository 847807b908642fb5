/** Resets at the front desk: whether one may follow, and the reset itself. */
import { isInstalling } from '@khumbu/operations/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/firmware-update/record';
import { isEnded } from '@khumbu/operations/records/kinds';
import { newOperationId, newRecordBase } from '@khumbu/operations/records/record';
import type { Change } from '@khumbu/operations/records/store';
import { applyResetEvent, type ResetRecord } from '@khumbu/operations/reset/record';
import {
  NO_RESET_ALLOWED,
  STATION_FIELDS,
  type StationState,
  slotField,
} from '@khumbu/operations/stations/station-state';
import type { BootReason, ResetRequest } from '@khumbu/shared/contract/schemas';
import type { Admission } from './admission.js';
import { objectionToReplacing } from './decide-replacement.js';
import { decideReset, decideResetAllowed } from './decide-reset.js';
import { requireWorkers } from './needed-workers.js';
import { type Answer, type Asker, askedBy, type FrontDeskDeps } from './request.js';

/**
 * The decision was made from this update, or from there being none: an install that begins in this very moment changes
 * the record, an update that takes its place changes the slot.
 */
function expectUpdate(change: Change, station: string, state: StationState, update: FirmwareUpdateRecord | undefined) {
  change.expectStation(station, slotField('firmware_update'), state.slot('firmware_update'));
  if (update) change.expectRecord(update.id, update.version);
}

export function createResets(deps: FrontDeskDeps, { admit, capture, inSlot, now }: Admission) {
  const { desk, jobs, deadlines } = deps;
  const { store } = desk;

  const isResetAllowed = async (asker: Asker, reserve: boolean): Promise<Answer> =>
    admit('is_reset_allowed', asker, async ({ state, profile }) => {
      const update = await inSlot<FirmwareUpdateRecord>(state, 'firmware_update');
      const permission = decideResetAllowed({ profile, update });
      if (!permission.allowed) return { kind: 'answer', reply: false, reason: permission.reason };
      const reservation = {
        [STATION_FIELDS.resetReservedUntil]: String(now().steady + deps.resetReservationMs),
        [STATION_FIELDS.resetReservedBy]: asker.answerKey,
        [STATION_FIELDS.resetAllowedEpoch]: String(state.bootEpoch),
      };
      return {
        kind: 'answer',
        reply: true,
        ...(reserve ? { fields: reservation } : {}),
        guard: (change) => expectUpdate(change, asker.station, state, update),
      };
    });

  /** There is no answer; resolves when the reset is stored (or was already), with its job added. */
  const reset = async (request: ResetRequest, asker: Asker): Promise<Answer> => {
    const { station, origin } = asker;
    if (origin === 'rest') requireWorkers('is_reset_allowed', deps.isAbandoned);
    const scheduled = request.scheduled ?? false;
    const id = newOperationId('reset', now());
    /** EVerest is not answered; what was reserved for its reset is used up, for an open reset keeps installs away itself. */
    const asked = (operationId: string): Change =>
      origin === 'rest'
        ? store.change().answer(station, asker.answerKey, { reply: null, operationId }, asker.answerTtlMs)
        : store.change().setStation(station, NO_RESET_ALLOWED);
    const stored = await desk.decide<Answer & { record?: ResetRecord }>(
      async () => {
        const { state, profile, answer } = await capture(asker);
        if (answer && origin === 'rest') {
          const { operationId, reason } = answer;
          const found =
            operationId === undefined ? undefined : ((await store.load(operationId)) as ResetRecord | undefined);
          const record = found && !isEnded(found) ? { record: found } : {};
          const what = {
            ...(operationId === undefined ? {} : { operationId }),
            ...(reason === undefined ? {} : { reason }),
          };
          return { change: undefined, result: { reply: undefined, ...what, ...record } };
        }
        const current = await inSlot<ResetRecord>(state, 'reset');
        const decision = decideReset(request, { profile, update: undefined, current });
        if (decision.kind === 'refuse')
          return { change: undefined, result: { reply: undefined, reason: decision.reason } };
        const objection = objectionToReplacing(asker, current);
        if (objection) return { change: undefined, result: { reply: undefined, reason: objection } };
        if (decision.kind === 'repeat') {
          // The one who stored it may not have got as far as its job.
          const record = current ? { record: current } : {};
          const { operationId } = decision;
          return { change: asked(operationId), result: { reply: undefined, operationId, ...record } };
        }
        const update = await inSlot<FirmwareUpdateRecord>(state, 'firmware_update');
        const changing = update !== undefined && (update.slotHeld === true || isInstalling(update.state));
        const record: ResetRecord = {
          ...newRecordBase<'reset', 'Accepted'>('reset', 'Accepted', {
            station,
            origin,
            requestId: -1,
            now: now(),
            id,
          }),
          ...askedBy(asker),
          type: request.type,
          scheduled,
          reasonStored: !changing,
          bootEpochBefore: state.bootEpoch,
          deadlineAt: now().steady + deadlines.reset.performMs,
        };
        const reason: BootReason = scheduled ? 'ScheduledReset' : 'RemoteReset';
        const change = asked(id)
          .expectStation(station, slotField('reset'), state.slot('reset'))
          .put(record)
          .setStation(station, { [slotField('reset')]: id });
        expectUpdate(change, station, state, update);
        if (!changing) {
          // Ready before anything happens, so that it is right however soon the station comes back. The boot that ends
          // an install is the update's; the reset then says so when its turn comes.
          const expected = { reason, operationId: id, at: now().steady };
          change.setStation(station, { [STATION_FIELDS.restartExpected]: JSON.stringify(expected) });
        }
        if (decision.replaces) {
          const context = { now: now(), deadlines: deadlines.reset };
          change.put(applyResetEvent(decision.replaces, 'superseded', context)).hintCancel(decision.replaces.id);
        }
        return { change, result: { reply: undefined, operationId: id, record } };
      },
      // The caller asks again until it is stored; one that was stored is found in the slot.
      async () => undefined,
    );
    if (stored.record) await jobs.ensure(stored.record);
    return stored;
  };

  return { isResetAllowed, reset };
}
