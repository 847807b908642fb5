/** Multipart uploads that were begun in the store and neither completed nor aborted: found, read, ended. */
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { XMLParser } from 'fast-xml-parser';
import type { Client } from 'minio';
import type { StoreCaller } from './store-call.js';
import { StoreError } from './store-error.js';

export interface Upload {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}

export interface UnfinishedUpload {
  readonly uploadId: string;
  /** What of it is in the store, by part number; ETags without quotes. */
  readonly parts: ReadonlyMap<number, { readonly bytes: number; readonly etag: string }>;
}

const isGone = (error: unknown): boolean => error instanceof StoreError && error.code === 'S3_NO_SUCH_UPLOAD';

type ListedUpload = Awaited<ReturnType<Client['listIncompleteUploadsQuery']>>['uploads'][number];

async function unfinishedUploads(client: Client, bucket: string, prefix: string): Promise<ListedUpload[]> {
  const found: ListedUpload[] = [];
  let keyMarker = '';
  let idMarker = '';
  for (;;) {
    const page = await client.listIncompleteUploadsQuery(bucket, prefix, keyMarker, idMarker, '');
    found.push(...page.uploads);
    if (!page.isTruncated) return found;
    keyMarker = page.nextKeyMarker;
    idMarker = page.nextUploadIdMarker;
  }
}

export async function abortUpload(store: StoreCaller, upload: Upload, signal?: AbortSignal): Promise<void> {
  const { bucket, key, uploadId } = upload;
  try {
    await store.call(`end an upload of ${bucket}/${key}`, signal, (client) =>
      client.abortMultipartUpload(bucket, key, uploadId),
    );
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

export async function abortUploads(
  store: StoreCaller,
  bucket: string,
  prefix: string,
  isStale: (upload: ListedUpload) => boolean,
  signal?: AbortSignal,
): Promise<number> {
  const found = await store.call(`list uploads of ${bucket}/${prefix}`, signal, (client) =>
    unfinishedUploads(client, bucket, prefix),
  );
  const stale = found.filter(isStale);
  for (const { key, uploadId } of stale) await abortUpload(store, { bucket, key, uploadId }, signal);
  return stale.length;
}

/** Only what is read here; numbers as text, since an ETag may look like one. */
interface ListedParts {
  readonly ListPartsResult?: {
    readonly IsTruncated?: string;
    readonly NextPartNumberMarker?: string;
    readonly Part?: readonly { readonly PartNumber: string; readonly ETag: string; readonly Size: string }[];
  };
}
const parser = new XMLParser({ parseTagValue: false, isArray: (name) => name === 'Part' });

async function pageOfParts(client: Client, { bucket, key, uploadId }: Upload, marker: string): Promise<ListedParts> {
  const query = `uploadId=${encodeURIComponent(uploadId)}${marker === '' ? '' : `&part-number-marker=${marker}`}`;
  const request = { method: 'GET', bucketName: bucket, objectName: key, query };
  const response: IncomingMessage = await client.makeRequestAsync(request, '', [200]);
  return parser.parse(await text(response)) as ListedParts;
}

/**
 * ListParts: what is in the store of an upload; `undefined`: there is no such upload any more. Rejects with
 * `S3_NOT_SUPPORTED` where the store cannot tell, and with the other store errors.
 */
export async function listParts(
  store: StoreCaller,
  upload: Upload,
  signal?: AbortSignal,
): Promise<UnfinishedUpload | undefined> {
  const what = `list parts of ${upload.bucket}/${upload.key}`;
  const parts = new Map<number, { bytes: number; etag: string }>();
  try {
    for (let marker = ''; ; ) {
      const { ListPartsResult: page } = await store.call(what, signal, (client) => pageOfParts(client, upload, marker));
      if (!page) throw new StoreError('S3_NOT_SUPPORTED', `${what}: the object store does not list parts`);
      for (const { PartNumber, ETag, Size } of page.Part ?? [])
        parts.set(Number(PartNumber), { bytes: Number(Size), etag: ETag.replaceAll(/"|&quot;/g, '') });
      const next = page.NextPartNumberMarker ?? '';
      if (page.IsTruncated !== 'true' || next === '' || next === marker) return { uploadId: upload.uploadId, parts };
      marker = next;
    }
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
