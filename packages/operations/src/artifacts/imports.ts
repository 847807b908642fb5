/** What became of the files in the import folders of ota-workers: told by those, shown by REST. */
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import { repliesOf } from '../records/replies.js';

export interface ImportedFile {
  /** Host and path. */
  readonly file: string;
  /** Sizes and dates of it and of what lies beside it: anything else is looked at anew. */
  readonly identity: string;
  readonly takenIn: boolean;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** When it was last known to lie there; absent: as `at`. Milliseconds since 1970. */
  readonly seenAt?: number;
  readonly sha256?: string;
  /** Why it was refused. */
  readonly message?: string;
}

/** What is looked at is renewed so often. */
const RENEW_MS = 10 * 60_000;
/** No worker looks at that folder any more: its worker has another host name, or none of the setting. */
const LEFT_MS = 3600_000;
/** Of all: the hash lives as long as a worker looks. */
const KEPT_S = 31 * 24 * 3600;

const ageOf = ({ at, seenAt = at }: ImportedFile, now: number): number => now - seenAt;
/** Pure. */
export const wantsRenewal = (file: ImportedFile, now: number): boolean => ageOf(file, now) >= RENEW_MS;
/** Pure. */
export const isLeft = (file: ImportedFile, now: number): boolean => ageOf(file, now) >= LEFT_MS;

export type Imports = ReturnType<typeof createImports>;

export const createImports = (redis: Redis, { imports }: Pick<Keys, 'imports'>) => ({
  /** By their names. */
  read: async (): Promise<ImportedFile[]> =>
    Object.values(await redis.hgetall(imports))
      .map((text) => JSON.parse(text) as ImportedFile)
      .sort((a, b) => (a.file < b.file ? -1 : 1)),
  write: async (file: ImportedFile): Promise<void> => {
    await repliesOf(redis.multi().hset(imports, file.file, JSON.stringify(file)).expire(imports, KEPT_S));
  },
  /** They are not there any more. */
  forget: async (files: readonly string[]): Promise<void> => {
    if (files.length > 0) await redis.hdel(imports, ...files);
  },
});
