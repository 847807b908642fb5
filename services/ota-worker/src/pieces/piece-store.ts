/** The pieces of downloads in the depot's object store. All calls are safe to repeat and to abort. */
import { createHash } from 'node:crypto';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { hasCode } from '@khumbu/shared/runtime/errors';
import {
  type Begun,
  begunName,
  folderOf,
  type Held,
  heldBy,
  PIECES_BELOW,
  type Piece,
  pieceName,
  readBegun,
  readKey,
  removable,
  type StoredObject,
  withoutReplaced,
} from './piece-names.js';
import { createTurns } from './piece-turns.js';

/** Removals under way at once: there are hundreds of a long download. */
const AT_ONCE = 8;
/** A description names the pieces it goes on from, and is read into memory. */
const MOST_BEGUN_BYTES = 16 * 1024 * 1024;

/** Pieces of all downloads in memory. */
const MOST_IN_MEMORY = 2;

type Objects = Pick<ObjectStore, 'list' | 'getBytes' | 'putBytes' | 'remove'>;

/** Where it is told how a download is kept and gone on with. */
export interface PiecesLog {
  info(about: object, said: string): void;
  warn(about: object, said: string): void;
}

/** Of one fetch, at one moment. */
export interface Earlier {
  readonly objects: readonly StoredObject[];
  /** What can be gone on with, a generation each. */
  readonly held: readonly Held[];
}

/** It is full, or these keys may not: it would refuse the next piece as well. */
export const isRefusal = (error: unknown): boolean => hasCode(error, 'S3_QUOTA', 'S3_DENIED');

export const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function removeAll(
  objects: Pick<Objects, 'remove'>,
  bucket: string,
  keys: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const rest = [...keys];
  const work = async (): Promise<void> => {
    for (let key = rest.pop(); key !== undefined; key = rest.pop()) await objects.remove(bucket, key, signal);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

export function createPieceStore(objects: Objects, bucket: string) {
  const put = async (key: string, bytes: Buffer, contentType: string, signal: AbortSignal): Promise<void> => {
    await objects.putBytes({ bucket, key, bytes, contentType, signal });
  };
  const list = async (fetch: string, signal: AbortSignal): Promise<StoredObject[]> => {
    const found = await objects.list(bucket, folderOf(fetch), signal);
    return found.flatMap(({ key, bytes }) => readKey(key, bytes) ?? []);
  };
  const begunOf = async ({ key, bytes, sha256 }: StoredObject, signal: AbortSignal): Promise<Begun | undefined> => {
    if (bytes > MOST_BEGUN_BYTES) return undefined;
    try {
      return readBegun((await objects.getBytes({ bucket, key, bytes, sha256, signal })).toString('utf8'));
    } catch (error) {
      // Damaged, or its run has removed it.
      if (hasCode(error, 'S3_CORRUPT', 'S3_NO_SUCH_KEY')) return undefined;
      throw error;
    }
  };
  const remove = (keys: readonly string[], signal?: AbortSignal): Promise<void> =>
    removeAll(objects, bucket, keys, signal);
  const find = async (fetch: string, signal: AbortSignal): Promise<Earlier> => {
    const found = await list(fetch, signal);
    const held: Held[] = [];
    for (const object of found.filter(({ offset }) => offset === undefined)) {
      const begun = await begunOf(object, signal);
      if (begun) held.push(heldBy(object.generation, begun, found));
    }
    return { objects: found, held: withoutReplaced(held) };
  };

  return {
    find,
    /** Around whatever holds a piece in memory. */
    inTurn: createTurns(MOST_IN_MEMORY),
    /** Before the first piece of a generation. */
    async begin(fetch: string, generation: string, begun: Begun, signal: AbortSignal): Promise<StoredObject> {
      const content = Buffer.from(JSON.stringify(begun));
      const sha256 = sha256Of(content);
      const key = `${folderOf(fetch)}${begunName(generation, sha256)}`;
      await put(key, content, 'application/json', signal);
      return { key, generation, bytes: content.length, sha256, offset: undefined };
    },
    async put(
      fetch: string,
      { generation, offset }: Pick<Piece, 'generation' | 'offset'>,
      content: Buffer,
      signal: AbortSignal,
    ): Promise<Piece> {
      const piece = { generation, offset, sha256: sha256Of(content) };
      const key = `${folderOf(fetch)}${pieceName(piece)}`;
      await put(key, content, 'application/octet-stream', signal);
      return { ...piece, key, bytes: content.length };
    },
    /** Rejects with `S3_CORRUPT` when it is not what was put there. */
    read: ({ key, bytes, sha256 }: Piece, signal: AbortSignal): Promise<Buffer> =>
      objects.getBytes({ bucket, key, bytes, sha256, signal }),
    /** Those of the generations `gone`, as `removable` by what there is now. */
    async removeGenerations(
      fetch: string,
      gone: ReadonlySet<string>,
      needed: ReadonlySet<string>,
      signal: AbortSignal,
    ): Promise<void> {
      const going = removable(await find(fetch, signal), gone, needed);
      await remove(
        going.map(({ key }) => key),
        signal,
      );
    },
    /** What there is of a fetch at this moment; call what it resolves with to remove just that. That resolves with how many they are. */
    async listLeft(fetch: string, signal: AbortSignal): Promise<() => Promise<number>> {
      const keys = (await list(fetch, signal)).map(({ key }) => key);
      return async () => {
        await remove(keys);
        return keys.length;
      };
    },
    /**
     * Remove what is left of fetches that nobody has gone on with for so long. By the youngest object of a fetch: its first
     * pieces are as old as the download. `now` in milliseconds since 1970; resolves with the number of objects removed.
     */
    async sweep(olderThanMs: number, now: number, signal: AbortSignal): Promise<number> {
      const byFetch = new Map<string, { keys: string[]; youngest: number }>();
      for (const { key, bytes, lastModified } of await objects.list(bucket, PIECES_BELOW, signal)) {
        const fetch = readKey(key, bytes)?.fetch;
        if (fetch === undefined) continue;
        const { keys, youngest } = byFetch.get(fetch) ?? { keys: [], youngest: 0 };
        keys.push(key);
        byFetch.set(fetch, { keys, youngest: Math.max(youngest, lastModified.getTime()) });
      }
      const left = [...byFetch.values()].filter(({ youngest }) => now - youngest >= olderThanMs);
      const keys = left.flatMap((fetch) => fetch.keys);
      await remove(keys, signal);
      return keys.length;
    },
  };
}
export type PieceStore = ReturnType<typeof createPieceStore>;
