/** What is stored about a station beside its operations: a Redis hash, read as a whole, written field by field. */
import type { BootReason, CommunicationParameters } from '@khumbu/shared/contract/schemas';
import type { Dialect, StationProfile } from '@khumbu/shared/stations/stations-file';
import type { LeafAnswers } from '../kinds/firmware-update/certificates.js';
import type { StationKind } from '../kinds/kinds.js';
import type { Store } from '../kinds/store.js';
import { slotField } from '../records/keys.js';
import type { StationFields } from '../records/transaction.js';
import type { ObservedHost } from './observed-host.js';

/** The fields of the hash. */
export const STATION_FIELDS = {
  moduleId: 'moduleId',
  /** Counts the boots of EVerest that we have noticed. */
  bootEpoch: 'bootEpoch',
  /** The reason told in an epoch: every question in one boot gets the same answer. */
  bootReason: 'bootReason',
  /** A restart that we cause, stored before it happens. */
  restartExpected: 'restartExpected',
  /**
   * No install starts before this time on the depot's monotonic clock: EVerest was told that it may reset. Only while the
   * boot goes on in which it was told (`resetAllowedEpoch`).
   */
  resetReservedUntil: 'resetReservedUntil',
  /** The answer key of the question that reserved it; absent where more than one question counts on it. */
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
  /** Sessions with a transaction that runs, as far as `ocpp_consumer_API` tells; absent: nothing is known. */
  transactions: 'transactions',
  /** What its host testified last: see `observed-host.ts`. */
  observed: 'observed',
  /** What its certificate store answered last. */
  certificateStore: 'certificateStore',
  /** The last question that was not asked, because another station has the same module id. */
  certificateStoreUnasked: 'certificateStoreUnasked',
  /** Labels and type as they were set over REST: see `station-groups.ts`. */
  ownLabels: 'ownLabels',
  ownType: 'ownType',
} as const;

/** What is stored while EVerest may reset, gone. */
export const NO_RESET_ALLOWED = {
  [STATION_FIELDS.resetReservedUntil]: undefined,
  [STATION_FIELDS.resetReservedBy]: undefined,
  [STATION_FIELDS.resetAllowedEpoch]: undefined,
} as const;

/**
 * How long installs still keep away because EVerest was told that it may reset, in milliseconds; 0: they need not. The
 * reservation ends with the boot of EVerest it was made for, whatever restarted EVerest. Pure.
 */
export const resetReservedMs = (
  { resetReservedUntil, resetAllowedEpoch, bootEpoch }: StationState,
  monotonicNow: number,
): number => (resetAllowedEpoch === bootEpoch ? Math.max(0, (resetReservedUntil ?? 0) - monotonicNow) : 0);

export interface RestartExpected {
  readonly reason: BootReason;
  readonly operationId: string;
  /** On the depot's monotonic clock. */
  readonly at: number;
}

/** The newest heartbeat: its id, its date, and when that was on the depot's monotonic clock, in milliseconds. */
export interface Heartbeat {
  readonly id: number;
  readonly at: number;
  readonly steadyAt?: number;
  /** How often it beats, as far as that is known. */
  readonly periodMs?: number;
}

/** Why EVerest has started, in one boot epoch. */
export interface KnownBootReason {
  readonly bootEpoch: number;
  readonly reason: BootReason;
  /** EVerest has asked for it in this boot; absent where an earlier version has not said. */
  readonly asked?: boolean;
  /** The last heartbeat of the boot before, on the depot's monotonic clock. */
  readonly aliveAt?: number;
}

/** The newest heartbeat of the boot that goes on; monotonic. `undefined`: none came. */
export const lastAliveAt = ({ heartbeat, bootReason }: Pick<StationState, 'heartbeat' | 'bootReason'>) =>
  heartbeat && heartbeat.id >= 0 ? heartbeat.steadyAt : bootReason?.aliveAt;

/** What its certificate store answered last. */
export interface CertificateStoreAnswers {
  /** The question it answers, as the worker named it. */
  readonly question: string;
  /** A date. */
  readonly at: number;
  readonly answers: LeafAnswers;
}

type Field = (typeof STATION_FIELDS)[keyof typeof STATION_FIELDS];

/** The stored fields with their types. */
export function readStationState(fields: StationFields) {
  const text = (field: Field): string | undefined => fields[field];
  const number = (field: Field): number | undefined => {
    const value = text(field);
    return value === undefined ? undefined : Number(value);
  };
  const json = <T>(field: Field): T | undefined => {
    const value = text(field);
    return value === undefined ? undefined : (JSON.parse(value) as T);
  };
  return {
    /** As stored, for the guards of a commit. */
    fields,
    moduleId: text('moduleId'),
    bootEpoch: number('bootEpoch') ?? 0,
    bootReason: json<KnownBootReason>('bootReason'),
    restartExpected: json<RestartExpected>('restartExpected'),
    resetReservedUntil: number('resetReservedUntil'),
    resetReservedBy: text('resetReservedBy'),
    resetAllowedEpoch: number('resetAllowedEpoch'),
    learnedDialect: text('learnedDialect') as Dialect | undefined,
    heartbeat: json<Heartbeat>('heartbeat'),
    communication: json<CommunicationParameters>('communication'),
    firstSeenAt: number('firstSeenAt'),
    lastSeenAt: number('lastSeenAt'),
    conflictSince: number('conflictSince'),
    awaySince: number('awaySince'),
    ocppConsumer: text('ocppConsumer'),
    transactions: json<readonly string[]>('transactions'),
    observed: json<ObservedHost>('observed'),
    certificateStore: json<CertificateStoreAnswers>('certificateStore'),
    certificateStoreUnasked: text('certificateStoreUnasked'),
    ownLabels: json<Readonly<Record<string, string>>>('ownLabels'),
    ownType: text('ownType'),
    slot: (kind: StationKind): string | undefined => fields[slotField(kind)],
  };
}

export type StationState = Readonly<ReturnType<typeof readStationState>>;

/** The station as it is stored now. */
export const readStation = async (store: Pick<Store, 'station'>, station: string): Promise<StationState> =>
  readStationState(await store.station(station));

/** The stations file wins; what was learned from the station comes next. */
export const dialectOf = (profile: StationProfile | undefined, state: StationState): Dialect =>
  profile && profile.dialect !== 'unknown' ? profile.dialect : (state.learnedDialect ?? 'unknown');
