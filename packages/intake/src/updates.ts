/** Firmware updates at the intake: asked for, and allowed to be installed. */
import { isBeforeInstall } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { newOperationId, withoutWait } from '@khumbu/operations/records/record';
import { presenceOf } from '@khumbu/operations/stations/everest-presence';
import { readStationState, STATION_FIELDS, type StationState } from '@khumbu/operations/stations/station-state';
import type { FirmwareUpdateRequest } from '@khumbu/shared/contract/schemas';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { Admission } from './admission.js';
import { objectionToReplacing } from './decide-replacement.js';
import { type CertificateVerdict, decideUpdate, wantsVerdict } from './decide-update.js';
import type { Answer, IntakeDeps, Requester } from './requester.js';

interface Judged {
  readonly rule: StationProfile['certificate'];
  readonly verdict: CertificateVerdict | undefined;
}

/** EVerest was told of it: one that comes before that speaks of something else. */
const isEverestsTurn = ({ announced, triggerHeldUntil }: FirmwareUpdateRecord): boolean =>
  announced && triggerHeldUntil === undefined;

export function createUpdates(deps: IntakeDeps, { admit, inSlot, offeredBase, now }: Admission) {
  const { desk, jobs, log } = deps;
  const { store } = desk;

  /**
   * Once for each request: what is decided from may have to be read again. Over REST it may be asked again, so nothing is
   * kept of a certificate that was not judged: it rejects with `CERTIFICATE_NOT_JUDGED` then.
   */
  const judge = async (request: FirmwareUpdateRequest, requester: Requester): Promise<Judged | undefined> => {
    const profile = deps.profileOf(requester.station);
    if (!profile || !wantsVerdict(request, { profile, locations: deps.locations, origin: requester.origin }))
      return undefined;
    const verdict = await deps.judgeCertificate(request, profile, requester);
    const isUndecided = verdict?.ok === false && verdict.response === 'Rejected';
    if (isUndecided && requester.origin === 'rest') throw new CodedError('CERTIFICATE_NOT_JUDGED', verdict.reason);
    return { rule: profile.certificate, verdict };
  };

  const updateFirmware = async (request: FirmwareUpdateRequest, requester: Requester): Promise<Answer> => {
    const id = newOperationId('firmware_update', now());
    const judged = await judge(request, requester);
    return admit('update_firmware', requester, async ({ state, profile }) => {
      const current = await inSlot<FirmwareUpdateRecord>(state, 'firmware_update');
      const isJudged = judged && judged.rule === profile?.certificate;
      const certificate = isJudged
        ? judged.verdict
        : profile && (await deps.judgeCertificate(request, profile, requester));
      const { locations } = deps;
      const decision = decideUpdate(request, { profile, current, certificate, locations, origin: requester.origin });
      if ('reason' in decision) return { kind: 'answer', ...decision };
      if (!profile) return { kind: 'answer', reply: decision.reply };
      const objection = objectionToReplacing(requester, current);
      if (objection) return { kind: 'answer', reply: 'Rejected', reason: objection };
      const announced = requester.origin === 'everest' || profile.announce;
      const replaces = decision.reply === 'AcceptedCanceled' ? decision.replaces : undefined;
      const record: FirmwareUpdateRecord = {
        ...offeredBase('firmware_update', requester, request.request_id, id),
        request,
        signed: decision.signed,
        announced,
        permissionNeeded: announced ? profile.ocpp : true,
        tries: 0,
        ...(replaces ? { supersedes: replaces.id } : {}),
      };
      return { kind: 'offer', reply: decision.reply, record, ...(replaces ? { replaces } : {}) };
    });
  };

  /** The update in the slot; or, while an offer is there that may still be withdrawn, the one that rests for it. */
  const underWay = async (state: StationState): Promise<FirmwareUpdateRecord | undefined> => {
    let record = await inSlot<FirmwareUpdateRecord>(state, 'firmware_update');
    while (record?.state === 'Offered') {
      const { supersedes } = record;
      record =
        supersedes === undefined ? undefined : ((await store.load(supersedes)) as FirmwareUpdateRecord | undefined);
    }
    return record;
  };

  /** EVerest has allowed it and is gone; an operator may take that on himself. */
  const overrules = ({ permission }: FirmwareUpdateRecord, state: StationState, by: 'everest' | 'rest'): boolean =>
    by === 'rest' && permission?.by === 'everest' && presenceOf(state) !== 'here';

  /**
   * Resolves with whether an update was waiting for it; `operationId` means that very update. Where two stations share
   * the name nobody knows whose permission it is: it does not count.
   */
  const allowInstallation = async (station: string, by: 'everest' | 'rest', operationId?: string): Promise<boolean> => {
    const allowed = await desk.decide<FirmwareUpdateRecord | undefined>(
      async () => {
        const state = readStationState(await store.station(station));
        const isOneStation = state.conflictSince === undefined && deps.profileOf(station) !== undefined;
        const record = isOneStation ? await underWay(state) : undefined;
        const waits =
          record &&
          (operationId === undefined || record.id === operationId) &&
          isBeforeInstall(record.state) &&
          (record.permission?.bootEpoch !== state.bootEpoch || overrules(record, state, by)) &&
          (by === 'rest' || isEverestsTurn(record));
        if (!waits) return { transaction: undefined, result: undefined };
        const { notBefore: _pause, ...rest } = withoutWait(record);
        const next: FirmwareUpdateRecord = {
          ...(rest as FirmwareUpdateRecord),
          permission: { bootEpoch: state.bootEpoch, at: now().wall, by },
          updatedAt: now().wall,
        };
        const transaction = store
          .transaction()
          .expectStation(station, STATION_FIELDS.bootEpoch, state.fields[STATION_FIELDS.bootEpoch])
          .expectStation(station, STATION_FIELDS.conflictSince, undefined)
          .put(next);
        return { transaction, result: next };
      },
      // A permission that may or may not have been stored is asked for again by the caller.
      async () => undefined,
    );
    if (allowed) await jobs.ensure(allowed);
    log.debug({ station, used: allowed !== undefined }, 'permission to install');
    return allowed !== undefined;
  };

  return { updateFirmware, allowInstallation };
}
