/**
 * The depot's object store: any server that speaks S3. Every call ends: by its answer, by its signal (`ABORTED`), or
 * with a `StoreError` (`S3_...`) when the store stays silent for too long.
 */
import { createReadStream } from 'node:fs';
import { stat as statFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { loadConfig, S3_SETTINGS } from '@khumbu/shared/runtime/config';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { BucketItem, Client, ClientOptions } from 'minio';
import { type GetBytesInput, getBytes } from './get-bytes.js';
import { type GetToFileInput, getToFile } from './get-to-file.js';
import { type PutBytesInput, putBytes } from './put-bytes.js';
import { DEFAULT_PART_BYTES, MAX_PARTS, type PutStreamInput, putStream } from './put-stream.js';
import { createStoreCaller, type StoreCaller } from './store-call.js';
import { StoreError } from './store-error.js';
import { abortUpload, abortUploads, listParts, type Upload } from './unfinished-uploads.js';

export type ObjectStoreConfig = ReturnType<typeof loadConfig<typeof S3_SETTINGS>>;

export interface ObjectFacts {
  readonly bytes: number;
  readonly etag: string;
  readonly lastModified: Date;
  /** User metadata by lower-case name, and the content type as `content-type`. */
  readonly metadata: Readonly<Record<string, string>>;
}

function clientOptions(config: ObjectStoreConfig): ClientOptions {
  if (config.S3_ENDPOINT === undefined) throw new CodedError('CONFIG_INVALID', 'S3_ENDPOINT is missing');
  const url = URL.canParse(config.S3_ENDPOINT) ? new URL(config.S3_ENDPOINT) : undefined;
  if (url === undefined || url.pathname !== '/' || url.search !== '' || url.username !== '' || url.password !== '') {
    throw new CodedError('CONFIG_INVALID', 'S3_ENDPOINT must be scheme, host and port alone');
  }
  const secure = url.protocol === 'https:';
  return {
    endPoint: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    useSSL: secure,
    region: config.S3_REGION,
    ...(config.S3_ACCESS_KEY === undefined ? {} : { accessKey: config.S3_ACCESS_KEY }),
    ...(config.S3_SECRET_KEY === undefined ? {} : { secretKey: config.S3_SECRET_KEY }),
  };
}

const hasStoreCode = (error: unknown, code: StoreError['code']): boolean =>
  error instanceof StoreError && error.code === code;

interface Place {
  readonly bucket: string;
  readonly key: string;
}
/** Rejects with what the store has against a GET of the object, in its own words; any content will do, none too. */
async function askFirstByte(client: Client, bucketName: string, objectName: string): Promise<void> {
  const headers = { range: 'bytes=0-0' };
  const accepted = [200, 206, 416];
  (await client.makeRequestAsync({ method: 'GET', bucketName, objectName, headers }, '', accepted)).destroy();
}

/** A response to HEAD has no body: the same request by GET gets the error code. */
async function explained(store: StoreCaller, { bucket, key }: Place, error: unknown, signal?: AbortSignal) {
  if (!hasStoreCode(error, 'S3_BAD_REQUEST') && !hasStoreCode(error, 'S3_DENIED')) return error;
  try {
    await store.once(`look at ${bucket}/${key}`, signal, (client) => askFirstByte(client, bucket, key));
    return error;
  } catch (second) {
    return second;
  }
}

async function statObject(store: StoreCaller, place: Place, signal?: AbortSignal): Promise<ObjectFacts | undefined> {
  const { bucket, key } = place;
  try {
    const found = await store.call(`stat ${bucket}/${key}`, signal, (client) => client.statObject(bucket, key));
    const metadata = Object.fromEntries(
      Object.entries(found.metaData as Record<string, unknown>).map(([name, value]) => [name, String(value)]),
    );
    return { bytes: found.size, etag: found.etag, lastModified: found.lastModified, metadata };
  } catch (error) {
    if (hasStoreCode(error, 'S3_NO_SUCH_KEY') || hasStoreCode(error, 'S3_NO_SUCH_BUCKET')) return undefined;
    throw await explained(store, place, error, signal);
  }
}

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  readonly lastModified: Date;
}

/** The client's own listing as a promise: it ends with the signal, whose connection it reads from. */
const listObjects = async (client: Client, { bucket, key }: Place): Promise<ListedObject[]> => {
  const found: ListedObject[] = [];
  for await (const item of client.listObjectsV2(bucket, key, true) as AsyncIterable<BucketItem>) {
    if (item.name !== undefined && item.lastModified !== undefined)
      found.push({ key: item.name, bytes: item.size, lastModified: item.lastModified });
  }
  return found;
};

export interface ReadRange extends Place {
  /** The first byte, and how many. */
  readonly offset: number;
  readonly length: number;
}

/** Whether the answer begins where it has to and goes on as far: some stores send all the rest for `bytes=0-0`. */
function holdsRange(contentRange: string | undefined, first: number, last: number): boolean {
  const [, from, to] = /^bytes (\d+)-(\d+)\//.exec(contentRange ?? '') ?? [];
  return Number(from) === first && Number(to) >= last;
}

/** Rejects with `S3_UNAVAILABLE` where the store sends something else than what was asked for. */
async function readRange(store: StoreCaller, range: ReadRange, signal?: AbortSignal): Promise<IncomingMessage> {
  const { bucket, key, offset, length } = range;
  const last = offset + length - 1;
  return store.once(`read ${bucket}/${key}`, signal, async (client) => {
    const headers = { range: `bytes=${offset}-${last}` };
    const response = await client.makeRequestAsync(
      { method: 'GET', bucketName: bucket, objectName: key, headers },
      '',
      [206],
    );
    if (holdsRange(response.headers['content-range'], offset, last)) return response;
    response.destroy();
    throw new StoreError('S3_UNAVAILABLE', `read ${bucket}/${key}: the object store sent other bytes than these`);
  });
}

async function ensureBucket(store: StoreCaller, region: string, bucket: string, signal?: AbortSignal): Promise<void> {
  const exists = (): Promise<boolean> =>
    store.call(`find bucket ${bucket}`, signal, (client) => client.bucketExists(bucket));
  if (await exists()) return;
  try {
    await store.call(`make bucket ${bucket}`, signal, (client) => client.makeBucket(bucket, region));
  } catch (error) {
    // Someone else was quicker, or the first try's answer got lost.
    if (signal?.aborted || !(await exists())) throw error;
  }
}

/**
 * Connects to nothing yet. `stallMs`: how long a connection may stay silent. Throws `CONFIG_INVALID` without a usable
 * `S3_ENDPOINT`.
 */
export function createObjectStore(config: ObjectStoreConfig, { stallMs = 30_000 }: { stallMs?: number } = {}) {
  const store = createStoreCaller(clientOptions(config), stallMs);
  return {
    /** See `putStream` in put-stream.ts. */
    putStream: (input: PutStreamInput) => putStream(store, input),
    /** Like `putStream`, with parts as large as the file needs. */
    putFile: async ({ path, ...input }: Omit<PutStreamInput, 'body'> & { readonly path: string }) => {
      const { size } = await statFile(path);
      const partBytes = Math.max(input.partBytes ?? DEFAULT_PART_BYTES, Math.ceil(size / MAX_PARTS));
      return putStream(store, { ...input, partBytes, body: createReadStream(path, { highWaterMark: 1024 * 1024 }) });
    },
    /** See `getToFile` in get-to-file.ts. */
    getToFile: (input: GetToFileInput) => getToFile(store, input),
    /** See `getBytes` in get-bytes.ts. */
    getBytes: (input: GetBytesInput) => getBytes(store, input),
    /** See `putBytes` in put-bytes.ts. */
    putBytes: (input: PutBytesInput) => putBytes(store, input),
    /** Undefined when there is no such object; a missing bucket looks the same. */
    stat: (bucket: string, key: string, signal?: AbortSignal) => statObject(store, { bucket, key }, signal),
    /** The objects whose keys begin with `prefix`. */
    list: (bucket: string, prefix: string, signal?: AbortSignal): Promise<ListedObject[]> =>
      store.call(`list ${bucket}/${prefix}`, signal, (client) => listObjects(client, { bucket, key: prefix })),
    /**
     * Some bytes of an object, at least one, as they come; the stream fails when the store stays silent or the signal fires. A reader
     * may pause for as long as the store bears it. The reader counts them: a connection may end early, and some stores send more
     * than was asked for.
     */
    read: (range: ReadRange, signal?: AbortSignal): Promise<IncomingMessage> => readRange(store, range, signal),
    /** An object that is not there counts as removed. */
    remove: (bucket: string, key: string, signal?: AbortSignal): Promise<void> =>
      store.call(`remove ${bucket}/${key}`, signal, (client) => client.removeObject(bucket, key)),
    /**
     * End the unfinished uploads a killed writer left under exactly this key (to the store a prefix); resolves with their
     * number. For the only writer of a key. A store that cannot list uploads (`S3_NOT_SUPPORTED`) has to expire them itself.
     * `except`: one that is gone on with.
     */
    abortStaleUploads: (bucket: string, key: string, signal?: AbortSignal, except?: string) =>
      abortUploads(store, bucket, key, (upload) => upload.key === key && upload.uploadId !== except, signal),
    /** See `listParts` in unfinished-uploads.ts. */
    listParts: (upload: Upload, signal?: AbortSignal) => listParts(store, upload, signal),
    /** Abort one unfinished upload, by the id of `onInitiated`; one that is over already counts as aborted. */
    abortUpload: (upload: Upload, signal?: AbortSignal) => abortUpload(store, upload, signal),
    /**
     * End the unfinished uploads of keys that begin with `prefix` and that the store began before a moment, in milliseconds
     * since 1970; resolves with their number. For what no living writer can still be at. `S3_NOT_SUPPORTED` as above.
     */
    abortUploadsBefore: (bucket: string, prefix: string, before: number, signal?: AbortSignal) =>
      abortUploads(store, bucket, prefix, ({ initiated }) => initiated.getTime() < before, signal),
    /** Create the bucket unless it is there. Safe to repeat and to race. */
    ensureBucket: (bucket: string, signal?: AbortSignal) => ensureBucket(store, config.S3_REGION, bucket, signal),
    /** A URL that lets anyone fetch the object for `seconds` (at most 7 days), saved as `fileName`. Made without a request. */
    presignGet({ bucket, key }: Place, seconds: number, fileName?: string): Promise<string> {
      const shown = fileName?.replace(/[^\x20-\x7e]|["\\]/g, '_');
      const headers = shown === undefined ? {} : { 'response-content-disposition': `attachment; filename="${shown}"` };
      const presign = (client: Client) => client.presignedGetObject(bucket, key, seconds, headers);
      return store.once(`presign ${bucket}/${key}`, undefined, presign);
    },
    /**
     * As `presignGet`, at the host that really has the object: the store is asked for its first byte and followed where it
     * says "ask there". Rejects with what the store has against it.
     */
    presignFoundGet: ({ bucket, key }: Place, seconds: number, signal?: AbortSignal): Promise<string> =>
      store.call(`find ${bucket}/${key}`, signal, async (client) => {
        await askFirstByte(client, bucket, key);
        return client.presignedGetObject(bucket, key, seconds);
      }),
    /** Close idle connections. */
    close: (): void => store.close(),
  };
}
export type ObjectStore = ReturnType<typeof createObjectStore>;

/** As `createObjectStore`; `undefined` where the depot has no object store. */
export const openObjectStore = (config: ObjectStoreConfig, options: { stallMs: number }): ObjectStore | undefined =>
  config.S3_ENDPOINT === undefined ? undefined : createObjectStore(config, options);
