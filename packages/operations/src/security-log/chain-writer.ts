/**
 * The one writer of the chain: the gateway that leads. It takes facts from the list in their order, hashes them here (Redis knows no
 * SHA-256) and has one script append the entries, move the head and take the facts off the list; that does nothing where the lease has
 * passed on or the head has moved. So each fact is chained once, whichever process is killed when, and where two gateways act as the leader.
 */
import type { Redis, Result } from 'ioredis';
import type { Now } from '../clock/depot-clock.js';
import { type Keys, WHOLE_DEPOT } from '../records/keys.js';
import { COUNTED_MS, type CountedFacts } from './append-fact.js';
import { chainOn, GENESIS } from './chain.js';
import type { ChainPoint, SecurityFact } from './entry.js';

const BATCH = 200;
/** How often the head is told outside of Redis, where it has moved. */
const ANCHOR_EVERY_MS = 600_000;

/**
 * KEYS: lease, head, chain, pending, counted. ARGV: holder, sequence and hash of the head, sequence and hash of the next one, facts that
 * leave the list, fields of `counted` with their values, entries with their stations (empty: of the whole depot), how their streams begin.
 */
const CHAIN_SCRIPT = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local head = redis.call('HMGET', KEYS[2], 'sequence', 'hash')
if (head[1] or '0') ~= ARGV[2] or (head[2] or ARGV[3]) ~= ARGV[3] then return 0 end
local counted = cjson.decode(ARGV[7])
for _, c in ipairs(counted) do
  if redis.call('HGET', KEYS[5], c[1]) ~= c[2] then return 0 end
end
for _, c in ipairs(counted) do redis.call('HDEL', KEYS[5], c[1]) end
redis.call('LTRIM', KEYS[4], ARGV[6], -1)
for _, e in ipairs(cjson.decode(ARGV[8])) do
  redis.call('XADD', KEYS[3], e[1] .. '-0', 'entry', e[2])
  redis.call('XADD', ARGV[9] .. e[3], e[1] .. '-0', 's', '')
end
redis.call('HSET', KEYS[2], 'sequence', ARGV[4], 'hash', ARGV[5])
return 1`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuChain(
      lease: string,
      head: string,
      chain: string,
      pending: string,
      counted: string,
      ...args: string[]
    ): Result<number, Context>;
  }
}

/** Facts that were too many as one. Pure. */
function countedFact({ count, fact, last }: CountedFacts): SecurityFact {
  const first = JSON.parse(fact) as SecurityFact;
  const since = new Date(first.at).toISOString();
  return { ...first, at: Number(last), details: { ...first.details, count, since } };
}

/** Those that have been counted for long enough, whichever way a clock was set. Pure. */
const isDue = ({ fact }: CountedFacts, now: number): boolean =>
  Math.abs(now - (JSON.parse(fact) as SecurityFact).at) >= COUNTED_MS;

/** The newest entry; before the first one `GENESIS`. */
export async function readHead(redis: Redis, keys: Keys): Promise<ChainPoint> {
  const [sequence, hash] = await redis.hmget(keys.securityHead, 'sequence', 'hash');
  return sequence && hash ? { sequence: Number(sequence), hash } : GENESIS;
}

export interface ChainWriterDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  /** The value of the lease while this gateway leads. */
  readonly holder: string;
  readonly now: Now;
  /** The head, now and then, after it has moved. */
  readonly onAnchor?: (head: ChainPoint) => void;
}

export function createChainWriter({ redis, keys, holder, now, onAnchor }: ChainWriterDeps) {
  let anchoredAt = Number.NEGATIVE_INFINITY;
  let unanchored: ChainPoint | undefined;
  const anchor = (): void => {
    const { monotonic } = now();
    if (!unanchored || monotonic - anchoredAt < ANCHOR_EVERY_MS) return;
    onAnchor?.(unanchored);
    unanchored = undefined;
    anchoredAt = monotonic;
  };
  redis.defineCommand('khumbuChain', { lua: CHAIN_SCRIPT, numberOfKeys: 5 });

  /** Resolves with how many were chained; `undefined`: another gateway writes. */
  const batch = async (): Promise<number | undefined> => {
    const head = await readHead(redis, keys);
    const [pending, counts] = await Promise.all([
      redis.lrange(keys.securityPending, 0, BATCH - 1),
      redis.hgetall(keys.securityCounted),
    ]);
    const due = Object.entries(counts)
      .map(([limit, text]) => ({ limit, text, counted: JSON.parse(text) as CountedFacts }))
      .filter(({ counted }) => isDue(counted, now().wall));
    const facts = [
      ...pending.map((text) => JSON.parse(text) as SecurityFact),
      ...due.map(({ counted }) => countedFact(counted)),
    ];
    const entries = chainOn(head, facts);
    const last = entries.at(-1);
    if (!last) return 0;
    const done = await redis.khumbuChain(
      keys.lease,
      keys.securityHead,
      keys.securityChain,
      keys.securityPending,
      keys.securityCounted,
      holder,
      String(head.sequence),
      head.hash,
      String(last.sequence),
      last.hash,
      String(pending.length),
      JSON.stringify(due.map(({ limit, text }) => [limit, text])),
      JSON.stringify(
        entries.map((entry) => [String(entry.sequence), JSON.stringify(entry), entry.stationId ?? WHOLE_DEPOT]),
      ),
      keys.securityOf(''),
    );
    if (done !== 1) return undefined;
    unanchored = { sequence: last.sequence, hash: last.hash };
    return entries.length;
  };

  return {
    /** Chain what is there. Resolves with the number of entries. Safe to repeat and to run twice at once. */
    async round(signal: AbortSignal): Promise<number> {
      let chained = 0;
      while (!signal.aborted) {
        const some = await batch();
        chained += some ?? 0;
        if (some === undefined || some < BATCH) break;
      }
      anchor();
      return chained;
    },
  };
}
