/** What is stored about a station beside its operations: a Redis hash, read as a whole, written field by field. */
import type { BootReason, CommunicationParameters } from '@khumbu/shared/contract/schemas';
import type { Dialect, StationProfile } from '@khumbu/shared/stations/stations-file';
import type { StationKind } from '../kinds/kinds.js';
import type { Store } from '../kinds/store.js';
import { slotField } from '../records/keys.js';
import type { StationFields } from '../records/transaction.js';

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

/** What is stored while EVerest may reset, gone. */
export const NO_RESET_ALLOWED = {
  [STATION_FIELDS.resetReservedUntil]: undefined,
  [STATION_FIELDS.resetReservedBy]: undefined,
  [STATION_FIELDS.resetAllowedEpoch]: undefined,
} as const;

/**
 * How long installs still keep away because EVerest was told that it may reset, in milliseconds; 0: they need not. The
 * reservation ends with the boot of EVerest it was made for, whoever restarted that. Pure.
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
}

type Field = (typeof STATION_FIELDS)[keyof typeof STATION_FIELDS];

/** Read when it is looked at. */
class StationView {
  constructor(
    /** As stored, for the guards of a commit. */
    readonly fields: StationFields,
  ) {}

  private text(field: string): string | undefined {
    return this.fields[field];
  }
  private number(field: Field): number | undefined {
    const text = this.text(field);
    return text === undefined ? undefined : Number(text);
  }
  private json<T>(field: Field): T | undefined {
    const text = this.text(field);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  get moduleId() {
    return this.text(STATION_FIELDS.moduleId);
  }
  get bootEpoch() {
    return this.number(STATION_FIELDS.bootEpoch) ?? 0;
  }
  get bootReason() {
    return this.json<KnownBootReason>(STATION_FIELDS.bootReason);
  }
  get restartExpected() {
    return this.json<RestartExpected>(STATION_FIELDS.restartExpected);
  }
  get resetReservedUntil() {
    return this.number(STATION_FIELDS.resetReservedUntil);
  }
  get resetReservedBy() {
    return this.text(STATION_FIELDS.resetReservedBy);
  }
  get resetAllowedEpoch() {
    return this.number(STATION_FIELDS.resetAllowedEpoch);
  }
  get learnedDialect() {
    return this.text(STATION_FIELDS.learnedDialect) as Dialect | undefined;
  }
  get heartbeat() {
    return this.json<Heartbeat>(STATION_FIELDS.heartbeat);
  }
  get communication() {
    return this.json<CommunicationParameters>(STATION_FIELDS.communication);
  }
  get firstSeenAt() {
    return this.number(STATION_FIELDS.firstSeenAt);
  }
  get lastSeenAt() {
    return this.number(STATION_FIELDS.lastSeenAt);
  }
  get conflictSince() {
    return this.number(STATION_FIELDS.conflictSince);
  }
  get awaySince() {
    return this.number(STATION_FIELDS.awaySince);
  }
  get ocppConsumer() {
    return this.text(STATION_FIELDS.ocppConsumer);
  }
  slot(kind: StationKind): string | undefined {
    return this.text(slotField(kind));
  }
}

export type StationState = Pick<StationView, keyof StationView>;

export const readStationState = (fields: StationFields): StationState => new StationView(fields);

/** The station as it is stored now. */
export const readStation = async (store: Pick<Store, 'station'>, station: string): Promise<StationState> =>
  readStationState(await store.station(station));

/** The stations file wins; what was learned from the station comes next. */
export const dialectOf = (profile: StationProfile | undefined, state: StationState): Dialect =>
  profile && profile.dialect !== 'unknown' ? profile.dialect : (state.learnedDialect ?? 'unknown');
