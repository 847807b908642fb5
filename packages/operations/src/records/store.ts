/**
 * The one way records change: a commit. It names what it was decided from (versions, fields), what to write, and the
 * statuses that belong to it; Redis does all of it in one script or none of it. Nothing is announced that is not
 * stored, and nothing is stored that will not be announced.
 */
import { randomUUID } from 'node:crypto';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Redis, Result } from 'ioredis';
import { momentOf, type Now } from '../clock/depot-clock.js';
import type { OutboxEntry } from '../outbox/entry.js';
import { APPEND_FUNCTION, factArguments, factKeys } from '../security-log/append-fact.js';
import { keysFor } from './keys.js';
import { INDEX_FUNCTIONS } from './operation-index.js';
import { type AnyRecord, RECORD_SCHEMA } from './record.js';
import { repliesOf } from './replies.js';
import { type RecordRules, RecordTransaction, type StationFields, type StoredAnswer } from './transaction.js';

/**
 * A commit that was sent twice (a connection that broke after Redis had run it) finds its own mark and is done;
 * otherwise all guards must hold. An absent field equals the empty string.
 */
const COMMIT_SCRIPT = `${INDEX_FUNCTIONS}${APPEND_FUNCTION}
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
for _, f in ipairs(c.facts) do append_fact(c.security, unpack(f)) end
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

interface Kind<K> {
  readonly kind: K;
}

export type RecordStore<R extends AnyRecord> = ReturnType<typeof createRecordStore<R>>;

/** What every version has written. */
function isRecord(value: unknown): value is AnyRecord {
  if (typeof value !== 'object' || value === null) return false;
  const record: Partial<Record<keyof AnyRecord, unknown>> = value;
  const { id, kind, state, version, history } = record;
  return (
    [id, kind, state].every((one) => typeof one === 'string') && typeof version === 'number' && Array.isArray(history)
  );
}

/**
 * Records over one Redis connection. The connection's recipe decides whether calls wait or fail fast. `onEnded` is called
 * with every record that a commit of this store has ended. `now` is the depot's time; without a depot, as in tests, the host's.
 */
export function createRecordStore<R extends AnyRecord>(
  redis: Redis,
  prefix: string,
  rules: RecordRules<R>,
  onEnded: (record: R) => void = () => undefined,
  now: Now = () => momentOf(Date.now()),
) {
  const keys = keysFor(prefix);
  redis.defineCommand('khumbuCommit', { lua: COMMIT_SCRIPT, numberOfKeys: 0 });
  redis.defineCommand('khumbuPop', { lua: POP_SCRIPT, numberOfKeys: 2 });

  /** A kind that this version does not know is as good as a newer schema. */
  const read = (data: string, schema: string | null | undefined): R | undefined => {
    if (Number(schema) > RECORD_SCHEMA) return undefined;
    const record: unknown = JSON.parse(data);
    if (!isRecord(record)) throw new CodedError('RECORD_UNREADABLE', 'what is stored is not a record');
    return rules.isKnown(record) ? record : undefined;
  };

  const isOf = <K>(record: R, kind: K | undefined): record is Extract<R, Kind<K>> =>
    kind === undefined || record.kind === kind;

  /** `undefined`: no such record, or none of this kind. Rejects with `RECORD_TOO_NEW` for one that a newer version wrote. */
  const load = async <K extends R['kind'] = R['kind']>(
    id: string,
    kind?: K,
  ): Promise<Extract<R, Kind<K>> | undefined> => {
    const [data, schema] = await redis.hmget(keys.record(id), 'data', 'schema');
    if (!data) return undefined;
    const record = read(data, schema);
    if (!record)
      throw new CodedError('RECORD_TOO_NEW', 'this record was written by a newer version; upgrade this process');
    return isOf(record, kind) ? record : undefined;
  };

  /** What is there of these, and of this kind, in their order, without what a newer version wrote. */
  const loadMany = async <K extends R['kind'] = R['kind']>(
    ids: readonly string[],
    kind?: K,
  ): Promise<Extract<R, Kind<K>>[]> => {
    const pipeline = redis.pipeline();
    for (const id of ids) pipeline.hmget(keys.record(id), 'data', 'schema');
    const records: Extract<R, Kind<K>>[] = [];
    for (const [data, schema] of await repliesOf<(string | null)[][]>(pipeline)) {
      const record = data ? read(data, schema) : undefined;
      if (record && isOf(record, kind)) records.push(record);
    }
    return records;
  };

  const imagesOf = (records: readonly R[]): Set<string> => new Set(records.flatMap((record) => rules.images(record)));

  return {
    keys,
    rules,
    transaction: () => new RecordTransaction(keys, rules, now),
    /**
     * Resolves with the records as they are stored now. `undefined`: another commit was faster, read again and decide again.
     * Rejects when it is not known whether the commit took place.
     */
    async commit(transaction: RecordTransaction<R>): Promise<readonly R[] | undefined> {
      const id = randomUUID();
      const key = transaction.mark ?? transaction.stationMark;
      const mark = key === undefined ? [] : [['HSET', key, 'commit', id]];
      const { guards, absent, indexed } = transaction;
      const commit = {
        id,
        mark: key,
        guards,
        absent,
        ops: [...transaction.ops, ...mark],
        index: keys.index,
        indexed,
        facts: transaction.facts.map(factArguments),
        security: factKeys(keys),
      };
      const done = (await redis.khumbuCommit(JSON.stringify(commit))) === 1;
      if (!done) return undefined;
      for (const record of transaction.ends) onEnded(record);
      return transaction.records;
    },
    load,
    loadMany,
    station: (station: string): Promise<StationFields> => redis.hgetall(keys.station(station)),
    /** A station's fields and the stored answer to a request, in one round trip. */
    async stationAndAnswer(
      station: string,
      answerKey: string,
    ): Promise<{ readonly fields: StationFields; readonly answer?: StoredAnswer }> {
      const [fields, answer] = await Promise.all([
        redis.hgetall(keys.station(station)),
        redis.get(keys.answer(station, answerKey)),
      ]);
      return { fields, ...(answer === null ? {} : { answer: JSON.parse(answer) as StoredAnswer }) };
    },
    stations: (): Promise<string[]> => redis.smembers(keys.stations),
    openIds: (): Promise<string[]> => redis.zrange(keys.open, '0', '-1'),
    /** A station's operations that are kept, newest first. */
    async operationsOf(station: string): Promise<R[]> {
      const [open, ended] = await Promise.all([
        redis.zrange(keys.open, '0', '-1'),
        redis.zrange(keys.endedOf(station), '0', '-1'),
      ]);
      const records = await loadMany([...new Set([...open, ...ended])]);
      return records.filter((record) => record.station === station).sort((a, b) => b.createdAt - a.createdAt);
    },
    /** Fetches that rest and hold an image, by when they ended. */
    restingFetches: (): Promise<string[]> => redis.zrange(keys.fetches, '0', '-1'),
    /** SHA-256 of every image that a fetch or an open update names. */
    async namedImages(): Promise<Set<string>> {
      const [open, fetches] = await Promise.all([
        redis.zrange(keys.open, '0', '-1'),
        redis.zrange(keys.fetches, '0', '-1'),
      ]);
      return imagesOf(await loadMany([...open, ...fetches]));
    },
    /** SHA-256 of every image that an open update or a fetch under way needs. */
    neededImages: async (): Promise<Set<string>> => imagesOf(await loadMany(await redis.zrange(keys.open, '0', '-1'))),
    async headOfOutbox(station: string): Promise<OutboxEntry | undefined> {
      const head = await redis.lindex(keys.outbox(station), 0);
      return head === null ? undefined : (JSON.parse(head) as OutboxEntry);
    },
    async outboxEntries(station: string): Promise<OutboxEntry[]> {
      return (await redis.lrange(keys.outbox(station), 0, -1)).map((entry) => JSON.parse(entry) as OutboxEntry);
    },
    stationsWithOutbox: (): Promise<string[]> => redis.smembers(keys.outboxes),
    /** Take the entry off after the broker has acknowledged it. `true`: there is more. Safe to repeat. */
    async popOutbox(station: string, entryId: string): Promise<boolean> {
      return (await redis.khumbuPop(keys.outbox(station), keys.outboxes, entryId, station)) === 1;
    },
  };
}
