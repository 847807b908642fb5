/**
 * A stream of unknown size into one object. The client's own stream upload buffers half a gigabyte, mixes with
 * unfinished uploads of the same key and does not survive an error of its source; this one holds `inFlight` + 1 parts
 * in memory and leaves nothing behind.
 */
import type { Readable } from 'node:stream';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { abortedError, type StoreCaller } from './store-call.js';
import { StoreError } from './store-error.js';

export interface PutStreamInput {
  readonly bucket: string;
  readonly key: string;
  readonly body: Readable;
  readonly contentType: string;
  /** User metadata: lower-case names, printable ASCII values. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** More of it, known once the body was read: for an object that is one part or less; called at most once. */
  readonly metadataOfWhole?: () => Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Bytes of a part, at least 5 MiB (S3's minimum); 8 MiB by default. */
  readonly partBytes?: number;
  /** Parts under way at once; 2 by default. */
  readonly inFlight?: number;
  /**
   * The multipart upload was initiated; the first part waits for this. With the id an upload can be aborted that a killed
   * process left, with `abortUpload`.
   */
  readonly onInitiated?: (uploadId: string) => Promise<void>;
  /** The upload failed and none of its parts is left in the store. */
  readonly onAborted?: () => Promise<void>;
  /** The next bytes of the body, once each, as they are read. Must not throw. */
  readonly onRead?: (bytes: Buffer) => void;
  /** Bytes the store has confirmed so far. */
  readonly onProgress?: (bytes: number) => void;
}

export interface PutResult {
  readonly bytes: number;
  readonly etag: string;
}

/** S3 API Reference, "Amazon S3 multipart upload limits". */
export const MIN_PART_BYTES = 5 * 1024 * 1024;
export const MAX_PARTS = 10_000;
export const DEFAULT_PART_BYTES = 8 * 1024 * 1024;

interface Part {
  readonly number: number;
  /** A view of `buffer`. */
  readonly bytes: Buffer;
  readonly buffer: Buffer;
  readonly last: boolean;
}

const asBuffer = (chunk: Buffer | Uint8Array | string): Buffer =>
  typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);

/** Cut a stream into parts. The last part is marked so, so a full one waits for the byte after it. */
async function* partsOf(
  { body, onRead }: Pick<PutStreamInput, 'body' | 'onRead'>,
  takeBuffer: () => Buffer,
): AsyncGenerator<Part> {
  let number = 1;
  let buffer = takeBuffer();
  let used = 0;
  for await (const chunk of body as AsyncIterable<Buffer | Uint8Array | string>) {
    let rest = asBuffer(chunk);
    onRead?.(rest);
    while (rest.length > 0) {
      if (used === buffer.length) {
        yield { number, bytes: buffer, buffer, last: false };
        number += 1;
        buffer = takeBuffer();
        used = 0;
      }
      const copied = rest.copy(buffer, used);
      used += copied;
      rest = rest.subarray(copied);
    }
  }
  yield { number, bytes: buffer.subarray(0, used), buffer, last: true };
}

export function objectHeaders(input: Pick<PutStreamInput, 'contentType' | 'metadata'>): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': input.contentType };
  for (const [name, value] of Object.entries(input.metadata ?? {})) {
    if (!/^[a-z0-9-]+$/.test(name) || !/^[\x20-\x7e]*$/.test(value)) {
      throw new StoreError('S3_BAD_REQUEST', `metadata ${name}: not printable ASCII under a lower-case name`);
    }
    headers[`x-amz-meta-${name}`] = value;
  }
  return headers;
}

/** One upload: what has been sent, what is under way, why it failed. */
class Upload {
  private readonly headers: Record<string, string>;
  private readonly stop = new AbortController();
  private readonly underWay = new Set<Promise<void>>();
  private readonly spare: Buffer[] = [];
  private readonly parts: { part: number; etag: string }[] = [];
  private readonly what: string;
  private initiating: Promise<string> | undefined;
  private completing = false;
  private failure: { readonly error: unknown } | undefined;
  private bytes = 0;

  constructor(
    private readonly store: StoreCaller,
    private readonly input: PutStreamInput,
  ) {
    this.headers = objectHeaders(input);
    this.what = `put ${input.bucket}/${input.key}`;
  }

  async run(): Promise<PutResult> {
    const { signal, body } = this.input;
    // The loop meets the source's error itself; without a listener an error between two reads would end the process.
    body.on('error', (error) => this.fail(error));
    // A source may never end, not even when destroyed: nothing waits for it alone.
    const failed = new Promise<never>((_resolve, reject) => {
      this.stop.signal.addEventListener('abort', () => reject(this.stop.signal.reason));
    });
    const withdraw = onAbort(signal, () => this.fail(abortedError(this.what, signal?.reason)));
    try {
      return await Promise.race([failed, this.send()]);
    } catch (error) {
      this.completing = false;
      this.fail(error);
      await Promise.all(this.underWay);
      await this.discard();
      throw this.failure?.error;
    } finally {
      withdraw();
    }
  }

  /** The first reason counts. Ends the source and every part under way. */
  private fail(error: unknown): void {
    if (this.failure !== undefined || this.completing) return;
    this.failure = { error };
    this.stop.abort(error);
    this.input.body.destroy();
  }

  private assertGoingOn(): void {
    if (this.failure !== undefined) throw this.failure.error;
  }

  private async send(): Promise<PutResult> {
    this.assertGoingOn();
    const partBytes = Math.max(this.input.partBytes ?? DEFAULT_PART_BYTES, MIN_PART_BYTES);
    const takeBuffer = (): Buffer => this.spare.pop() ?? Buffer.allocUnsafeSlow(partBytes);
    for await (const part of partsOf(this.input, takeBuffer)) {
      this.assertGoingOn();
      if (part.number === 1 && part.last) return await this.putWhole(part.bytes);
      if (part.number > MAX_PARTS) throw new StoreError('S3_BAD_REQUEST', `${this.what}: more than ${MAX_PARTS} parts`);
      this.initiating ??= this.initiate();
      const uploadId = await this.initiating;
      if (part.number === 1) await this.input.onInitiated?.(uploadId);
      while (this.underWay.size >= (this.input.inFlight ?? 2)) await Promise.race(this.underWay);
      this.assertGoingOn();
      this.start(part, uploadId);
    }
    await Promise.all(this.underWay);
    this.assertGoingOn();
    this.completing = true;
    return { bytes: this.bytes, etag: await this.complete() };
  }

  private async putWhole(bytes: Buffer): Promise<PutResult> {
    const { bucket: bucketName, key: objectName, onProgress, contentType, metadata, metadataOfWhole } = this.input;
    const headers = objectHeaders({ contentType, metadata: { ...metadata, ...metadataOfWhole?.() } });
    const response = await this.store.call(this.what, this.stop.signal, (client) =>
      client.makeRequestAsyncOmit({ method: 'PUT', bucketName, objectName, headers }, bytes),
    );
    onProgress?.(bytes.length);
    return { bytes: bytes.length, etag: String(response.headers.etag ?? '').replaceAll('"', '') };
  }

  /** Not aborted by the signal: only its answer tells which upload there is to clean up. A stall ends it. */
  private initiate(): Promise<string> {
    const { bucket, key } = this.input;
    return this.store.call(this.what, undefined, (client) =>
      client.initiateNewMultipartUpload(bucket, key, this.headers),
    );
  }

  private start(part: Part, uploadID: string): void {
    const { bucket: bucketName, key: objectName } = this.input;
    const sending = this.store
      .call(`${this.what} part ${part.number}`, this.stop.signal, (client) =>
        client.uploadPart({ bucketName, objectName, uploadID, partNumber: part.number, headers: {} }, part.bytes),
      )
      .then(({ etag }) => {
        this.parts.push({ part: part.number, etag });
        this.spare.push(part.buffer);
        this.bytes += part.bytes.length;
        this.input.onProgress?.(this.bytes);
      })
      .catch((error: unknown) => this.fail(error))
      .finally(() => this.underWay.delete(sending));
    this.underWay.add(sending);
  }

  /**
   * From here on an abort comes too late. A try whose answer got lost may have succeeded: then the upload is gone and
   * the object is ours.
   */
  private async complete(): Promise<string> {
    const { bucket, key } = this.input;
    const uploadId = (await this.initiating) as string;
    const parts = this.parts.toSorted((a, b) => a.part - b.part);
    let tries = 0;
    try {
      const { etag } = await this.store.call(this.what, undefined, (client) => {
        tries += 1;
        return client.completeMultipartUpload(bucket, key, uploadId, parts);
      });
      return etag;
    } catch (error) {
      if (tries < 2 || !(error instanceof StoreError && error.code === 'S3_NO_SUCH_UPLOAD')) throw error;
      const found = await this.store.call(this.what, undefined, (client) => client.statObject(bucket, key));
      const metadata = Object.entries(this.input.metadata ?? {});
      if (found.size !== this.bytes || metadata.some(([name, value]) => found.metaData[name] !== value)) throw error;
      return found.etag;
    }
  }

  /** Frees the parts in the store. What cannot be freed is left to the journal of `onInitiated`; the first error counts. */
  private async discard(): Promise<void> {
    const { bucket, key } = this.input;
    if (this.initiating === undefined) return;
    try {
      const uploadId = await this.initiating;
      await this.store.call(this.what, undefined, (client) => client.abortMultipartUpload(bucket, key, uploadId));
    } catch (error) {
      if (error instanceof StoreError) return;
      throw error;
    }
    await this.input.onAborted?.();
  }
}

/**
 * Stream `body` into an object. One part or less is a single plain put. Consumes and, on failure, destroys `body`.
 * Rejects with the source's own error, `ABORTED`, or a `StoreError`; then there is no new object and no part of it.
 * A stalled source is the caller's to abort. Safe to repeat with a fresh body.
 */
export async function putStream(store: StoreCaller, input: PutStreamInput): Promise<PutResult> {
  return await new Upload(store, input).run();
}
