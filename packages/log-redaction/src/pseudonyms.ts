/** What stands in place of a secret: the same for the same value all over a depot, and without its key no way back. */
import { hash } from 'node:crypto';

/** 40 bits: among 10,000 cards two have the same one in five of 100,000 depots. */
const DIGITS = 10;
const REMEMBERED = 4096;

/** As it stands in a log. */
export const PSEUDONYM = /^\[[\w-]+:[0-9a-f]{10}\]$/;

/**
 * `key` is a secret of the depot, 32 bytes at least: a card has four bytes, so a hash without key is undone by trying all of them.
 * A prefix is as good as HMAC here, because what is shown is cut and nothing can be computed from it.
 */
export function createPseudonyms(key: string): (tag: string, value: string) => string {
  if (key.length < 32) throw new TypeError('a key for pseudonyms has at least 32 characters');
  const known = new Map<string, string>();
  return (tag, value) => {
    const before = known.get(value);
    if (before !== undefined) return `[${tag}:${before}]`;
    const digits = hash('sha256', `${key} ${value}`, 'hex').slice(0, DIGITS);
    if (known.size >= REMEMBERED) known.clear();
    known.set(value, digits);
    return `[${tag}:${digits}]`;
  };
}
