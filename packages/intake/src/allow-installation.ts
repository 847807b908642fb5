/** The permission to install: of EVerest, once all connectors are out of use, or of an operator. */
import { isBeforeInstall } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { storedOf } from '@khumbu/operations/kinds/store';
import { type Origin, without, withoutWait } from '@khumbu/operations/records/record';
import { presenceOf } from '@khumbu/operations/stations/everest-presence';
import { STATION_FIELDS, type StationState } from '@khumbu/operations/stations/station-state';
import type { Attempt } from './decision.js';
import type { Parts } from './intake-deps.js';
import type { StationSituation } from './situation.js';

interface PermissionSituation extends StationSituation {
  /** The update that is under way; while an offer has its place that may still be withdrawn, the one that rests for it. */
  readonly update: FirmwareUpdateRecord | undefined;
}

/** A permission that arrives before a status of the update was published is not for this update. */
const isEverestsTurn = ({ announced, triggerHeldUntil }: FirmwareUpdateRecord): boolean =>
  announced && triggerHeldUntil === undefined;

/**
 * EVerest permits in answer to the trigger, so the boot that permits was told it, though it may have been stored before that
 * boot was counted: the trigger is of this boot now. Told again, it would not be answered by OCPP 2.x, which permits once.
 */
const answeredTrigger = (
  { triggerEpoch }: FirmwareUpdateRecord,
  { bootEpoch }: StationState,
  by: Origin,
): Pick<FirmwareUpdateRecord, 'triggerEpoch'> =>
  by === 'everest' && triggerEpoch !== undefined ? { triggerEpoch: bootEpoch } : {};

/** EVerest has allowed it and its heartbeats have stopped since: an operator's permission replaces that one. */
const overrules = ({ permission }: FirmwareUpdateRecord, state: StationState, by: Origin): boolean =>
  by === 'rest' && permission?.by === 'everest' && presenceOf(state) !== 'here';

export function createAllowInstallation({ read, readDecideCommit, store, jobs, log, now }: Parts) {
  const readSituation = async (station: string): Promise<PermissionSituation> => {
    const situation = await read.station(station);
    let update = await read.inSlot(situation.state, 'firmware_update');
    while (update?.state === 'Offered') update = await read.load(update.supersedes, 'firmware_update');
    return { ...situation, update };
  };

  const decide = (
    { station, state, profile, update }: PermissionSituation,
    by: Origin,
    operationId: string | undefined,
  ): Attempt<FirmwareUpdateRecord | undefined> => {
    const isWaiting =
      // Where two stations share the name it cannot be told whose permission it is: it does not count.
      profile !== undefined &&
      update !== undefined &&
      (operationId === undefined || update.id === operationId) &&
      isBeforeInstall(update.state) &&
      (update.permission?.bootEpoch !== state.bootEpoch || overrules(update, state, by)) &&
      (by === 'rest' || isEverestsTurn(update));
    if (!isWaiting) return { result: undefined };
    const next: FirmwareUpdateRecord = {
      ...without(withoutWait(update), 'notBefore'),
      permission: { bootEpoch: state.bootEpoch, at: now().wall, by },
      ...answeredTrigger(update, state, by),
      updatedAt: now().wall,
    };
    const { bootEpoch, conflictSince } = STATION_FIELDS;
    const transaction = store
      .transaction()
      .expectStation(station, bootEpoch, state.fields[bootEpoch])
      .expectStation(station, conflictSince, undefined)
      .put(next)
      .tellSecurityLog({
        fact: {
          at: now().wall,
          what: 'allow_firmware_installation',
          phase: 'done',
          by: { cause: by },
          station,
          operationId: next.id,
          ...(next.image ? { details: { sha256: next.image.sha256 } } : {}),
        },
      });
    // Without undo: a permission that may or may not have been stored is asked for again by the caller.
    return { result: next, transaction, onStored: (stored) => storedOf(stored, next) };
  };

  /** Resolves with whether an update was waiting for it; `operationId` means that very update. */
  return async (station: string, by: Origin, operationId?: string): Promise<boolean> => {
    const allowed = await readDecideCommit({
      read: () => readSituation(station),
      decide: (situation) => decide(situation, by, operationId),
    });
    if (allowed) await jobs.ensure(allowed);
    log.debug({ station, used: allowed !== undefined }, 'permission to install');
    return allowed !== undefined;
  };
}
