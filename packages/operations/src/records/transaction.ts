/**
 * A commit under construction. It names what it was decided from (versions, fields), what to write, and the statuses that
 * belong to it.
 */
import type { Moment, Now } from '../clock/depot-clock.js';
import type { StoredEvent } from '../events/events.js';
import { EVENTS_KEPT } from '../events/stream-entries.js';
import type { OutboxEntry } from '../outbox/entry.js';
import type { ToldFact } from '../security-log/append-fact.js';
import type { Keys } from './keys.js';
import { indexText } from './operation-index.js';
import { rowOf } from './operation-rows.js';
import type { AnyRecord } from './record.js';

/** Longer than any station waits for a reply (EVerest: 550 s at most). */
const ANSWER_TTL_MS = 900_000;
/** How long a brief record is remembered; longer than its last job lives. */
const BRIEF_TTL_MS = '600000';

/**
 * What becomes of a record that has ended. `history`: kept among those of its station, as long and as many as the depot
 * keeps. `reused`: kept for its next use, in no list. Of the depot: `cache`, kept as long as there are not too many;
 * `brief`, for some minutes.
 */
export type Retention = 'history' | 'reused' | 'cache' | 'brief';

/** What the store has to know of the records it keeps. */
export interface RecordRules<R extends AnyRecord> {
  /** Of a kind that this version knows. */
  isKnown(record: AnyRecord): record is R;
  isOfStation(record: R): boolean;
  /** Asked once it has ended. */
  retention(record: R): Retention;
  /** As it is kept after its end. Safe to repeat. */
  withoutSecrets(record: R): R;
  /** SHA-256 of the images that it names. */
  images(record: R): readonly string[];
  /** What it is found by: its state, or what that has no word for. */
  shownStatus(record: R): string;
  /** What the security log is told when it is stored for the first time, and with its end. */
  securityFact(record: R, phase: 'asked' | 'ended', now: Moment): ToldFact | undefined;
  /** The event of a record that is about to be stored as `version`, if there is one. */
  event(record: R, version: number, now: Moment): StoredEvent | undefined;
}

export type StationFields = Readonly<Record<string, string>>;

export interface StoredAnswer {
  readonly reply: unknown;
  /** The operation the answer offers, if it offers one. */
  readonly operationId?: string;
  /** Why it was refused: a stable word, and a sentence where there is more to say. */
  readonly reason?: string;
  readonly detail?: string;
  /** What would have been accepted in place of what was refused, where that is a list. */
  readonly allowed?: readonly string[];
}

type Op = string[];

/** A commit under construction. Order of calls is the order of effects; statuses keep the order they are given in. */
export class RecordTransaction<R extends AnyRecord> {
  readonly guards: [string, string, string][] = [];
  /** Keys that must not exist. */
  readonly absent: string[] = [];
  readonly ops: Op[] = [];
  /** Of each record its key, id and version, where it stands in the index, and its row of the table. */
  readonly indexed: [string, string, string, string, number[]][] = [];
  /** The hash that keeps this commit's mark: that of a record, else that of a station. */
  mark?: string;
  stationMark?: string;
  /** Records as this commit stores them. */
  readonly records: R[] = [];
  /** Those of them that end with this commit. */
  readonly ends: R[] = [];
  /** What the security log is told, in order. */
  readonly facts: ToldFact[] = [];
  constructor(
    readonly keys: Keys,
    private readonly rules: RecordRules<R>,
    /** For the dates in events. */
    private readonly now: Now,
  ) {}

  /**
   * Store the record as it is given, provided that the stored one still has `record.version`. Its end is told and audited
   * once: one that has ended and keeps its station's slot is stored again and again, and there is no news in that. An
   * ended one is stored without the secrets of its locations.
   */
  put(record: R): this {
    const key = this.keys.record(record.id);
    const version = record.version + 1;
    this.guards.push([key, 'version', record.version === 0 ? '' : String(record.version)]);
    this.mark ??= key;
    const { endedAt } = record;
    const isOver = endedAt !== undefined && record.endTold === endedAt;
    const kept = endedAt === undefined ? record : this.rules.withoutSecrets(record);
    const stored: R = { ...kept, version, ...(endedAt === undefined ? {} : { endTold: endedAt }) };
    this.records.push(stored);
    if (endedAt !== undefined && !isOver) this.ends.push(stored);
    const data = JSON.stringify(stored);
    this.ops.push(['HSET', key, 'version', String(version), 'schema', String(record.schema), 'data', data]);
    this.indexed.push([key, record.id, String(version), indexText(this.rules, record), rowOf(this.rules, record)]);
    this.keep(record, key);
    if (record.version === 0) this.tellSecurityLog(this.rules.securityFact(stored, 'asked', this.now()));
    if (endedAt !== undefined && !isOver) this.tellSecurityLog(this.rules.securityFact(stored, 'ended', this.now()));
    const event = isOver ? undefined : this.rules.event(record, version, this.now());
    return event ? this.emitEvent(event) : this;
  }

  /** What is open, and where what has ended is kept. */
  private keep(record: R, key: string): void {
    const { id, station, createdAt, endedAt } = record;
    const { open, ended, endedOf, endedStations, fetches } = this.keys;
    // An ended record that still keeps its station's slot has work left: it stays in view of the reconciler.
    const isOpen = endedAt === undefined || record.slotHeld === true;
    this.ops.push(isOpen ? ['ZADD', open, String(createdAt), id] : ['ZREM', open, id]);
    const retention = endedAt === undefined ? undefined : this.rules.retention(record);
    // A record of the depot may have been about to expire, or in the cache.
    if (!this.rules.isOfStation(record)) {
      this.ops.push(retention === 'brief' ? ['PEXPIRE', key, BRIEF_TTL_MS] : ['PERSIST', key]);
      this.ops.push(retention === 'cache' ? ['ZADD', fetches, String(endedAt), id] : ['ZREM', fetches, id]);
    }
    if (retention !== 'history') return;
    this.ops.push(
      ['ZADD', ended, String(endedAt), id],
      ['ZADD', endedOf(station), String(endedAt), id],
      ['SADD', endedStations, station],
    );
  }

  /** Subscribers hear of it, if the commit takes place. */
  emitEvent(event: StoredEvent): this {
    const { type, stationId: station } = event;
    const kind = event.type === 'operation' ? event.kind : '';
    const fields = ['type', type, 'station', station, 'kind', kind, 'event', JSON.stringify(event)];
    this.ops.push(['XADD', this.keys.events, 'MAXLEN', '~', String(EVENTS_KEPT), '*', ...fields]);
    return this;
  }

  /** The security log has it, if the commit takes place: see `security-log/append-fact.ts`. `undefined`: nothing. */
  tellSecurityLog(told: ToldFact | undefined): this {
    if (told) this.facts.push(told);
    return this;
  }

  /** The decision was made from this version of a record that the commit does not write. */
  expectRecord(id: string, version: number): this {
    this.guards.push([this.keys.record(id), 'version', version === 0 ? '' : String(version)]);
    return this;
  }

  /** The decision was made from this value; `undefined` means the field was absent. */
  expectStation(station: string, field: string, value: string | undefined): this {
    this.guards.push([this.keys.station(station), field, value ?? '']);
    return this;
  }

  /** The decision was made without looking for a stored answer. */
  expectUnanswered(station: string, key: string): this {
    this.absent.push(this.keys.answer(station, key));
    return this;
  }

  /** Set fields of a station; `undefined` removes one. */
  setStation(station: string, fields: Readonly<Record<string, string | undefined>>): this {
    const key = this.keys.station(station);
    this.stationMark ??= key;
    const set: string[] = [];
    for (const [field, value] of Object.entries(fields)) {
      if (value === undefined) this.ops.push(['HDEL', key, field]);
      else set.push(field, value);
    }
    if (set.length > 0) this.ops.push(['HSET', key, ...set]);
    return this;
  }

  /** Statuses for EVerest, in order. */
  enqueueStatus(station: string, entries: readonly OutboxEntry[]): this {
    if (entries.length === 0) return this;
    this.ops.push(['RPUSH', this.keys.outbox(station), ...entries.map((entry) => JSON.stringify(entry))]);
    this.ops.push(['SADD', this.keys.outboxes, station]);
    this.ops.push(['PUBLISH', this.keys.notifications, `outbox ${station}`]);
    return this;
  }

  /** Keep the answer to a request for as long as it can be asked again; that is `ttlMs` where it is not EVerest's. */
  answer(station: string, key: string, answer: StoredAnswer, ttlMs = ANSWER_TTL_MS): this {
    this.ops.push(['SET', this.keys.answer(station, key), JSON.stringify(answer), 'PX', String(ttlMs)]);
    return this;
  }

  /** As `answer`, unless one is kept already. */
  answerIfNone(station: string, key: string, answer: StoredAnswer, ttlMs = ANSWER_TTL_MS): this {
    this.ops.push(['SET', this.keys.answer(station, key), JSON.stringify(answer), 'PX', String(ttlMs), 'NX']);
    return this;
  }

  /** The request was not answered after all; asked again, it is decided anew. */
  forgetAnswer(station: string, key: string): this {
    this.ops.push(['DEL', this.keys.answer(station, key)]);
    return this;
  }

  /** The leader is to ask the station's certificate store; the answers are stored under the name of the question. */
  askCertificateStore(station: string, question: string): this {
    this.ops.push(['PUBLISH', this.keys.notifications, `certificates ${question} ${station}`]);
    return this;
  }

  /** Notify the worker that has the operation; only for speed. */
  notifyCancel(operationId: string): this {
    this.ops.push(['PUBLISH', this.keys.notifications, `cancel ${operationId}`]);
    return this;
  }
}
