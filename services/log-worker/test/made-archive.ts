/** Bytes that look like an archive, the same each time, and where they go in tests of uploads in parts. */
import { createCipheriv } from 'node:crypto';
import { Readable } from 'node:stream';
import { createObjectStore, type ObjectStore } from '@khumbu/object-store/object-store';

export const MIB = 1024 * 1024;
/** The least that S3 takes. */
export const PART_BYTES = 5 * MIB;
export const BUCKET = 'depot';
export const KEY = 'logs/a.tar.gz';
export const TARGET = { kind: 's3', bucket: BUCKET, key: KEY, fileName: 'a.tar.gz' } as const;

/** `seed`: of one byte; another one makes other bytes. */
export function madeBytes(length: number, seed = 1): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(length));
}

/** In pieces of 256 KiB; `onPiece` sees how many bytes came before each. */
export function streamOf(bytes: Buffer, onPiece: (before: number) => Promise<void> | void = () => {}): Readable {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += MIB / 4) {
      await onPiece(at);
      yield bytes.subarray(at, at + MIB / 4);
    }
  }
  return Readable.from(pieces(), { objectMode: false });
}

export const storeAt = (endpoint: string, stallMs = 30_000): ObjectStore =>
  createObjectStore(
    {
      S3_ENDPOINT: endpoint,
      S3_REGION: 'us-east-1',
      S3_ACCESS_KEY: 'S3RVER',
      S3_SECRET_KEY: 'S3RVER',
      S3_BUCKET: BUCKET,
    },
    { stallMs },
  );
