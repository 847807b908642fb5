/** One PUT of a file, as log uploads make it. */
import { type Credentials, type Location, parseLocation } from '@khumbu/shared/locations/location';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { fileBody } from '@khumbu/transfer/file-body';
import type { PutOptions, TransferContext } from '@khumbu/transfer/port';
import { bringTo } from '@khumbu/transfer/transfer';
import { toUploadError } from '../src/upload/failure-status.js';

export type Put = Partial<TransferContext & PutOptions> & {
  readonly credentials?: Credentials;
  readonly fileName?: string;
};

export const loopback = createLocationPolicy({
  allowedSchemes: ['http', 'https', 's3'],
  allowedHosts: [],
  allowLoopback: true,
});

/** Rejects with `UploadError`. */
export async function putFile(
  url: string,
  path: string,
  { credentials, ...more }: Put = {},
): Promise<{ bytes: number }> {
  const parsed = parseLocation(url);
  if (!parsed.ok) throw new Error(parsed.reason);
  const location = { ...parsed.location, ...(credentials === undefined ? {} : { credentials }) } as Location;
  const { signal = new AbortController().signal, onProgress, method, fileName, ...context } = more;
  const body = { ...(await fileBody(path, 'application/gzip')), fileName };
  const all = { policy: loopback, stallMs: 30_000, ...context };
  return bringTo(location, body, { context: all, signal, onProgress, method }).catch((error: unknown) => {
    throw toUploadError(error);
  });
}
