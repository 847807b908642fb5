/**
 * The front desk answers what stations ask, in milliseconds, from stored state alone. Its functions are called by the
 * MQTT bridge and by REST alike: read, decide (a pure function next door), commit, and hand back the answer together
 * with what remains to be done once the answer is out.
 */
import { randomUUID } from 'node:crypto';
import { isBeforeInstall } from '@khumbu/operations/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/firmware-update/record';
import type { Jobs } from '@khumbu/operations/jobs/jobs';
import type { LogUploadRecord } from '@khumbu/operations/log-upload/record';
import type { ConfigureNetworkRecord } from '@khumbu/operations/network/record';
import type { Deadlines } from '@khumbu/operations/records/expire';
import { isEnded, type OperationRecord } from '@khumbu/operations/records/kinds';
import {
  CHANNEL_OF_OFFER,
  confirmOffer,
  isOffer,
  type OfferContext,
  type OfferedRecord,
  offer,
  withdrawOffer,
} from '@khumbu/operations/records/offer';
import { newOperationId, newRecordBase, type Origin } from '@khumbu/operations/records/record';
import { redisTimeMs } from '@khumbu/operations/records/redis-time';
import type { Change, StoredAnswer } from '@khumbu/operations/records/store';
import { applyResetEvent, type ResetRecord } from '@khumbu/operations/reset/record';
import {
  dialectOf,
  readStationState,
  type SlotKind,
  STATION_FIELDS,
  type StationState,
  slotField,
} from '@khumbu/operations/stations/station-state';
import { type SystemTimeRecord, tellSystemTime } from '@khumbu/operations/system-time/record';
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import type {
  BootReason,
  ConfigureNetworkRequest,
  FirmwareUpdateRequest,
  ResetRequest,
  UploadLogsRequest,
} from '@khumbu/shared/contract/schemas';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import { uploadFileName } from '@khumbu/shared/locations/upload-location';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import { bootFields } from './boot-fields.js';
import { type BootAnswer, decideBootReason } from './decide-boot-reason.js';
import { decideLogUpload } from './decide-log-upload.js';
import { decideNetwork } from './decide-network.js';
import { decideReset, decideResetAllowed } from './decide-reset.js';
import { decideSystemTime } from './decide-system-time.js';
import { type CertificateVerdict, decideUpdate } from './decide-update.js';
import type { Attempt, DeskStore } from './desk-store.js';

export interface FrontDeskDeps {
  readonly desk: DeskStore;
  /** The same connection recipe as the desk's; for its clock. */
  readonly redis: Redis;
  readonly jobs: Jobs;
  /** `undefined`: not configured, or two stations share the name. */
  readonly profileOf: (station: string) => StationProfile | undefined;
  readonly locations: Pick<LocationPolicy, 'check'>;
  readonly judgeCertificate: (
    request: FirmwareUpdateRequest,
    profile: StationProfile,
  ) => Promise<CertificateVerdict | undefined>;
  readonly deadlines: Deadlines;
  /** How long an allowed reset keeps installs away. */
  readonly resetReservationMs: number;
  readonly log: Logger;
  readonly now?: () => number;
}

/** Who asks. `answerKey` names the request: the same key gets the same answer. */
export interface Asker {
  readonly station: string;
  readonly answerKey: string;
  readonly origin: Origin;
}

export interface Answer {
  readonly reply: unknown;
  readonly operationId?: string;
  /** Why it was refused, for logs and fleet tools. */
  readonly reason?: string;
  /** To be called once the answer is out; starts the work. Safe to repeat. */
  readonly afterReply?: () => Promise<void>;
}

/** What the bridge knows of the station's liveness when it asks for the boot reason. */
export interface Liveness {
  readonly silentMs: number | undefined;
  readonly heartbeatPeriodMs: number | undefined;
}

interface Captured {
  readonly state: StationState;
  readonly profile: StationProfile | undefined;
  readonly answer: StoredAnswer | undefined;
}

type Verdict =
  /** Keep the answer, change nothing else. */
  | {
      readonly kind: 'answer';
      readonly reply: unknown;
      readonly reason?: string;
      readonly fields?: Record<string, string | undefined>;
    }
  | {
      readonly kind: 'offer';
      readonly reply: unknown;
      readonly record: OfferedRecord;
      readonly replaces?: OfferedRecord;
    };

export type FrontDesk = ReturnType<typeof createFrontDesk>;

export function createFrontDesk(deps: FrontDeskDeps) {
  const { desk, jobs, log, deadlines } = deps;
  const { store } = desk;
  const now = deps.now ?? Date.now;

  const capture = async ({ station, answerKey }: Asker): Promise<Captured> => {
    const { fields, answer } = await store.stationAndAnswer(station, answerKey);
    return { state: readStationState(fields), profile: deps.profileOf(station), answer };
  };

  const inSlot = async <R extends OperationRecord>(state: StationState, kind: SlotKind): Promise<R | undefined> => {
    const id = state.slot(kind);
    return id === undefined ? undefined : ((await store.load(id)) as R | undefined);
  };

  const contextOf = (station: string, state: StationState): OfferContext => ({
    now: now(),
    dialect: dialectOf(deps.profileOf(station), state),
    bootEpoch: state.bootEpoch,
    deadlines,
  });

  const replacedBy = async (record: OfferedRecord): Promise<OfferedRecord | undefined> => {
    if (record.supersedes === undefined) return undefined;
    const replaces = await store.load(record.supersedes);
    return replaces && !isEnded(replaces) ? (replaces as OfferedRecord) : undefined;
  };

  const confirmation = async (operationId: string): Promise<Attempt<OfferedRecord | undefined>> => {
    const record = await store.load(operationId);
    if (!record || !isOffer(record)) return { change: undefined, result: undefined };
    const state = readStationState(await store.station(record.station));
    const replaces = await replacedBy(record);
    const confirmed = confirmOffer(store.change(), record, replaces, contextOf(record.station, state));
    return { change: confirmed.change, result: confirmed.record };
  };

  /** Commit outside the desk's own guard, for what has to be set right whatever came before. */
  const insist = async (change: Change): Promise<void> => {
    if (!(await store.commit(change))) throw new CodedError('CONFLICT', 'the record has moved on');
  };

  /** The answer is out: let the work begin. An offer that was withdrawn stays so. Safe to repeat. */
  const confirm = async (operationId: string): Promise<void> => {
    const accepted = await desk.decide<OfferedRecord | undefined>(
      () => confirmation(operationId),
      // The answer is out, so a confirmation of unknown fate is made again, not taken back.
      async () => {
        const { change, result } = await confirmation(operationId);
        if (change) await insist(change);
        if (result) await jobs.ensure(result);
      },
    );
    if (accepted) await jobs.ensure(accepted);
  };

  /** The default was answered after all: take the offer back, wherever it stands. */
  const takeBack = async (asker: Asker, name: RequestChannelName, operationId: string | undefined): Promise<void> => {
    const fallback = store.change().answer(asker.station, asker.answerKey, { reply: fallbackReply(name) });
    if (name === 'is_reset_allowed')
      fallback.setStation(asker.station, { [STATION_FIELDS.resetReservedUntil]: undefined });
    await insist(fallback);
    const record = operationId === undefined ? undefined : await store.load(operationId);
    if (!record || !isOffer(record)) return;
    const state = readStationState(await store.station(asker.station));
    const replaces = await replacedBy(record);
    const { change, resumed } = withdrawOffer(
      store.change(),
      record,
      replaces,
      state.slot(record.kind),
      contextOf(asker.station, state),
    );
    await insist(change);
    if (resumed) await jobs.ensure(resumed);
  };

  /** One request, whatever its name: stored answer, or decide and store. */
  const admit = async (
    name: RequestChannelName,
    asker: Asker,
    judge: (captured: Captured) => Promise<Verdict>,
  ): Promise<Answer> => {
    let offered: string | undefined;
    const attempt = async (): Promise<Attempt<Answer>> => {
      const captured = await capture(asker);
      if (captured.answer) {
        const { reply, operationId } = captured.answer;
        const again = operationId === undefined ? {} : { operationId, afterReply: () => confirm(operationId) };
        return { change: undefined, result: { reply, ...again } };
      }
      const verdict = await judge(captured);
      const change = store.change();
      if (verdict.kind === 'answer') {
        change.answer(asker.station, asker.answerKey, { reply: verdict.reply });
        if (verdict.fields) change.setStation(asker.station, verdict.fields);
        const reason = verdict.reason === undefined ? {} : { reason: verdict.reason };
        return { change, result: { reply: verdict.reply, ...reason } };
      }
      const { record, replaces, reply } = verdict;
      const slot = slotField(record.kind);
      change.expectStation(asker.station, slot, captured.state.fields[slot]);
      offer(change, record, replaces).answer(asker.station, asker.answerKey, { reply, operationId: record.id });
      offered = record.id;
      return { change, result: { reply, operationId: record.id, afterReply: () => confirm(record.id) } };
    };
    return desk.decide(attempt, () => takeBack(asker, name, offered));
  };

  const offeredBase = <K extends 'firmware_update' | 'log_upload' | 'configure_network'>(
    kind: K,
    asker: Asker,
    requestId: number,
    id: string,
  ) => ({
    ...newRecordBase<K, 'Offered'>(kind, 'Offered', {
      station: asker.station,
      origin: asker.origin,
      requestId,
      now: now(),
      id,
    }),
    answerKey: asker.answerKey,
    deadlineAt: now() + 30_000,
  });

  const updateFirmware = async (request: FirmwareUpdateRequest, asker: Asker): Promise<Answer> => {
    const id = newOperationId('firmware_update', now());
    return admit('update_firmware', asker, async ({ state, profile }) => {
      const current = await inSlot<FirmwareUpdateRecord>(state, 'firmware_update');
      const certificate = profile && (await deps.judgeCertificate(request, profile));
      const decision = decideUpdate(request, { profile, current, certificate, locations: deps.locations });
      if ('reason' in decision || !profile) {
        return { kind: 'answer', reply: decision.reply, ...('reason' in decision ? { reason: decision.reason } : {}) };
      }
      const announced = asker.origin === 'everest' || profile.announce;
      const replaces = decision.reply === 'AcceptedCanceled' ? decision.replaces : undefined;
      const record: FirmwareUpdateRecord = {
        ...offeredBase('firmware_update', asker, request.request_id, id),
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

  const uploadLogs = async (request: UploadLogsRequest, asker: Asker): Promise<Answer> => {
    const id = newOperationId('log_upload', now());
    return admit('upload_logs', asker, async ({ state, profile }) => {
      const current = await inSlot<LogUploadRecord>(state, 'log_upload');
      const type = request.type || 'DiagnosticsLog';
      const fileName = uploadFileName(asker.station, type, new Date(now()), id);
      const decision = decideLogUpload(request, { profile, current, locations: deps.locations, fileName });
      if (decision.reply === 'Rejected') {
        return { kind: 'answer', reply: { upload_logs_status: 'Rejected' }, reason: decision.reason };
      }
      const { replaces } = decision;
      const record: LogUploadRecord = {
        ...offeredBase('log_upload', asker, request.request_id ?? -1, id),
        request,
        logType: decision.logType,
        fileName: decision.fileName,
        announced: asker.origin === 'everest',
        tries: 0,
        ...(replaces ? { supersedes: replaces.id } : {}),
      };
      const reply = { upload_logs_status: decision.reply, file_name: decision.fileName };
      return { kind: 'offer', reply, record, ...(replaces ? { replaces } : {}) };
    });
  };

  const configureNetwork = async (request: ConfigureNetworkRequest, asker: Asker): Promise<Answer> => {
    const id = newOperationId('configure_network', now());
    return admit('configure_network', asker, async ({ state, profile }) => {
      const decision = decideNetwork(request, profile);
      if (!('interfaceName' in decision)) return { kind: 'answer', reply: decision.reply, reason: decision.reason };
      const current = await inSlot<ConfigureNetworkRecord>(state, 'configure_network');
      const replaces = current && !isEnded(current) ? current : undefined;
      const record: ConfigureNetworkRecord = {
        ...offeredBase('configure_network', asker, request.request_id, id),
        request,
        interfaceName: decision.interfaceName,
        ...(replaces ? { supersedes: replaces.id } : {}),
      };
      return { kind: 'offer', reply: decision.reply, record, ...(replaces ? { replaces } : {}) };
    });
  };

  const isResetAllowed = async (asker: Asker, reserve: boolean): Promise<Answer> =>
    admit('is_reset_allowed', asker, async ({ state, profile }) => {
      const update = await inSlot<FirmwareUpdateRecord>(state, 'firmware_update');
      const permission = decideResetAllowed({ profile, update });
      if (!permission.allowed) return { kind: 'answer', reply: false, reason: permission.reason };
      const until = String(now() + deps.resetReservationMs);
      return {
        kind: 'answer',
        reply: true,
        ...(reserve ? { fields: { [STATION_FIELDS.resetReservedUntil]: until } } : {}),
      };
    });

  /** There is no answer; resolves when the reset is stored (or was already), with its job added. */
  const reset = async (request: ResetRequest, asker: Asker): Promise<Answer> => {
    const { station, origin } = asker;
    const scheduled = request.scheduled ?? false;
    const id = newOperationId('reset', now());
    const stored = await desk.decide<Answer & { record?: ResetRecord }>(
      async () => {
        const { state, profile } = await capture(asker);
        const current = await inSlot<ResetRecord>(state, 'reset');
        const decision = decideReset(request, { profile, update: undefined, current });
        if (decision.kind === 'refuse')
          return { change: undefined, result: { reply: undefined, reason: decision.reason } };
        if (decision.kind === 'repeat') {
          return { change: undefined, result: { reply: undefined, operationId: decision.operationId } };
        }
        const record: ResetRecord = {
          ...newRecordBase<'reset', 'Accepted'>('reset', 'Accepted', {
            station,
            origin,
            requestId: -1,
            now: now(),
            id,
          }),
          type: request.type,
          scheduled,
          bootEpochBefore: state.bootEpoch,
          deadlineAt: now() + deadlines.reset.performMs,
        };
        const reason: BootReason = scheduled ? 'ScheduledReset' : 'RemoteReset';
        const change = store
          .change()
          .expectStation(station, slotField('reset'), state.slot('reset'))
          .put(record)
          .setStation(station, {
            [slotField('reset')]: id,
            // Ready before anything happens, so that it is right however soon the station comes back.
            [STATION_FIELDS.restartExpected]: JSON.stringify({ reason, operationId: id, at: now() }),
          });
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

  const setSystemTime = async (text: string, asker: Asker): Promise<Answer> => {
    const value = decideSystemTime(text);
    if (value === undefined || !deps.profileOf(asker.station)) {
      return admit('set_system_time', asker, async ({ profile }) => ({
        kind: 'answer',
        reply: false,
        reason: profile ? 'time_absurd' : 'station_not_configured',
      }));
    }
    let told: SystemTimeRecord | undefined;
    const answer = await desk.decide<Answer>(
      async () => {
        const { state, answer: stored } = await capture(asker);
        if (stored) return { change: undefined, result: { reply: stored.reply } };
        const previous = await inSlot<SystemTimeRecord>(state, 'set_system_time');
        const toldAtRedisMs = await redisTimeMs(deps.redis);
        told = tellSystemTime(previous, asker.station, { value, toldAtRedisMs, origin: asker.origin }, now());
        const change = store
          .change()
          .put(told)
          .setStation(asker.station, { [slotField('set_system_time')]: told.id })
          .answer(asker.station, asker.answerKey, { reply: true });
        return { change, result: { reply: true, operationId: told.id } };
      },
      // Two seconds later it is worth nothing anyway; only the answer has to be the one that was given.
      () => takeBack(asker, 'set_system_time', undefined),
    );
    const record = told;
    return record ? { ...answer, afterReply: () => jobs.ensure(record) } : answer;
  };

  /** `begun` in the result: this question opened a new boot. */
  const getBootReason = async (asker: Asker, liveness: Liveness): Promise<Answer & { begun: boolean }> => {
    let begun = false;
    const answer = await admit('get_boot_reason', asker, async ({ state, profile }) => {
      if (!profile)
        return { kind: 'answer', reply: fallbackReply('get_boot_reason'), reason: 'station_not_configured' };
      const decision: BootAnswer = decideBootReason({ state, ...liveness, now: now() });
      begun = decision.beginsBoot;
      if (!decision.store) return { kind: 'answer', reply: decision.reason };
      return {
        kind: 'answer',
        reply: decision.reason,
        fields: bootFields(state, decision.reason, decision.beginsBoot, now()),
      };
    });
    return { ...answer, begun };
  };

  /** Resolves with whether an update was waiting for it. */
  const allowInstallation = async (station: string, by: 'everest' | 'rest'): Promise<boolean> => {
    const allowed = await desk.decide<FirmwareUpdateRecord | undefined>(
      async () => {
        const state = readStationState(await store.station(station));
        const record = await inSlot<FirmwareUpdateRecord>(state, 'firmware_update');
        const waits =
          record &&
          isBeforeInstall(record.state) &&
          record.permission?.bootEpoch !== state.bootEpoch &&
          (by === 'rest' || record.announced);
        if (!waits) return { change: undefined, result: undefined };
        const { waitingFor: _waitingFor, ...rest } = record;
        const next: FirmwareUpdateRecord = {
          ...rest,
          permission: { bootEpoch: state.bootEpoch, at: now(), by },
          updatedAt: now(),
        };
        const change = store
          .change()
          .expectStation(station, STATION_FIELDS.bootEpoch, state.fields[STATION_FIELDS.bootEpoch])
          .put(next);
        return { change, result: next };
      },
      // A permission that may or may not have been stored is asked for again by the caller.
      async () => undefined,
    );
    if (allowed) await jobs.ensure(allowed);
    log.debug({ station, used: allowed !== undefined }, 'permission to install');
    return allowed !== undefined;
  };

  return {
    updateFirmware,
    uploadLogs,
    configureNetwork,
    isResetAllowed,
    reset,
    setSystemTime,
    getBootReason,
    allowInstallation,
    /** The default was sent although a decision was stored after all. Rejects until it is taken back. */
    takeBack,
    /** The channel whose default answers a kind of offer. */
    channelOf: CHANNEL_OF_OFFER,
  };
}

/** A key for a request that nobody can be answered for; never found again. */
export const anonymousAnswerKey = (): string => `none-${randomUUID()}`;
