/**
 * The object store as a fetch thread has it: the thread asks for signed URLs by message, so that neither the S3 client nor
 * its keys are loaded there.
 */
import { StoreError, type StoreErrorCode } from '@khumbu/object-store/store-error';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { StoreForTransfers } from '@khumbu/transfer/port';

type Signing = Pick<StoreForTransfers, 'presignGet' | 'presignFoundGet'>;

/** Answered by `SignedUrl` of the same `id`. */
export interface SignUrl {
  readonly kind: 'signUrl';
  readonly id: number;
  readonly call: keyof Signing;
  readonly object: { readonly bucket: string; readonly key: string };
  readonly seconds: number;
}

export interface SignedUrl {
  readonly kind: 'signedUrl';
  readonly id: number;
  readonly url?: string;
  readonly failure?: { readonly code: string; readonly message: string; readonly isOfStore: boolean };
}

/** In the thread of the service. Never rejects. */
export async function signUrl(store: Signing, asked: SignUrl, signal: AbortSignal): Promise<SignedUrl> {
  const { id, call, object, seconds } = asked;
  try {
    const url =
      call === 'presignGet' ? store.presignGet(object, seconds) : store.presignFoundGet(object, seconds, signal);
    return { kind: 'signedUrl', id, url: await url };
  } catch (error) {
    const { code = 'ERR_UNKNOWN', message } = error as NodeJS.ErrnoException;
    return { kind: 'signedUrl', id, failure: { code: String(code), message, isOfStore: error instanceof StoreError } };
  }
}

/** In the thread of the fetch. */
export function createStoreOfParent(post: (message: SignUrl) => void) {
  const waiting = new Map<number, { resolve: (url: string) => void; reject: (error: Error) => void }>();
  let last = 0;
  const ask = (call: SignUrl['call'], object: SignUrl['object'], seconds: number): Promise<string> =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      post({ kind: 'signUrl', id: last, call, object, seconds });
    });
  const store: Signing = {
    presignGet: ({ bucket, key }, seconds) => ask('presignGet', { bucket, key }, seconds),
    presignFoundGet: ({ bucket, key }, seconds) => ask('presignFoundGet', { bucket, key }, seconds),
  };
  return {
    store,
    answered({ id, url, failure }: SignedUrl): void {
      const asker = waiting.get(id);
      waiting.delete(id);
      if (failure === undefined) asker?.resolve(url ?? '');
      else {
        const { code, message, isOfStore } = failure;
        asker?.reject(isOfStore ? new StoreError(code as StoreErrorCode, message) : new CodedError(code, message));
      }
    },
  };
}
