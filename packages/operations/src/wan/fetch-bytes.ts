/** Bytes that come for a fetch, by whichever worker: counted in Redis until its end is stored, so that no kill forgets them. */
import type { ChainableCommander, Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';

/** One generation of a fetch. */
export interface FetchRun {
  readonly fetchId: string;
  /** When its record was made: one that is asked for again after it was forgotten begins its generations anew. */
  readonly createdAt: number;
  readonly generation: number;
}

export interface Brought extends FetchRun {
  readonly bytes: number;
}

/** As long as the parts that they are of. */
const KEPT_S = 7 * 86_400;

const keyOf = (keys: Keys, { fetchId, createdAt, generation }: FetchRun): string =>
  keys.wanBrought(fetchId, createdAt, generation);

const isSame = (a: FetchRun, b: FetchRun): boolean =>
  a.fetchId === b.fetchId && a.createdAt === b.createdAt && a.generation === b.generation;

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
      const download: Download = { run, bytes: 0, counted: 0 };
      begun.set(run.fetchId, download);
      // One that lost its job while its process stood still may end beside the one that goes on.
      return () => {
        if (begun.get(run.fetchId) === download) begun.delete(run.fetchId);
      };
    },
    /** What is not counted of it stays so. */
    forget(run: FetchRun): void {
      for (const download of uncounted) if (isSame(download.run, run)) uncounted.delete(download);
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
