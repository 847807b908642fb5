/** A small object from memory. */
import { createHash } from 'node:crypto';
import type { StoreCaller } from './store-call.js';

export interface PutBytesInput {
  readonly bucket: string;
  readonly key: string;
  /** Neither copied nor changed; it must stay as it is until the call has ended. */
  readonly bytes: Buffer;
  readonly contentType: string;
  /** Further headers of the request. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** One request a try, up to three tries, proved to the store by `Content-MD5`. Rejects with `ABORTED` or a `StoreError`. */
export async function putBytes(
  store: StoreCaller,
  { bucket, key, bytes, contentType, headers, signal }: PutBytesInput,
): Promise<{ readonly etag: string }> {
  const md5 = createHash('md5').update(bytes).digest('base64');
  const asked = {
    method: 'PUT',
    bucketName: bucket,
    objectName: key,
    headers: { 'content-type': contentType, ...headers, 'content-md5': md5 },
  };
  const response = await store.call(`put ${bucket}/${key}`, signal, (client) =>
    client.makeRequestAsyncOmit(asked, bytes),
  );
  return { etag: String(response.headers.etag ?? '').replaceAll('"', '') };
}
