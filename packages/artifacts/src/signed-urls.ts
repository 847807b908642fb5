/**
 * URLs that let a station fetch one artefact for a while without a key: HMAC-SHA-256 over what is fetched and until when, by a
 * key that the gateways of a depot share in Redis. Who deletes that key withdraws all URLs.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Keys } from '@khumbu/operations/records/keys';
import type { Redis } from 'ioredis';

export interface Signed {
  /** Seconds since 1970. */
  readonly expires: number;
  /** base64url. */
  readonly signature: string;
}

export type SignatureVerdict = 'good' | 'expired' | 'wrong';

const SIGNATURE = /^[\w-]{43}$/;

const signatureOf = (key: string, sha256: string, expires: number): Buffer =>
  createHmac('sha256', Buffer.from(key, 'base64url')).update(`GET firmware-artifact ${sha256} ${expires}`).digest();

/** Where gateways serve it, beside the URL that they are reached by. Pure. */
export const contentPath = (sha256: string, { expires, signature }: Signed): string =>
  `/v1/firmware-artifacts/${sha256}/content?expires=${expires}&signature=${signature}`;

export type UrlSigner = ReturnType<typeof createUrlSigner>;

/** `redis` fails fast. `now`: the depot's time, milliseconds since 1970. Both reject when Redis is not there. */
export function createUrlSigner(redis: Redis, { urlKey }: Pick<Keys, 'urlKey'>, now: () => number) {
  return {
    async sign(sha256: string, seconds: number): Promise<Signed> {
      const expires = Math.floor(now() / 1000) + seconds;
      await redis.set(urlKey, randomBytes(32).toString('base64url'), 'NX');
      const key = (await redis.get(urlKey)) ?? '';
      return { expires, signature: signatureOf(key, sha256, expires).toString('base64url') };
    },
    async verify(sha256: string, { expires, signature }: Signed): Promise<SignatureVerdict> {
      const key = await redis.get(urlKey);
      if (key === null || !SIGNATURE.test(signature) || !Number.isSafeInteger(expires)) return 'wrong';
      if (!timingSafeEqual(Buffer.from(signature, 'base64url'), signatureOf(key, sha256, expires))) return 'wrong';
      return expires * 1000 > now() ? 'good' : 'expired';
    },
  };
}
