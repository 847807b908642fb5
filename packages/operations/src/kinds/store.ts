/**
 * The one way records change: a commit. It names what it was decided from (versions, fields), what to write, and the
 * statuses that belong to it; Redis does all of it in one script or none of it. Nothing is announced that is not
 * stored, and nothing is stored that will not be announced.
 */
import { randomUUID } from 'node:crypto';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Redis, Result } from 'ioredis';
import { momentOf, type Now } from '../clock/depot-clock.js';
import { operationEvent, type StoredEvent } from '../events/events.js';
import type { OutboxEntry } from '../outbox/entry.js';
import { type Keys, keysFor } from '../records/keys.js';
import { INDEX_FUNCTIONS, indexText } from '../records/operation-index.js';
import { RECORD_SCHEMA } from '../records/record.js';
import type { FirmwareFetchRecord } from './firmware-fetch/record.js';
import type { StoredImage } from './firmware-update/record.js';
import { withoutSecrets } from './forget-secrets.js';
import type { OperationRecord } from './kinds.js';

/** How many changes are kept for subscribers that were away; trimmed roughly. */
const EVENTS_KEPT = '20000';
/** Longer than any station waits for a reply (EVerest: 550 s at most). */
const ANSWER_TTL_MS = 900_000;
/** How long a fetch that got nothing is remembered; longer than its last job lives. */
const FRUITLESS_TTL_MS = 600_000;

/**
 * A commit that was sent twice (a connection that broke after Redis had run it) finds its own mark and is done;
 * otherwise all guards must hold. An absent field equals the empty string.
 */
const COMMIT_SCRIPT = `${INDEX_FUNCTIONS}
local c = cjson.decode(ARGV[1])
if c.mark and redis.call('HGET', c.mark, 'commit') == c.id then return 1 end
for _, g in ipairs(c.guards) do
  if (redis.call('HGET', g[1], g[2]) or '') ~= g[3] then return 0 end
end
for _, k in ipairs(c.absent) do
  if redis.call('EXISTS', k) == 1 then return 0 end
end
for _, o in ipairs(c.ops) do redis.call(unpack(o)) end
for _, i in ipairs(c.indexed) do put_into_index(c.index, unpack(i)) end
return 1`;

const POP_SCRIPT = `
local head = redis.call('LINDEX', KEYS[1], 0)
if head and cjson.decode(head).id == ARGV[1] then redis.call('LPOP', KEYS[1]) end
if redis.call('LLEN', KEYS[1]) == 0 then redis.call('SREM', KEYS[2], ARGV[2]) return 0 end
return 1`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuCommit(commit: string): Result<number, Context>;
    khumbuPop(outbox: string, outboxes: string, entryId: string, station: string): Result<number, Context>;
  }
}

export type StationFields = Readonly<Record<string, string>>;

export interface StoredAnswer {
  readonly reply: unknown;
  /** The operation the answer offers, if it offers one. */
  readonly operationId?: string;
  /** Why it was refused: a stable word, and a sentence where there is more to say. */
  readonly reason?: string;
  readonly detail?: string;
}

type Op = string[];

/** A commit under construction. Order of calls is the order of effects; statuses keep the order they are given in. */
export class Transaction {
  readonly guards: [string, string, string][] = [];
  /** Keys that must not exist. */
  readonly absent: string[] = [];
  readonly ops: Op[] = [];
  /** Of each record its key, id and version, and where it stands in the index. */
  readonly indexed: [string, string, string, string][] = [];
  /** The hash that keeps this commit's mark: that of a record, else that of a station. */
  mark?: string;
  stationMark?: string;
  /** Records as this commit stores them. */
  readonly records: OperationRecord[] = [];
  /** Those of them that end with this commit. */
  readonly ends: OperationRecord[] = [];
  constructor(
    readonly keys: Keys,
    /** For the dates in events. */
    private readonly now: Now,
  ) {}

  /**
   * Store the record as it is given, provided that the stored one still has `record.version`. Its end is told and audited
   * once: one that has ended and keeps its station's slot is stored again and again, and there is no news in that. An
   * ended one is stored without the secrets of its locations.
   */
  put(record: OperationRecord): this {
    const key = this.keys.record(record.id);
    const version = record.version + 1;
    this.guards.push([key, 'version', record.version === 0 ? '' : String(record.version)]);
    this.mark ??= key;
    const { endedAt } = record;
    const isOver = endedAt !== undefined && record.endTold === endedAt;
    const kept = endedAt === undefined ? record : withoutSecrets(record);
    const stored = { ...kept, version, ...(endedAt === undefined ? {} : { endTold: endedAt }) };
    this.records.push(stored);
    if (endedAt !== undefined && !isOver) this.ends.push(stored);
    const data = JSON.stringify(stored);
    this.ops.push(['HSET', key, 'version', String(version), 'schema', String(record.schema), 'data', data]);
    this.indexed.push([key, record.id, String(version), indexText(record)]);
    if (record.kind === 'firmware_fetch') this.indexFetch(record);
    else this.index(record);
    const event = isOver ? undefined : operationEvent(record, version, this.now());
    return event ? this.emitEvent(event) : this;
  }

  private index(record: OperationRecord): void {
    const { id, station, createdAt, endedAt } = record;
    // An ended record that still keeps its station's slot has work left: it stays in view of the reconciler.
    const isOpen = endedAt === undefined || ('slotHeld' in record && record.slotHeld === true);
    this.ops.push(isOpen ? ['ZADD', this.keys.open, String(createdAt), id] : ['ZREM', this.keys.open, id]);
    // The clock of a station has one record that is used again and again: nothing to retain, nothing to list.
    if (endedAt === undefined || record.kind === 'set_system_time') return;
    this.ops.push(
      ['ZADD', this.keys.ended, String(endedAt), id],
      ['ZADD', this.keys.endedOf(station), String(endedAt), id],
      ['SADD', this.keys.endedStations, station],
    );
  }

  /** Fetches are used again: what runs is kept, what rests with an image is retained, what rests without expires. */
  private indexFetch({ id, createdAt, endedAt, held }: FirmwareFetchRecord): void {
    const { open, fetches } = this.keys;
    const key = this.keys.record(id);
    if (endedAt === undefined) this.ops.push(['ZADD', open, String(createdAt), id], ['ZREM', fetches, id]);
    else this.ops.push(['ZREM', open, id]);
    if (endedAt !== undefined && held) this.ops.push(['ZADD', fetches, String(endedAt), id]);
    const isKept = endedAt === undefined || held !== undefined;
    this.ops.push(isKept ? ['PERSIST', key] : ['PEXPIRE', key, String(FRUITLESS_TTL_MS)]);
  }

  /** Subscribers hear of it, if the commit takes place. */
  emitEvent(event: StoredEvent): this {
    const { type, stationId: station } = event;
    const kind = event.type === 'operation' ? event.kind : '';
    const fields = ['type', type, 'station', station, 'kind', kind, 'event', JSON.stringify(event)];
    this.ops.push(['XADD', this.keys.events, 'MAXLEN', '~', EVENTS_KEPT, '*', ...fields]);
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

  /** Wake whoever works on the operation; only for speed. */
  notifyCancel(operationId: string): this {
    this.ops.push(['PUBLISH', this.keys.notifications, `cancel ${operationId}`]);
    return this;
  }
}

export interface Store {
  readonly keys: Keys;
  transaction(): Transaction;
  /**
   * `true`: committed. `false`: someone else was faster, read again and decide again. Rejects when it is not known
   * whether the commit took place.
   */
  commit(transaction: Transaction): Promise<boolean>;
  /** `undefined`: no such record. Rejects with `RECORD_TOO_NEW` for one that a newer version wrote. */
  load(id: string): Promise<OperationRecord | undefined>;
  loadMany(ids: readonly string[]): Promise<OperationRecord[]>;
  station(station: string): Promise<StationFields>;
  /** A station's fields and the stored answer to a request, in one round trip. */
  stationAndAnswer(station: string, answerKey: string): Promise<{ fields: StationFields; answer?: StoredAnswer }>;
  stations(): Promise<string[]>;
  openIds(): Promise<string[]>;
  /** A station's operations that are kept, newest first. */
  operationsOf(station: string): Promise<OperationRecord[]>;
  /** SHA-256 of every image that a fetch or an open update names. */
  namedImages(): Promise<Set<string>>;
  /** SHA-256 of every image that an open update or a fetch under way needs. */
  neededImages(): Promise<Set<string>>;
  headOfOutbox(station: string): Promise<OutboxEntry | undefined>;
  outboxEntries(station: string): Promise<OutboxEntry[]>;
  stationsWithOutbox(): Promise<string[]>;
  /** Take the entry off after the broker has acknowledged it. `true`: there is more. Safe to repeat. */
  popOutbox(station: string, entryId: string): Promise<boolean>;
}

function parseRecord(data: string | null | undefined, schema: string | null | undefined): OperationRecord | undefined {
  if (!data) return undefined;
  if (Number(schema) > RECORD_SCHEMA) {
    throw new CodedError('RECORD_TOO_NEW', 'this record was written by a newer version; upgrade this process');
  }
  return JSON.parse(data) as OperationRecord;
}

function imagesOf(records: readonly OperationRecord[]): Set<string> {
  const images = new Set<string>();
  const add = ({ sha256, asCame }: StoredImage): void => {
    images.add(sha256);
    if (asCame) images.add(asCame.sha256);
  };
  for (const record of records) {
    if (record.kind === 'firmware_update' && record.image) add(record.image);
    if (record.kind === 'firmware_fetch' && record.held) add(record.held.image);
  }
  return images;
}

/**
 * Records over one Redis connection. The connection's recipe decides whether calls wait or fail fast. `onEnded` hears of
 * every record that a commit of this store has ended. `now` is the depot's time; without a depot, as in tests, the host's.
 */
export function createStore(
  redis: Redis,
  prefix: string,
  onEnded: (record: OperationRecord) => void = () => undefined,
  now: Now = () => momentOf(Date.now()),
): Store {
  const keys = keysFor(prefix);
  redis.defineCommand('khumbuCommit', { lua: COMMIT_SCRIPT, numberOfKeys: 0 });
  redis.defineCommand('khumbuPop', { lua: POP_SCRIPT, numberOfKeys: 2 });

  const load = async (id: string): Promise<OperationRecord | undefined> => {
    const [data, schema] = await redis.hmget(keys.record(id), 'data', 'schema');
    return parseRecord(data, schema);
  };

  const loadMany = async (ids: readonly string[]): Promise<OperationRecord[]> => {
    const pipeline = redis.pipeline();
    for (const id of ids) pipeline.hmget(keys.record(id), 'data', 'schema');
    const records: OperationRecord[] = [];
    for (const [error, reply] of (await pipeline.exec()) ?? []) {
      if (error) throw error;
      const [data, schema] = reply as (string | null)[];
      if (Number(schema) > RECORD_SCHEMA) continue;
      const record = parseRecord(data, schema);
      if (record) records.push(record);
    }
    return records;
  };

  return {
    keys,
    transaction: () => new Transaction(keys, now),
    async commit(transaction) {
      const id = randomUUID();
      const key = transaction.mark ?? transaction.stationMark;
      const mark = key === undefined ? [] : [['HSET', key, 'commit', id]];
      const { guards, absent, indexed } = transaction;
      const commit = { id, mark: key, guards, absent, ops: [...transaction.ops, ...mark], index: keys.index, indexed };
      const done = (await redis.khumbuCommit(JSON.stringify(commit))) === 1;
      if (done) for (const record of transaction.ends) onEnded(record);
      return done;
    },
    load,
    loadMany,
    station: (station) => redis.hgetall(keys.station(station)),
    async stationAndAnswer(station, answerKey) {
      const [fields, answer] = await Promise.all([
        redis.hgetall(keys.station(station)),
        redis.get(keys.answer(station, answerKey)),
      ]);
      return { fields, ...(answer === null ? {} : { answer: JSON.parse(answer) as StoredAnswer }) };
    },
    stations: () => redis.smembers(keys.stations),
    openIds: () => redis.zrange(keys.open, '0', '-1'),
    async operationsOf(station) {
      const [open, ended] = await Promise.all([
        redis.zrange(keys.open, '0', '-1'),
        redis.zrange(keys.endedOf(station), '0', '-1'),
      ]);
      const records = await loadMany([...new Set([...open, ...ended])]);
      return records.filter((record) => record.station === station).sort((a, b) => b.createdAt - a.createdAt);
    },
    async namedImages() {
      const [open, fetches] = await Promise.all([
        redis.zrange(keys.open, '0', '-1'),
        redis.zrange(keys.fetches, '0', '-1'),
      ]);
      return imagesOf(await loadMany([...open, ...fetches]));
    },
    neededImages: async () => imagesOf(await loadMany(await redis.zrange(keys.open, '0', '-1'))),
    async headOfOutbox(station) {
      const head = await redis.lindex(keys.outbox(station), 0);
      return head === null ? undefined : (JSON.parse(head) as OutboxEntry);
    },
    async outboxEntries(station) {
      return (await redis.lrange(keys.outbox(station), 0, -1)).map((entry) => JSON.parse(entry) as OutboxEntry);
    },
    stationsWithOutbox: () => redis.smembers(keys.outboxes),
    async popOutbox(station, entryId) {
      return (await redis.khumbuPop(keys.outbox(station), keys.outboxes, entryId, station)) === 1;
    },
  };
}
