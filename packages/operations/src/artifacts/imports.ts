/** What became of the files in the import folders of ota-workers: told by those, shown by REST. */
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';

export interface ImportedFile {
  /** Host and path. */
  readonly file: string;
  /** Sizes and dates of it and of what lies beside it: anything else is looked at anew. */
  readonly identity: string;
  readonly takenIn: boolean;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly sha256?: string;
  /** Why it was refused. */
  readonly message?: string;
}

export type Imports = ReturnType<typeof createImports>;

export const createImports = (redis: Redis, { imports }: Pick<Keys, 'imports'>) => ({
  /** By their names. */
  read: async (): Promise<ImportedFile[]> =>
    Object.values(await redis.hgetall(imports))
      .map((text) => JSON.parse(text) as ImportedFile)
      .sort((a, b) => (a.file < b.file ? -1 : 1)),
  write: async (file: ImportedFile): Promise<void> => void (await redis.hset(imports, file.file, JSON.stringify(file))),
  /** They are not there any more. */
  forget: async (files: readonly string[]): Promise<void> => {
    if (files.length > 0) await redis.hdel(imports, ...files);
  },
});
