/** An object into a file, resumed after a cut. */
import { createHash, type Hash, randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { pauseAfter, type StoreCaller, TRIES } from './store-call.js';
import { StoreError } from './store-error.js';

export interface GetToFileInput {
  readonly bucket: string;
  readonly key: string;
  /** Written under a temporary name beside it, then renamed. */
  readonly path: string;
  /** What its content must be: lower-case hex. Found out while it comes. */
  readonly sha256?: string;
  readonly signal?: AbortSignal;
  /** Bytes on disk so far; falls back to 0 when the object changed. */
  readonly onProgress?: (bytes: number) => void;
}

interface Received {
  etag: string;
  bytes: number;
  hash: Hash;
}

/** Whether an answer continues what we have. RFC 9110, 14.4; strong entity tags only. */
function continues(response: IncomingMessage, received: Received): boolean {
  const etag = response.headers.etag ?? '';
  return (
    response.statusCode === 206 &&
    etag !== '' &&
    etag === received.etag &&
    (response.headers['content-range'] ?? '').startsWith(`bytes ${received.bytes}-`)
  );
}

/**
 * Resolves once the whole object is on disk, synced and named `path`. Rejects with `S3_NO_SUCH_KEY` and the other store
 * errors, `S3_CORRUPT` for content that is not `sha256`, `ABORTED`, or an error of the disk; then `path` is untouched and no temporary file is left. Safe to repeat.
 */
export async function getToFile(store: StoreCaller, input: GetToFileInput): Promise<{ bytes: number; etag: string }> {
  const temporary = `${input.path}.${randomBytes(6).toString('hex')}.part`;
  try {
    const file = await open(temporary, 'wx');
    try {
      const received = await receive(store, input, file);
      if (input.sha256 !== undefined && received.hash.digest('hex') !== input.sha256)
        throw new StoreError('S3_CORRUPT', `get ${input.bucket}/${input.key}: the object is not what was put there`);
      await file.sync();
      await file.close();
      await rename(temporary, input.path);
      return { bytes: received.bytes, etag: received.etag.replaceAll('"', '') };
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function receive(store: StoreCaller, input: GetToFileInput, file: FileHandle): Promise<Received> {
  const what = `get ${input.bucket}/${input.key}`;
  const received: Received = { etag: '', bytes: 0, hash: createHash('sha256') };
  const disk: { failure?: unknown } = {};
  for (let fruitless = 1; ; fruitless += 1) {
    const before = received.bytes;
    try {
      await store.once(what, input.signal, async (client) => {
        const headers: Record<string, string> = before > 0 ? { range: `bytes=${before}-` } : {};
        const response = await client.makeRequestAsync(
          { method: 'GET', bucketName: input.bucket, objectName: input.key, headers },
          '',
          [200, 206],
        );
        await append(response, received, file, disk, input.onProgress);
      });
      return received;
    } catch (error) {
      if (disk.failure !== undefined) throw disk.failure;
      if (received.bytes > before) fruitless = 1;
      // A range that no longer fits: the object changed.
      if (before > 0 && error instanceof StoreError && error.code === 'S3_BAD_REQUEST') startAnew(received);
      else if (fruitless >= TRIES || !(error instanceof StoreError && error.retryable)) throw error;
      await pauseAfter(fruitless, what, input.signal);
    }
  }
}

function startAnew(received: Received): void {
  received.bytes = 0;
  received.hash = createHash('sha256');
}

async function append(
  response: IncomingMessage,
  received: Received,
  file: FileHandle,
  disk: { failure?: unknown },
  onProgress: GetToFileInput['onProgress'],
): Promise<void> {
  if (received.bytes > 0 && !continues(response, received)) {
    startAnew(received);
    if (response.statusCode === 206) {
      response.destroy();
      throw new StoreError('S3_UNAVAILABLE', 'the object changed while it was read');
    }
  }
  received.etag = response.headers.etag ?? '';
  const expected = received.bytes + Number(response.headers['content-length'] ?? Number.NaN);
  const onDisk = (error: unknown): never => {
    disk.failure = error;
    throw error;
  };
  if (received.bytes === 0) await file.truncate(0).catch(onDisk);
  for await (const chunk of response as AsyncIterable<Buffer>) {
    await file.write(chunk, 0, chunk.length, received.bytes).catch(onDisk);
    received.bytes += chunk.length;
    received.hash.update(chunk);
    onProgress?.(received.bytes);
  }
  if (!Number.isNaN(expected) && expected !== received.bytes) {
    throw new StoreError('S3_UNAVAILABLE', 'the object store ended its answer early');
  }
}
