/** The header `Retry-After`. RFC 9110, 10.2.3. */
import { Type } from 'typebox';

export const RETRY_AFTER_SETTINGS = {
  MAX_RETRY_AFTER_S: Type.Integer({
    default: 86_400,
    minimum: 0,
    description: 'Longest pause before the next try that a Retry-After of a server is followed for, in seconds.',
  }),
} as const;

/** Beyond any meaning, and far from where numbers lose digits. */
const MOST_S = 1e12;
/** asctime leaves the zone out (RFC 9110, 5.6.7). */
const parseDate = (text: string): number =>
  /^[A-Za-z]{3}/.test(text) ? Date.parse(text.endsWith('GMT') ? text : `${text} GMT`) : Number.NaN;

/**
 * The seconds that a `Retry-After` asks for, 0 or more; `undefined`: there is none, or it cannot be read. `date`: the Date
 * header of the answer, because its clock may be wrong and ours too; `nowMs` where it has none. Pure.
 */
export function retryAfterSeconds(
  retryAfter: string | undefined,
  date: string | undefined,
  nowMs: number,
): number | undefined {
  const text = retryAfter?.trim() ?? '';
  if (/^\d+$/.test(text)) return Math.min(MOST_S, Number(text));
  const serverNow = parseDate(date?.trim() ?? '');
  const waitMs = parseDate(text) - (Number.isNaN(serverNow) ? nowMs : serverNow);
  return Number.isNaN(waitMs) ? undefined : Math.min(MOST_S, Math.max(0, Math.ceil(waitMs / 1000)));
}
