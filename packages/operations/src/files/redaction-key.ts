/**
 * The key of the pseudonyms in redacted logs, which all services of a depot share in Redis: one card has one pseudonym in all archives.
 * Who deletes it cuts the archives that are made from then on off from those before.
 */
import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';

/** Made when it is asked for first. Rejects when Redis is not there. */
export async function redactionKey(
  redis: Pick<Redis, 'set' | 'get'>,
  { redactionKey: name }: Pick<Keys, 'redactionKey'>,
): Promise<string> {
  // Where it is there already nothing is written: services start while Redis takes no more.
  const known = await redis.get(name);
  if (known !== null) return known;
  await redis.set(name, randomBytes(32).toString('base64url'), 'NX');
  const key = await redis.get(name);
  if (key === null) throw new Error('the key of pseudonyms was deleted while it was read');
  return key;
}
