/**
 * Multipart uploads that were begun in the object store, in Redis: also a worker with another spool goes on with them, or ends
 * them. One hash for all workers, with a field for each upload until that is over.
 */
import type { Keys } from '@khumbu/operations/records/keys';
import type { MultipartUpload } from '@khumbu/transfer/port';
import type { Redis } from 'ioredis';

export interface Noted {
  readonly operationId: string;
  readonly upload: MultipartUpload;
}

/** Operation ids hold no space. */
const fieldOf = ({ operationId, upload }: Noted): string => `${operationId} ${upload.uploadId}`;

export type SharedJournal = ReturnType<typeof createSharedJournal>;

export function createSharedJournal(redis: Redis, { logParts }: Pick<Keys, 'logParts'>) {
  const all = async (): Promise<Noted[]> =>
    Object.entries(await redis.hgetall(logParts)).map(([field, text]) => ({
      operationId: field.slice(0, field.indexOf(' ')),
      upload: JSON.parse(text) as MultipartUpload,
    }));
  return {
    all,
    async of(operationId: string): Promise<MultipartUpload[]> {
      return (await all()).flatMap((noted) => (noted.operationId === operationId ? [noted.upload] : []));
    },
    async add(noted: Noted): Promise<void> {
      await redis.hset(logParts, fieldOf(noted), JSON.stringify(noted.upload));
    },
    /** Safe to repeat. */
    async remove(noted: Noted): Promise<void> {
      await redis.hdel(logParts, fieldOf(noted));
    },
  };
}
