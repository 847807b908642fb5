/**
 * How far the collection of logs has come, in Redis: the run (when it was due, what it has done), what of it is still open, and until when
 * the logs of each station have been collected. Whichever gateway leads goes on from here.
 */
import type { Keys } from '@khumbu/operations/records/keys';
import type { Redis, Result } from 'ioredis';
import type { CollectedType } from './settings.js';

/** One archive to be collected. */
export interface OpenItem {
  readonly station: string;
  readonly type: CollectedType;
  /** The end of its window: when its run was due. Milliseconds since 1970, as all dates here. */
  readonly due: number;
  /** Its beginning. */
  readonly from: number;
  /** Not before. */
  readonly startAt: number;
  /** Orders that came to nothing. */
  readonly tries: number;
  /** Under way. */
  readonly operationId?: string;
}

/** Types hold no space. */
const fieldOf = ({ station, type }: Pick<OpenItem, 'station' | 'type'>): string => `${type} ${station}`;

/** One step, so that a run is begun once whoever leads: what an earlier run has left open stays open as it is. */
const BEGIN_SCRIPT = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if (redis.call('HGET', KEYS[2], 'due') or '') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'due', ARGV[3])
for i = 4, #ARGV, 2 do redis.call('HSETNX', KEYS[3], ARGV[i], ARGV[i + 1]) end
return 1`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuBeginCollection(lease: string, run: string, open: string, ...args: string[]): Result<number, Context>;
  }
}

export interface RunSums {
  readonly collected: number;
  readonly failed: number;
}

export type CollectionState = ReturnType<typeof createCollectionState>;

export function createCollectionState(redis: Redis, keys: Keys, holder: string) {
  redis.defineCommand('khumbuBeginCollection', { lua: BEGIN_SCRIPT, numberOfKeys: 3 });
  const { logCollection: run, logCollectionOpen: open, logCollected: collected } = keys;
  return {
    /** When the newest run was due; absent: there was none. */
    async lastDue(): Promise<number | undefined> {
      const due = await redis.hget(run, 'due');
      return due === null ? undefined : Number(due);
    },
    /** By `type station`: until when, by the clock of the station. */
    async collectedUntil(): Promise<(of: Pick<OpenItem, 'station' | 'type'>) => number | undefined> {
      const all = await redis.hgetall(collected);
      return (of) => (all[fieldOf(of)] === undefined ? undefined : Number(all[fieldOf(of)]));
    },
    /** `false`: another gateway leads, or has begun it. */
    async begin(before: number | undefined, due: number, items: readonly OpenItem[]): Promise<boolean> {
      const fields = items.flatMap((item) => [fieldOf(item), JSON.stringify(item)]);
      const args = [holder, String(before ?? ''), String(due), ...fields];
      return (await redis.khumbuBeginCollection(keys.lease, run, open, ...args)) === 1;
    },
    async open(): Promise<OpenItem[]> {
      return Object.values(await redis.hgetall(open)).map((text) => JSON.parse(text) as OpenItem);
    },
    /** It was ordered, or has to be again. */
    async change(item: OpenItem): Promise<void> {
      await redis.hset(open, fieldOf(item), JSON.stringify(item));
    },
    /**
     * Nothing more is done for it in this run. `until`: its logs are had until then. Resolves with the sums of the run if it was the
     * last one.
     */
    async end(item: OpenItem, how: keyof RunSums | 'skipped', until?: number): Promise<RunSums | undefined> {
      const transaction = redis.multi().hdel(open, fieldOf(item)).hincrby(run, how, 1);
      if (until !== undefined) transaction.hset(collected, fieldOf(item), String(until));
      await transaction.exec();
      if ((await redis.hlen(open)) > 0) return undefined;
      const [good, bad] = await redis.hmget(run, 'collected', 'failed');
      return { collected: Number(good ?? 0), failed: Number(bad ?? 0) };
    },
    /** Of stations that are not configured any more. */
    async forget(isConfigured: (station: string) => boolean): Promise<void> {
      const gone = (await redis.hkeys(collected)).filter((field) => !isConfigured(field.slice(field.indexOf(' ') + 1)));
      if (gone.length > 0) await redis.hdel(collected, ...gone);
    },
  };
}
