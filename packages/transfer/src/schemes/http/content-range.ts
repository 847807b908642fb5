/**
 * What a response means for what we already hold. Pure. RFC 9110: 8.8 (validators), 13 (conditions), 14 (ranges),
 * 15.3.7 (206), 15.5.17 (416). A server may lie about ranges in many ways; every doubt costs a new start, never a
 * wrong byte.
 */

import type { TransferReason } from '../../faults/fault.js';
import { verdictOf } from '../../faults/fault-table.js';
import { retryAfterSeconds } from '../../http/retry-after.js';
import { type Coding, type Labels, type ResponseHead, readLabels, transferCoding } from '../../labels.js';
import type { Validators } from '../../port.js';

/** The first `offset` bytes of a representation, of `total` bytes if that is known. */
export interface Held {
  readonly offset: number;
  readonly total?: number;
  readonly validators: Validators;
  /** The coding they may be of, by their label. */
  readonly coding?: Coding;
}

export type FetchDecision =
  /** The body goes on where what we hold ends. */
  | { readonly kind: 'resume'; readonly offset: number; readonly total?: number }
  /** The body is the whole representation. */
  | { readonly kind: 'start_anew'; readonly total?: number; readonly validators: Validators; readonly labels?: Labels }
  /** What is known from an earlier fetch is still current. */
  | { readonly kind: 'unchanged' }
  /** What we hold is all of it. */
  | { readonly kind: 'complete' }
  /** What we hold is of no use with this response: ask again without a range. */
  | { readonly kind: 'changed' }
  | {
      readonly kind: 'fail';
      readonly reason: TransferReason;
      readonly retryable: boolean;
      readonly retryAfterS?: number;
    };

function headerOf({ headers }: ResponseHead, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

const failed = (reason: TransferReason): Extract<FetchDecision, { kind: 'fail' }> => ({
  kind: 'fail',
  reason,
  retryable: verdictOf('get', reason, 'https').retried,
});

const byteCount = (text: string | undefined): number | undefined => {
  const count = text !== undefined && /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(count) ? count : undefined;
};

const isStrongEtag = (etag: string | undefined): etag is string => etag !== undefined && /^"[^"]*"$/.test(etag);
const isUsable = ({ etag, lastModified }: Validators): boolean => etag !== undefined || lastModified !== undefined;

/**
 * The validators a resume or a later comparison may rest on. Last-Modified is strong only when the server's own Date
 * is at least one second later (8.8.2.2): within that second the file may change once more. A response without Date
 * gives no such proof, so its Last-Modified is not used and a download from there starts anew after a cut.
 */
export function strongValidators(head: ResponseHead): Validators {
  const etag = headerOf(head, 'etag');
  const lastModified = headerOf(head, 'last-modified');
  const age = Date.parse(headerOf(head, 'date') ?? '') - Date.parse(lastModified ?? '');
  return {
    ...(isStrongEtag(etag) ? { etag } : {}),
    ...(lastModified !== undefined && age >= 1000 ? { lastModified } : {}),
  };
}

const isComplete = (held: Held): boolean => held.offset === held.total;

/**
 * Whether the response speaks of another representation than what is held: each validator that both have must be the same,
 * because some servers give one strong ETag for whatever is under a name. A part may leave its coding unsaid (15.3.7), but
 * not say another one.
 */
function contradicts(head: ResponseHead, { validators, coding }: Held): boolean {
  const said = readLabels(head, []).coding;
  if (said !== undefined && said !== coding) return true;
  const differs = (held: string | undefined, now: string | undefined): boolean =>
    held !== undefined && now !== undefined && now !== held;
  return (
    differs(validators.etag, headerOf(head, 'etag')) ||
    differs(validators.lastModified, headerOf(head, 'last-modified')) ||
    (!isUsable(validators) && headerOf(head, 'last-modified') !== undefined)
  );
}

const UNCONDITIONAL = { 'accept-encoding': 'identity' } as const;

/** Whether these are the headers of a plain request for all there is. */
export const isUnconditional = (headers: Readonly<Record<string, string>>): boolean =>
  Object.keys(headers).every((name) => name in UNCONDITIONAL);

/**
 * The headers of a request for what is missing. A complete part is revalidated like a known image: a range
 * behind its end gets too many different responses.
 */
export function conditionalHeaders(held: Held | undefined, known: Validators | undefined): Record<string, string> {
  const headers: Record<string, string> = { ...UNCONDITIONAL };
  const compare = held && isComplete(held) ? held.validators : known;
  if (isStrongEtag(compare?.etag)) headers['if-none-match'] = compare.etag;
  else if (compare?.lastModified !== undefined) headers['if-modified-since'] = compare.lastModified;
  if (held && !isComplete(held) && held.offset > 0 && isUsable(held.validators)) {
    headers.range = `bytes=${held.offset}-`;
    headers['if-range'] = held.validators.etag ?? held.validators.lastModified ?? '';
  }
  return headers;
}

const COMPARISONS = ['if-none-match', 'if-modified-since'] as const;
/** Statuses that are not about the requested range: authentication, or a refusal for now. */
const NOT_ABOUT_RANGES: readonly number[] = [401, 407, 408, 425, 429];

/**
 * Whether an answer to a request with a range or a condition may be about these: servers and firewalls refuse them in
 * many ways (IIS 412, darkhttpd 404, others 400, 403, 501, or a redirect to an error page). Then the file is requested
 * once more without them. `conditions`: as they were sent.
 */
export function mayRefuseTheRange(head: ResponseHead, conditions: Readonly<Record<string, string>>): boolean {
  const { status } = head;
  const isHeeded =
    ((status === 200 || status === 203) && !(conditions.range !== undefined && readLabels(head, []).html)) ||
    status === 206 ||
    (status === 304 && COMPARISONS.some((name) => name in conditions));
  return !isHeeded && !NOT_ABOUT_RANGES.includes(status) && headerOf(head, 'retry-after') === undefined;
}

function retryAfter(head: ResponseHead, nowMs: number): { retryAfterS?: number } {
  const retryAfterS = retryAfterSeconds(headerOf(head, 'retry-after'), headerOf(head, 'date'), nowMs);
  return retryAfterS === undefined ? {} : { retryAfterS };
}

function decideWhole(
  head: ResponseHead,
  held: Held | undefined,
  known: Validators | undefined,
  names: readonly string[],
): FetchDecision {
  const validators = strongValidators(head);
  if (held && isComplete(held) && validators.etag !== undefined && validators.etag === held.validators.etag)
    return { kind: 'complete' };
  if (validators.etag !== undefined && validators.etag === known?.etag) return { kind: 'unchanged' };
  const total = byteCount(headerOf(head, 'content-length'));
  const labels = readLabels(head, names);
  return {
    kind: 'start_anew',
    validators,
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(total === undefined ? {} : { total }),
  };
}

function decidePart(head: ResponseHead, held: Held | undefined): FetchDecision {
  if (!held) return failed('bad_response');
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headerOf(head, 'content-range') ?? '');
  if (!range || contradicts(head, held)) return { kind: 'changed' };
  const [start, end, total] = [byteCount(range[1]), byteCount(range[2]), byteCount(range[3])];
  const isInOrder = start === held.offset && end !== undefined && end >= start && end < (total ?? Infinity);
  const isSameTotal = total === undefined || held.total === undefined || total === held.total;
  if (!isInOrder || !isSameTotal) return { kind: 'changed' };
  const expected = total ?? held.total;
  return { kind: 'resume', offset: held.offset, ...(expected === undefined ? {} : { total: expected }) };
}

function decideUnsatisfiable(head: ResponseHead, held: Held | undefined): FetchDecision {
  if (!held) return failed('http_416');
  const total = byteCount(/^bytes \*\/(\d+)$/.exec(headerOf(head, 'content-range') ?? '')?.[1]);
  const isAll = total === held.offset && (held.total === undefined || held.total === total);
  return { kind: isAll && !contradicts(head, held) ? 'complete' : 'changed' };
}

/**
 * Decide by status and headers (lower-case names, as Node gives them). `held` and `known` as they were given to
 * `conditionalHeaders`. `nowMs` is only for a Retry-After date from a server without Date. `names`: as in `readLabels`.
 */
export function decideResponse(
  head: ResponseHead,
  held: Held | undefined,
  known: Validators | undefined,
  nowMs: number,
  names: readonly string[] = [],
): FetchDecision {
  const { status } = head;
  // 203: a proxy on the way has changed what the server sent (15.3.4); a signature judges that as well.
  const isWhole = status === 200 || status === 203;
  if ((isWhole || status === 206) && transferCoding(head) !== undefined) return failed('transfer_encoding');
  if (isWhole) return decideWhole(head, held, known, names);
  if (status === 206) return decidePart(head, held);
  if (status === 304 && held && isComplete(held)) return { kind: 'complete' };
  if (status === 304 && known && isUsable(known)) return { kind: 'unchanged' };
  if (status === 416) return decideUnsatisfiable(head, held);
  return { ...failed(`http_${status}`), ...retryAfter(head, nowMs) };
}
