/** What generic code has to know of one kind of record: all of it, so that no other place names the kind. */
import type { E2mChannelName } from '@khumbu/shared/contract/channels';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import type { Moment } from '../clock/depot-clock.js';
import type { OutboxEntry } from '../outbox/entry.js';
import type { Reason } from '../records/reasons.js';
import type { AnyRecord } from '../records/record.js';
import type { Retention } from '../records/transaction.js';
import type { WaitRules } from '../records/waiting.js';
import type { Details } from '../security-log/entry.js';

/** What is known of the station when an event is applied. */
export interface KindContext {
  readonly now: Moment;
  readonly dialect: Dialect;
  /** The station's current boot epoch. */
  readonly bootEpoch: number;
}

/** A record after an event, and the statuses that EVerest receives for it, in order. */
export interface Applied<R> {
  readonly record: R;
  readonly statuses: readonly OutboxEntry[];
}

/** The job that a record wants now. `date`: one that was asked for, milliseconds since 1970; passed or absent: at once. */
export interface Work<N extends string = string> {
  readonly name: N;
  readonly date?: number;
}

/** The states that are not final; each of them waits for something. */
export type OpenState<T> = { [S in keyof T]: keyof T[S] extends never ? never : S }[keyof T];

/** What REST shows of an operation beside what all operations have; `undefined` members are left out. */
export interface KindView {
  readonly location?: string;
  readonly retrieveTimestamp?: string | undefined;
  readonly installTimestamp?: string | undefined;
  readonly image?: { readonly sha256: string; readonly sizeBytes: number } | undefined;
  readonly permissionBy?: 'everest' | 'rest' | undefined;
  readonly pausedBy?: string | undefined;
  readonly downloadNowBy?: string | undefined;
  readonly wanBytes?: number | undefined;
  readonly fileName?: string;
  readonly sizeBytes?: number | undefined;
  readonly resetType?: 'NotSpecified' | 'Hard' | 'Soft';
  readonly interfaceName?: string;
}

export interface SecurityDetails {
  readonly details: Details;
  readonly limit?: string;
}

/**
 * `E` are the events of the kind. Those that come from outside its own services: `confirmed` (the answer to an offer is
 * out), `withdrawn` (it never was), `superseded`, `canceled`, `outOfTime`.
 *
 * Members are methods: generic code hands each definition the records of its own kind, which it picks by `record.kind`.
 */
export interface KindDefinition<R extends AnyRecord, E extends string = string> {
  /** A station has one slot for each of its kinds; a record of the depot has no station and is not shown. */
  readonly scope: 'station' | 'depot';
  /** What may happen in each state; a state without events is final. */
  readonly transitions: Readonly<Partial<Record<R['state'], Readonly<Partial<Record<E, R['state']>>>>>>;
  readonly waits: WaitRules<R>;
  /** The queue that its jobs stand in, and their names. */
  readonly queue: string;
  readonly jobs: readonly string[];
  /** Queues of other kinds that it does not get on without. */
  readonly alsoNeeds?: readonly string[];
  nextWork(record: R): Work | undefined;
  /** The request whose answer offers it; absent: it is never offered. */
  readonly channel?: E2mChannelName;
  /** How it ends on the wire: whether this status is the last one. */
  readonly status?: {
    readonly channel: OutboxEntry['channel'];
    isFinal(payload: Readonly<Record<string, unknown>>): boolean;
  };
  /** One event from outside. Throws for an event out of place. Absent: none ever comes. */
  apply?(record: R, event: E, context: KindContext, detail?: { readonly reason?: Reason }): Applied<R>;
  /** What follows at once from the confirmation of an offer. */
  onConfirmed?(record: R, context: KindContext): Applied<R> | undefined;
  /** The end of a record whose state has lasted too long. */
  onDeadline?(record: R, context: KindContext): Applied<R>;
  /** A boot of EVerest may mean something to it: its station is worth a look. */
  awaitsBoot?(record: R): boolean;
  /** What a boot of EVerest means to it; `undefined`: nothing, or it was seen to already. */
  onBoot?(record: R, context: KindContext): Applied<R> | undefined;
  /** The record set right where another one that it waits for has gone on without it. */
  onReconcile?(record: R, load: (id: string) => Promise<AnyRecord | undefined>, now: Moment): Promise<R | undefined>;
  view?(record: R): KindView;
  /** The status that REST and events show; absent: its state. */
  shownStatus?(record: R): string;
  /** Where its progress is published now, and of which run or try it has to be; `undefined`: nothing runs. */
  progress?(record: R): { readonly subject: string; readonly run?: number | undefined } | undefined;
  /** What becomes of it once it has ended; absent: it is kept in the history of its station. */
  retention?(record: R): Retention;
  /** As it is kept after its end: without secrets. Safe to repeat. */
  withoutSecrets?(record: R): R;
  /** SHA-256 of the images that it names. */
  images?(record: R): readonly string[];
  /**
   * Ids of the operations that, by this open record, need the image with this SHA-256. `isFor`: the image is what this location
   * stands for.
   */
  needing?(record: R, sha256: string, isFor: (location: string) => boolean): readonly string[];
  /** Too ordinary for an event or an audit line. */
  isQuiet?(record: R): boolean;
  /**
   * What the security log is told of it beside what all operations have. `undefined`: nothing is told. Absent: no more than that. No
   * secrets. `limit`: told a few times in a while, and counted then, together with those of its station that have the same one.
   */
  securityDetails?(record: R, phase: 'asked' | 'ended'): SecurityDetails | undefined;
}
