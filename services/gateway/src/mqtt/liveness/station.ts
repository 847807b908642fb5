/** One station as the leader sees it, in memory. */
import type { StationChange } from '@khumbu/operations/events/events';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import type { StationAddress } from '@khumbu/shared/contract/topics';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import { fullBuckets, type TokenBuckets } from '../session/token-bucket.js';
import { hasDuplicateIdentity } from './duplicate-identity.js';
import { isAway, NEVER_HEARD, type Presence } from './presence.js';

/** The status that was published last. */
export interface Published {
  readonly entry: OutboxEntry;
  /** Monotonic. */
  readonly at: number;
  /** No heartbeat has come since: it is not known whether EVerest received it. */
  isUnheard: boolean;
  /** It waited for a boot that no count of heartbeats has shown yet: EVerest as it was before may have received it. */
  isEarly: boolean;
}

export interface Station {
  readonly station: string;
  moduleId: string;
  presence: Presence;
  /** The module id of its `ocpp_consumer_API`, if it exposes one. */
  ocppConsumer?: string;
  /** Its OCPP side is registered at the CSMS, in this boot. */
  registered: boolean;
  learnedDialect: Dialect;
  /** Sessions with a transaction that runs; absent: its `ocpp_consumer_API` has told of none in this boot. */
  transactions?: readonly string[];
  /** When the next communication check is due, monotonic. */
  checkDueAt?: number;
  /** When anything at all was heard that is not a heartbeat, monotonic. */
  lastMessageAt?: number;
  /** How often this process noticed that EVerest has started anew. */
  bootsNoticed: number;
  /** The newest of those boots that is stored. */
  bootsCounted: number;
  published?: Published;
  /** When this process met it first, monotonic. */
  readonly metAt: number;
  /** What of its messages is still worked on. */
  readonly buckets: TokenBuckets;
  /** Changed since the last flush. */
  dirty: boolean;
  duplicateReported: boolean;
  /** What of it is stored, and so was published to subscribers of events. */
  readonly stored: { heard: boolean; duplicate: boolean; away: boolean };
  /** The fields as they were last written, and since when only what differs is. */
  written?: { readonly since: number; readonly fields: Map<string, string> };
}

/** A station that was never heard. `mono`: monotonic. */
export const newStation = ({ station, moduleId }: StationAddress, messagesPerS: number, mono: number): Station => ({
  station,
  moduleId,
  presence: NEVER_HEARD,
  registered: false,
  bootsNoticed: 0,
  bootsCounted: 0,
  learnedDialect: 'unknown',
  dirty: true,
  duplicateReported: false,
  stored: { heard: false, duplicate: false, away: false },
  metAt: mono,
  buckets: fullBuckets(messagesPerS, mono),
});

/** What is noticed by listening for a while; a restart is stored as a boot. */
export type NoticedChange = Exclude<StationChange, 'restarted' | 'firmware'>;

/** What has happened to a station and is not stored yet. Pure. */
export function changesToStore(entry: Pick<Station, 'stored' | 'presence'>, mono: number): NoticedChange[] {
  const { stored, presence } = entry;
  const changes: NoticedChange[] = stored.heard ? [] : ['heard'];
  if (hasDuplicateIdentity(presence, mono) !== stored.duplicate)
    changes.push(stored.duplicate ? 'conflict_over' : 'conflict');
  if (isAway(presence, mono) !== stored.away) changes.push(stored.away ? 'back' : 'away');
  return changes;
}
