/** A small object into memory. */
import { createHash } from 'node:crypto';
import type { StoreCaller } from './store-call.js';
import { StoreError } from './store-error.js';

export interface GetBytesInput {
  readonly bucket: string;
  readonly key: string;
  /** Its size; more is not read. */
  readonly bytes: number;
  /** What its content must be: lower-case hex. */
  readonly sha256: string;
  readonly signal?: AbortSignal;
}

/**
 * The whole object, up to three tries. Rejects with `S3_NO_SUCH_KEY` and the other store errors, `S3_CORRUPT` for content that is
 * not `sha256`, or `ABORTED`.
 */
export async function getBytes(store: StoreCaller, input: GetBytesInput): Promise<Buffer> {
  const { bucket, key, signal } = input;
  const what = `get ${bucket}/${key}`;
  const content = await store.call(what, signal, async (client) => {
    const asked = { method: 'GET', bucketName: bucket, objectName: key };
    const response = await client.makeRequestAsync(asked, '', [200]);
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > input.bytes) throw new StoreError('S3_CORRUPT', `${what}: the object is larger than it was`);
      pieces.push(piece);
    }
    if (size < input.bytes) throw new StoreError('S3_UNAVAILABLE', `${what}: the object store ended its answer early`);
    return Buffer.concat(pieces, size);
  });
  if (createHash('sha256').update(content).digest('hex') === input.sha256) return content;
  throw new StoreError('S3_CORRUPT', `${what}: the object is not what was put there`);
}
