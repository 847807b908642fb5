/**
 * By what a file server tells one content of a file from another: its size and the time it was changed. Both are weak: a server
 * may count its time in seconds, or not at all. So they are trusted for a file that has been left alone for some seconds, and
 * whoever goes on with a file compares the last bytes that are held as well. Pure.
 */
import type { Validators } from '../../port.js';

export interface Version {
  readonly size: number | undefined;
  /** As the server writes it; `timeMs` is what it means, as far as that is known. */
  readonly modified: string | undefined;
  readonly timeMs: number | undefined;
}

/** Changes within one second of the server's clock cannot be told apart, and its clock may differ from ours. */
const SETTLED_MS = 5000;

/** For storing; empty while a further change might look the same. Servers that tell local time for UTC seem to be in the future: nothing then. */
export function validatorsOf({ size, modified, timeMs }: Version, scheme: string, nowMs: number): Validators {
  if (size === undefined || modified === undefined || timeMs === undefined) return {};
  return timeMs > nowMs - SETTLED_MS ? {} : { etag: `${scheme}:${size}:${modified}` };
}

export const isSameVersion = (now: Validators, then: Validators | undefined): boolean =>
  now.etag !== undefined && now.etag === then?.etag;

/** YYYYMMDDHHMMSS[.sss] of RFC 3659, 2.3. */
export function timeOfMdtm(text: string): number | undefined {
  const found = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?$/.exec(text);
  if (!found) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}
