/**
 * A stream of unknown size into one object. The client's own stream upload buffers half a gigabyte, mixes with
 * unfinished uploads of the same key and does not survive an error of its source; this one holds `inFlight` + 1 parts
 * in memory and leaves nothing behind.
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { type Part, partsOf } from './parts.js';
import { explainRefusal, type Protection, protectionHeaders, requireEncrypted, requireKept } from './protection.js';
import { putBytes } from './put-bytes.js';
import { abortedError, type StoreCaller } from './store-call.js';
import { StoreError } from './store-error.js';
import type { UnfinishedUpload } from './unfinished-uploads.js';

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
  /**
   * An upload of this key that an earlier try has left. Its parts are not trusted but compared: one with the size and the MD5
   * of what the body has there is not sent again.
   */
  readonly earlier?: UnfinishedUpload;
  /** Whether what is in the store after this failure is left for another try; by default it is freed. */
  readonly isKept?: (error: unknown) => boolean;
  /** What the store shall do for the object beside keeping it. */
  readonly protection?: Protection;
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

function objectHeaders(input: Pick<PutStreamInput, 'contentType' | 'metadata'>): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': input.contentType };
  for (const [name, value] of Object.entries(input.metadata ?? {})) {
    if (!/^[a-z0-9-]+$/.test(name) || !/^[\x20-\x7e]*$/.test(value)) {
      throw new StoreError('S3_BAD_REQUEST', `metadata ${name}: not printable ASCII under a lower-case name`);
    }
    headers[`x-amz-meta-${name}`] = value;
  }
  return headers;
}

const md5Of = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');

/** One upload: what has been sent, what is under way, why it failed. */
class Upload {
  private readonly headers: Record<string, string>;
  private readonly stop = new AbortController();
  private readonly underWay = new Set<Promise<void>>();
  private readonly spare: Buffer[] = [];
  private readonly parts: { part: number; etag: string }[] = [];
  private readonly what: string;
  private readonly there: UnfinishedUpload['parts'];
  private initiating: Promise<string> | undefined;
  private completing = false;
  private failure: { readonly error: unknown } | undefined;
  private bytes = 0;

  constructor(
    private readonly store: StoreCaller,
    private readonly input: PutStreamInput,
  ) {
    this.headers = { ...objectHeaders(input), ...protectionHeaders(input.protection) };
    this.what = `put ${input.bucket}/${input.key}`;
    this.there = input.earlier?.parts ?? new Map();
    if (input.earlier) this.initiating = Promise.resolve(input.earlier.uploadId);
  }

  async run(): Promise<PutResult> {
    const { signal, body } = this.input;
    // The loop meets the source's error itself; without a listener an error between two reads would end the process.
    body.on('error', (error) => this.fail(error));
    // A source may never end, not even when destroyed: nothing waits for it alone.
    const failed = new Promise<never>((_resolve, reject) => {
      onAbort(this.stop.signal, () => reject(this.stop.signal.reason));
    });
    const withdraw = onAbort(signal, () => this.fail(abortedError(this.what, signal?.reason)));
    try {
      const put = await Promise.race([failed, this.send()]);
      await requireKept(this.store, this.input, this.input.protection);
      return put;
    } catch (error) {
      this.completing = false;
      this.fail(error);
      await Promise.all(this.underWay);
      await this.discard();
      throw explainRefusal(this.input.protection, this.failure?.error);
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
      if (part.number === 1 && part.last && this.isPlain()) return await this.putWhole(part.bytes);
      if (part.number > MAX_PARTS) throw new StoreError('S3_BAD_REQUEST', `${this.what}: more than ${MAX_PARTS} parts`);
      const isNew = this.initiating === undefined;
      this.initiating ??= this.initiate();
      const uploadId = await this.initiating;
      if (isNew) await this.input.onInitiated?.(uploadId);
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
    const { bucket, key, onProgress, contentType, metadata, metadataOfWhole } = this.input;
    const headers = {
      ...objectHeaders({ contentType, metadata: { ...metadata, ...metadataOfWhole?.() } }),
      ...protectionHeaders(this.input.protection),
    };
    const { signal } = this.stop;
    const { etag } = await putBytes(this.store, { bucket, key, bytes, contentType, headers, signal });
    onProgress?.(bytes.length);
    return { bytes: bytes.length, etag };
  }

  /** What a store could keep without doing what is asked is begun in parts: its first answer tells, before any content is there. */
  private isPlain(): boolean {
    return this.input.earlier === undefined && this.input.protection?.encryption === undefined;
  }

  /** Not aborted by the signal: only its answer tells which upload there is to clean up. A stall ends it. */
  private initiate(): Promise<string> {
    const { bucket, key, protection } = this.input;
    return this.store.call(this.what, undefined, async (client, answered) => {
      const uploadId = await client.initiateNewMultipartUpload(bucket, key, this.headers);
      try {
        requireEncrypted(this.what, protection, answered());
      } catch (error) {
        await client.abortMultipartUpload(bucket, key, uploadId);
        throw error;
      }
      return uploadId;
    });
  }

  private confirm(part: Part, etag: string): void {
    this.parts.push({ part: part.number, etag });
    this.spare.push(part.buffer);
    this.bytes += part.bytes.length;
    this.input.onProgress?.(this.bytes);
  }

  /**
   * `Content-MD5` is the checksum that every server knows; the flexible ones break several (Swift answers 501 to their
   * trailers), and prove nothing on older ones. Where parts are encrypted by KMS their ETags are no MD5: they are sent again.
   */
  private start(part: Part, uploadID: string): void {
    const { bucket: bucketName, key: objectName } = this.input;
    const there = this.there.get(part.number);
    const md5 = md5Of(part.bytes);
    if (there?.bytes === part.bytes.length && there.etag === md5) {
      this.confirm(part, there.etag);
      return;
    }
    const headers = { 'content-md5': Buffer.from(md5, 'hex').toString('base64') };
    const sending = this.store
      .call(`${this.what} part ${part.number}`, this.stop.signal, (client) =>
        client.uploadPart({ bucketName, objectName, uploadID, partNumber: part.number, headers }, part.bytes),
      )
      .then(({ etag }) => this.confirm(part, etag))
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
    const { bucket, key, isKept } = this.input;
    if (this.initiating === undefined || isKept?.(this.failure?.error) === true) return;
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
