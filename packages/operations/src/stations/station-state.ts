/** What is stored about a station beside its operations: a Redis hash, read as a whole, written field by field. */
import type { BootReason, CommunicationParameters } from '@khumbu/shared/contract/schemas';
import type { Dialect, StationProfile } from '@khumbu/shared/stations/stations-file';
import type { OperationKind } from '../records/record.js';
import type { StationFields } from '../records/store.js';

/** The fields of the hash. */
export const STATION_FIELDS = {
  moduleId: 'moduleId',
  /** Counts the boots of EVerest that we have noticed. */
  bootEpoch: 'bootEpoch',
  /** The reason told in an epoch: every question in one boot gets the same answer. */
  bootReason: 'bootReason',
  /** A restart that we cause, stored before it happens. */
  restartExpected: 'restartExpected',
  /** No install starts before this time: EVerest was told that it may reset. */
  resetReservedUntil: 'resetReservedUntil',
  /** The answer key of the question that reserved it. */
  resetReservedBy: 'resetReservedBy',
  /** The boot epoch in which EVerest was last told that it may reset; gone when the reset has been asked for. */
  resetAllowedEpoch: 'resetAllowedEpoch',
  learnedDialect: 'learnedDialect',
  heartbeat: 'heartbeat',
  communication: 'communication',
  firstSeenAt: 'firstSeenAt',
  lastSeenAt: 'lastSeenAt',
  conflictSince: 'conflictSince',
  /** Its heartbeats have stopped. */
  awaySince: 'awaySince',
  ocppConsumer: 'ocppConsumer',
} as const;

export type SlotKind = Exclude<OperationKind, 'firmware_fetch'>;
/** The field that names the operation which has the station's slot for a kind; it may have ended. */
export const slotField = (kind: SlotKind): string => `slot:${kind}`;

/** What is stored while EVerest may reset, gone. */
export const NO_RESET_ALLOWED = {
  [STATION_FIELDS.resetReservedUntil]: undefined,
  [STATION_FIELDS.resetReservedBy]: undefined,
  [STATION_FIELDS.resetAllowedEpoch]: undefined,
} as const;

export interface RestartExpected {
  readonly reason: BootReason;
  readonly operationId: string;
  readonly at: number;
}

export interface StationState {
  readonly moduleId?: string;
  readonly bootEpoch: number;
  readonly bootReason?: { readonly bootEpoch: number; readonly reason: BootReason };
  readonly restartExpected?: RestartExpected;
  readonly resetReservedUntil?: number;
  readonly resetReservedBy?: string;
  readonly resetAllowedEpoch?: number;
  readonly learnedDialect?: Dialect;
  readonly heartbeat?: { readonly id: number; readonly at: number };
  readonly communication?: CommunicationParameters;
  readonly firstSeenAt?: number;
  readonly lastSeenAt?: number;
  readonly conflictSince?: number;
  readonly awaySince?: number;
  readonly ocppConsumer?: string;
  slot(kind: SlotKind): string | undefined;
  /** As stored, for the guards of a commit. */
  readonly fields: StationFields;
}

const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));
const json = <T>(text: string | undefined): T | undefined => (text === undefined ? undefined : (JSON.parse(text) as T));
const given = <T extends object>(members: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;

export function readStationState(fields: StationFields): StationState {
  return {
    bootEpoch: Number(fields[STATION_FIELDS.bootEpoch] ?? 0),
    ...given({
      moduleId: fields[STATION_FIELDS.moduleId],
      bootReason: json<{ bootEpoch: number; reason: BootReason }>(fields[STATION_FIELDS.bootReason]),
      restartExpected: json<RestartExpected>(fields[STATION_FIELDS.restartExpected]),
      resetReservedUntil: number(fields[STATION_FIELDS.resetReservedUntil]),
      resetReservedBy: fields[STATION_FIELDS.resetReservedBy],
      resetAllowedEpoch: number(fields[STATION_FIELDS.resetAllowedEpoch]),
      learnedDialect: fields[STATION_FIELDS.learnedDialect] as Dialect | undefined,
      heartbeat: json<{ id: number; at: number }>(fields[STATION_FIELDS.heartbeat]),
      communication: json<CommunicationParameters>(fields[STATION_FIELDS.communication]),
      firstSeenAt: number(fields[STATION_FIELDS.firstSeenAt]),
      lastSeenAt: number(fields[STATION_FIELDS.lastSeenAt]),
      conflictSince: number(fields[STATION_FIELDS.conflictSince]),
      awaySince: number(fields[STATION_FIELDS.awaySince]),
      ocppConsumer: fields[STATION_FIELDS.ocppConsumer],
    }),
    slot: (kind) => fields[slotField(kind)],
    fields,
  };
}

/** The stations file wins; what was learned from the station comes next. */
export const dialectOf = (profile: StationProfile | undefined, state: StationState): Dialect =>
  profile && profile.dialect !== 'unknown' ? profile.dialect : (state.learnedDialect ?? 'unknown');
