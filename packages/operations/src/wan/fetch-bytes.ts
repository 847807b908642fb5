/** Bytes that come for a fetch, by whichever worker: counted in Redis until its end is stored, so that no kill forgets them. */
import type { ChainableCommander, Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';

/** One generation of a fetch. */
export interface FetchRun {
  readonly fetchId: string;
  readonly generation: number;
}

export interface Brought extends FetchRun {
  readonly bytes: number;
}

/** As long as the parts that they are of. */
const KEPT_S = 7 * 86_400;

const keyOf = (keys: Keys, { fetchId, generation }: FetchRun): string => keys.wanBrought(fetchId, generation);

/** To be counted with what else is counted in this transaction. */
export function addBrought(adding: ChainableCommander, keys: Keys, brought: readonly Brought[]): void {
  for (const each of brought) {
    const key = keyOf(keys, each);
    adding.incrby(key, each.bytes).expire(key, KEPT_S);
  }
}

/** Both reject where Redis does not answer. */
export const createBrought = (redis: Redis, keys: Keys) => ({
  /** Bytes that were counted for it. */
  broughtBy: async (run: FetchRun): Promise<number> => Number((await redis.get(keyOf(keys, run))) ?? 0),
  /** Its end is stored, with its bytes. Safe to repeat. */
  async forgetBrought(run: FetchRun): Promise<void> {
    await redis.del(keyOf(keys, run));
  },
});

interface Download {
  readonly run: FetchRun;
  bytes: number;
  /** Of these: counted. */
  counted: number;
}

/** Of the fetches of this process. */
export function createFetchBytes() {
  const begun = new Map<string, Download>();
  /** Those of which something is not counted yet. */
  const uncounted = new Set<Download>();

  return {
    /** From now on its bytes are told by `receivedOf`, until what this returns is called. */
    begin(run: FetchRun): () => void {
      begun.set(run.fetchId, { run, bytes: 0, counted: 0 });
      return () => void begun.delete(run.fetchId);
    },
    /** In this run of it. */
    receivedOf: (fetchId: string): number => begun.get(fetchId)?.bytes ?? 0,
    add(fetchId: string | undefined, bytes: number): void {
      const download = fetchId === undefined ? undefined : begun.get(fetchId);
      if (!download) return;
      download.bytes += bytes;
      uncounted.add(download);
    },
    /** What is to be counted now; `giveBack`: it was not, and is the next time. */
    take(): { readonly brought: readonly Brought[]; readonly giveBack: () => void } {
      const taken = [...uncounted].map((download) => ({ download, bytes: download.bytes - download.counted }));
      uncounted.clear();
      for (const { download, bytes } of taken) download.counted += bytes;
      return {
        brought: taken.map(({ download, bytes }) => ({ ...download.run, bytes })),
        giveBack() {
          for (const { download, bytes } of taken) {
            download.counted -= bytes;
            uncounted.add(download);
          }
        },
      };
    },
  };
}
