/**
 * Every key in Redis has an owner: a record in an index, a station, an answer that expires, a queue. Whatever has none, or
 * lacks the end it should have, is reported. Judged at rest: nothing is under way.
 */
import { QUEUE_NAMES } from '@khumbu/operations/jobs/expected-job';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { RECORD_RULES } from '@khumbu/operations/kinds/store';
import { keysFor } from '@khumbu/operations/records/keys';
import { indexText } from '@khumbu/operations/records/operation-index';
import type { Redis } from 'ioredis';

const PREFIX = 'khumbu';
const BATCH = 1000;
/** XADD with `~` keeps whole nodes: up to a hundred entries more. */
const ROUGHLY = 1.05;
const DAY_MS = 24 * 3600_000;

export interface Audit {
  readonly faults: readonly string[];
  /** Keys by kind. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface AuditRules {
  /** KEEP_OPERATIONS_PER_STATION. */
  readonly perStation: number;
}

type Fields = Readonly<Record<string, string>>;

/** What the rules look at, read once. */
interface Indexes {
  readonly redis: Redis;
  readonly open: ReadonlySet<string>;
  readonly ended: ReadonlySet<string>;
  readonly fetches: ReadonlySet<string>;
  readonly stations: ReadonlySet<string>;
  readonly endedStations: ReadonlySet<string>;
  readonly outboxes: ReadonlySet<string>;
  readonly perStation: number;
}

/** `undefined`: it has an owner and the end it should have; else what is wrong. */
type Rule = (key: string, name: string, indexes: Indexes) => Promise<string | undefined>;

const expiresWithin =
  (ms: number): Rule =>
  async (key, _name, { redis }) => {
    const ttl = await redis.pttl(key);
    // -2: it has just expired.
    return ttl === -2 || (ttl > 0 && ttl <= ms) ? undefined : `must expire within ${ms} ms and has ${ttl}`;
  };
const always: Rule = async () => undefined;
const never =
  (why: string): Rule =>
  async () =>
    why;
const shorterThan =
  (length: number): Rule =>
  async (key, _name, { redis }) => {
    const found = await redis.xlen(key);
    return found <= length ? undefined : `has ${found} entries, more than ${length}`;
  };

const listShorterThan =
  (length: number): Rule =>
  async (key, _name, { redis }) => {
    const found = await redis.llen(key);
    return found <= length ? undefined : `has ${found} entries, more than ${length}`;
  };

const fewerFieldsThan =
  (count: number): Rule =>
  async (key, _name, { redis }) => {
    const found = await redis.hlen(key);
    return found < count ? undefined : `has ${found} fields`;
  };

const recordRule: Rule = async (key, id, indexes) => {
  const { redis, open, ended, fetches } = indexes;
  if (open.has(id) || ended.has(id) || fetches.has(id)) return undefined;
  if (id.startsWith('firmware-fetch-')) return expiresWithin(600_000)(key, id, indexes);
  const station = Buffer.from(/^set-system-time-([0-9a-f]*)$/.exec(id)?.[1] ?? '', 'hex').toString('utf8');
  const owner = station === '' ? null : await redis.hget(keysFor(PREFIX).station(station), 'slot:set_system_time');
  return owner === id ? undefined : 'no index and no station knows this record';
};

const stationRule: Rule = async (_key, station, { stations, endedStations }) =>
  stations.has(station) || endedStations.has(station) ? undefined : 'nobody lists this station';

const endedRule: Rule = async (key, station, { redis, endedStations, perStation }) => {
  if (!endedStations.has(station)) return 'its station is not listed as one with ended operations';
  const kept = await redis.zcard(key);
  return kept <= perStation ? undefined : `keeps ${kept} operations, more than ${perStation}`;
};

/** What it names has a record, which is open or has ended as the index says. */
const indexRule: Rule = async (key, part, { redis, open, ended }) => {
  const owners = part === 'open' ? open : ended;
  const stale = (await redis.zrange(key, '0', '-1')).filter((id) => !owners.has(id));
  return stale.length === 0 ? undefined : `names ${stale.length} operations that are not ${part}, such as ${stale[0]}`;
};

/** Every operation that is kept has a row, every other row is free. */
const rowIdsRule: Rule = async (key, _name, { redis, open, ended }) => {
  const ids = await redis.hvals(key);
  const stray = ids.filter((id) => !open.has(id) && !ended.has(id));
  if (stray.length > 0) return `has rows of ${stray.length} operations that are gone, such as ${stray[0]}`;
  const [count, free] = await Promise.all([redis.get('khumbu:index:row-count'), redis.llen('khumbu:index:row-free')]);
  const rows = ids.length + free;
  return Number(count) === rows ? undefined : `${count} rows, and ${rows} that are used or free`;
};

const outboxRule: Rule = async (_key, station, { outboxes }) =>
  outboxes.has(station) ? undefined : 'nobody would look into this outbox';

/** Of an image that is held, or about to be forgotten. */
const artifactRule: Rule = async (key, sha256, { redis }) => {
  if ((await redis.zscore('khumbu:artifacts', sha256)) !== null || (await redis.pttl(key)) !== -1) return undefined;
  return 'the depot does not hold its image, and it does not expire';
};

/** Where no list names it, retention would never find it. */
const copyRule: Rule = async (_key, id, { redis }) =>
  (await redis.zscore('khumbu:log-copies', id)) === null ? 'no list names this kept archive' : undefined;

const webhookRule: Rule = async (_key, webhook, { redis }) =>
  (await redis.hexists('khumbu:webhooks', webhook)) === 1 ? undefined : 'its webhook was deleted';

/** First match wins; the group is the name of what it belongs to. */
const RULES: readonly (readonly [kind: string, pattern: RegExp, rule: Rule])[] = [
  ['record', /^khumbu:record:(.+)$/, recordRule],
  ['station', /^khumbu:station:(.+)$/, stationRule],
  ['outbox', /^khumbu:outbox:(.+)$/, outboxRule],
  ['answer', /^khumbu:answer:(?:.*):rest:/, expiresWithin(DAY_MS)],
  ['answer', /^khumbu:answer:/, expiresWithin(900_000)],
  ['ended of a station', /^khumbu:ended:(.+)$/, endedRule],
  ['index', /^khumbu:(?:stations|outboxes|open|ended|ended-stations|fetches)$/, always],
  ['index', /^khumbu:index:(open|ended):(?:all|(?:station|kind|state|origin):.+)$/, indexRule],
  ['index', /^khumbu:index:row-ids$/, rowIdsRule],
  ['index', /^khumbu:index:(?:rows:\d+|row-marks|row-free|row-count)$/, always],
  ['came again', /^khumbu:redelivered:/, expiresWithin(900_000)],
  ['events', /^khumbu:events$/, shorterThan(20_000 * ROUGHLY)],
  ['events', /^khumbu:progress-events$/, shorterThan(300 * ROUGHLY)],
  ['progress', /^khumbu:progress:/, expiresWithin(3_600_000)],
  ['REST answer', /^khumbu:rest-answer:/, expiresWithin(DAY_MS)],
  ['driver check', /^khumbu:driver-check:/, expiresWithin(30 * DAY_MS)],
  ['artifact', /^khumbu:artifact(?:-sources|-stations)?:([0-9a-f]{64})$/, artifactRule],
  [
    'artifact',
    /^khumbu:(?:artifacts|brought-artifacts|brought-locations|imports|spools|url-key|redaction-key)$/,
    always,
  ],
  ['parts of an upload', /^khumbu:log-parts$/, never('at rest no upload is under way')],
  ['kept archive', /^khumbu:log-copy:(.+)$/, copyRule],
  ['kept archive', /^khumbu:log-copies(?::(?:type:(?:DiagnosticsLog|SecurityLog)|of:.+|sums))?$/, always],
  ['kept archive', /^khumbu:log-copies:begun$/, never('at rest no archive is on its way into the store')],
  ['collection', /^khumbu:log-collection(?::(?:open|until))?$/, always],
  ['WAN', /^khumbu:wan$/, always],
  ['WAN', /^khumbu:wan:month:\d{4}-\d\d$/, expiresWithin(400 * DAY_MS)],
  ['WAN', /^khumbu:wan:brought:.+:\d+:\d+$/, expiresWithin(7 * DAY_MS)],
  ['WAN', /^khumbu:wan:(?:reserved|schedule|quiet:[0-9a-f]{32}|start:.+)$/, expiresWithin(2 * DAY_MS)],
  ['security log', /^khumbu:security:pending$/, listShorterThan(1000)],
  ['security log', /^khumbu:security:rate:/, expiresWithin(600_000)],
  ['security log', /^khumbu:security:(?:chain|of:.*)$/, shorterThan(500_000)],
  ['security log', /^khumbu:security:(?:counted|head|checkpoint|policies)$/, always],
  ['webhook', /^khumbu:webhook(?:s|-positions|-waiting|-dropped|-busy)$/, always],
  ['webhook', /^khumbu:webhook-(?:list|dead|dead-order):(wh_[0-9a-f]{12})(?::.*)?$/, webhookRule],
  ['session', /^khumbu:(?:session|sign-in-code):[0-9a-f]{64}$/, expiresWithin(DAY_MS)],
  ['clock', /^khumbu:(?:clock|retention-date)$/, always],
  ['beats', /^khumbu:beats$/, fewerFieldsThan(QUEUE_NAMES.length + 2)],
  ['files', /^khumbu:files$/, expiresWithin(60_000)],
  ['lease', /^khumbu:lease:desk:/, expiresWithin(DAY_MS)],
  ['lease', /^khumbu:lease(?::(?:serving|asked))?$/, expiresWithin(3000)],
  ['lease', /^khumbu:lease:served$/, expiresWithin(300_000)],
  ['queue', /^khumbu-jobs:[a-z-]+:events$/, shorterThan(10_000 * ROUGHLY)],
  ['queue', /^khumbu-jobs:[a-z-]+:(?:meta|id|marker)$/, always],
  ['queue', /^khumbu-jobs:[a-z-]+:stalled-check$/, expiresWithin(60_000)],
  ['job', /^khumbu-jobs:/, never('a job or a list of jobs is kept though nothing is under way')],
];

async function allKeys(redis: Redis): Promise<string[]> {
  const keys = new Set<string>();
  let cursor = '0';
  do {
    const [next, page] = await redis.scan(cursor, 'COUNT', BATCH);
    for (const key of page) keys.add(key);
    cursor = next;
  } while (cursor !== '0');
  return [...keys];
}

async function readIndexes(redis: Redis, perStation: number): Promise<Indexes> {
  const keys = keysFor(PREFIX);
  const [open, ended, fetches] = await Promise.all(
    [keys.open, keys.ended, keys.fetches].map(async (key) => new Set(await redis.zrange(key, '0', '-1'))),
  );
  const [stations, endedStations, outboxes] = await Promise.all(
    [keys.stations, keys.endedStations, keys.outboxes].map(async (key) => new Set(await redis.smembers(key))),
  );
  const none: ReadonlySet<string> = new Set();
  return {
    redis,
    perStation,
    open: open ?? none,
    ended: ended ?? none,
    fetches: fetches ?? none,
    stations: stations ?? none,
    endedStations: endedStations ?? none,
    outboxes: outboxes ?? none,
  };
}

/** Names in the indexes that stand for nothing. */
async function danglingMembers(indexes: Indexes): Promise<string[]> {
  const { redis, open, ended, fetches, endedStations, stations, outboxes } = indexes;
  const keys = keysFor(PREFIX);
  const missing = async (what: string, names: Iterable<string>, keyOf: (name: string) => string): Promise<string[]> => {
    const list = [...names];
    const there = await Promise.all(list.map((name) => redis.exists(keyOf(name))));
    return list.filter((_name, index) => there[index] === 0).map((name) => `${what} names ${name}, which is not there`);
  };
  const perStation: string[] = [];
  for (const station of endedStations) perStation.push(...(await redis.zrange(keys.endedOf(station), '0', '-1')));
  const unlisted = perStation.filter((id) => !ended.has(id));
  const orphans = [...ended].filter((id) => !new Set(perStation).has(id));
  return [
    ...(await missing('open', open, keys.record)),
    ...(await missing('ended', ended, keys.record)),
    ...(await missing('fetches', fetches, keys.record)),
    ...(await missing('ended-stations', endedStations, keys.endedOf)),
    ...(await missing('stations', stations, keys.station)),
    ...(await missing('outboxes', outboxes, keys.outbox)),
    ...unlisted.map((id) => `${id} is in its station's list and not in ended`),
    ...orphans.map((id) => `${id} is in ended and in no station's list`),
  ];
}

/** What is open must be so by its own record. */
async function notOpen({ redis, open }: Indexes): Promise<string[]> {
  const faults: string[] = [];
  for (const id of open) {
    const data = JSON.parse((await redis.hget(keysFor(PREFIX).record(id), 'data')) ?? '{}') as Fields;
    if (data.endedAt !== undefined && data.slotHeld === undefined) faults.push(`${id} has ended and is listed as open`);
  }
  return faults;
}

/** Every record stands in the indexes by which it is found, as the version that is stored. */
async function notIndexed({ redis, open, ended }: Indexes): Promise<string[]> {
  const faults: string[] = [];
  for (const id of new Set([...open, ...ended])) {
    const [data, version, index, indexed] = await redis.hmget(
      keysFor(PREFIX).record(id),
      'data',
      'version',
      'index',
      'indexed',
    );
    if (!data) continue;
    const isRight = index === indexText(RECORD_RULES, JSON.parse(data) as OperationRecord) && indexed === version;
    if (!isRight) faults.push(`${id} does not stand in the indexes where it belongs`);
  }
  return faults;
}

export async function auditKeys(redis: Redis, { perStation }: AuditRules): Promise<Audit> {
  const indexes = await readIndexes(redis, perStation);
  const counts: Record<string, number> = {};
  const faults: string[] = [];
  for (const key of await allKeys(redis)) {
    const found = RULES.find(([, pattern]) => pattern.test(key));
    const [kind, pattern, rule] = found ?? ['unknown', /^(.*)$/, never('no rule knows this key')];
    counts[kind] = (counts[kind] ?? 0) + 1;
    const fault = await rule(key, pattern.exec(key)?.[1] ?? '', indexes);
    if (fault !== undefined) faults.push(`${key}: ${fault}`);
  }
  const more = [await danglingMembers(indexes), await notOpen(indexes), await notIndexed(indexes)];
  return { counts, faults: [...faults, ...more.flat()] };
}
