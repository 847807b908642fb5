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
  /** So many of the last of them are there to be compared. */
  readonly overlap: number;
  readonly total?: number;
  readonly validators: Validators;
  /** The coding they may be of, by their label. */
  readonly coding?: Coding;
}

export type FetchDecision =
  /** The body begins with the overlap, and goes on where what we hold ends. */
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
 * Whether a range is asked for. What is no more than the overlap would all come again; without validators, and without bytes to
 * compare, nothing could prove that it goes on.
 */
const isGoneOnWith = ({ offset, overlap, validators }: Held): boolean =>
  overlap > 0 && overlap < offset && isUsable(validators);

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
    differs(validators.lastModified, headerOf(head, 'last-modified'))
  );
}

/** Whether a whole need not come again: of a server that ignores ranges no byte is compared, so all of its head has to fit. */
function isAllOf(head: ResponseHead, held: Held): boolean {
  const { etag } = strongValidators(head);
  const isSame = etag !== undefined && etag === held.validators.etag;
  return (
    isComplete(held) && isSame && !contradicts(head, held) && byteCount(headerOf(head, 'content-length')) === held.total
  );
}

const UNCONDITIONAL = { 'accept-encoding': 'identity' } as const;

/** Whether these are the headers of a plain request for all there is. */
export const isUnconditional = (headers: Readonly<Record<string, string>>): boolean =>
  Object.keys(headers).every((name) => name in UNCONDITIONAL);

/**
 * The headers of a request for what is missing, and for the overlap before it: only bytes prove that a server goes on with the
 * same content, from the same place. So the range is never behind the end, also where all is held.
 */
export function conditionalHeaders(held: Held | undefined, known: Validators | undefined): Record<string, string> {
  const headers: Record<string, string> = { ...UNCONDITIONAL };
  if (isStrongEtag(known?.etag)) headers['if-none-match'] = known.etag;
  else if (known?.lastModified !== undefined) headers['if-modified-since'] = known.lastModified;
  if (held && isGoneOnWith(held)) {
    headers.range = `bytes=${held.offset - held.overlap}-`;
    headers['if-range'] = held.validators.etag ?? held.validators.lastModified ?? '';
  }
  return headers;
}

const COMPARISONS = ['if-none-match', 'if-modified-since'] as const;
/** Statuses that are not about the requested range: authentication, or a refusal for now. */
const NOT_ABOUT_RANGES: readonly number[] = [401, 407, 408, 425, 429];
/** Of servers that do not know what they were asked for. Other ones of 5xx may pass: a proxy whose server restarts answers so. */
const LASTING: readonly number[] = [501, 505];

/** Whether a refusal by this status may be one of the moment, and none of ranges. */
export const mayPass = (status: number): boolean => status >= 500 && !LASTING.includes(status);

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

/** Whether what comes whole is what the held bytes are of, so that the rest of it may be asked for instead. */
export function isRestEnough({ validators, total }: Pick<Held, 'validators' | 'total'>, held: Held): boolean {
  const { etag, lastModified } = held.validators;
  const isSame = etag === undefined ? lastModified === validators.lastModified : etag === validators.etag;
  return isGoneOnWith(held) && isSame && (held.total ?? total) === total;
}

function decideWhole(
  head: ResponseHead,
  held: Held | undefined,
  known: Validators | undefined,
  names: readonly string[],
): FetchDecision {
  const validators = strongValidators(head);
  const total = byteCount(headerOf(head, 'content-length'));
  if (held && isAllOf(head, held)) return { kind: 'complete' };
  if (validators.etag !== undefined && validators.etag === known?.etag) return { kind: 'unchanged' };
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
  if (!isGoneOnWith(held)) return { kind: 'changed' };
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headerOf(head, 'content-range') ?? '');
  if (!range || contradicts(head, held)) return { kind: 'changed' };
  const [start, end, total] = [byteCount(range[1]), byteCount(range[2]), byteCount(range[3])];
  // A portion that ends within the overlap gains nothing, unless that is the end of all.
  const least = held.offset === (total ?? held.total) ? held.offset - 1 : held.offset;
  const isInOrder =
    start === held.offset - held.overlap && end !== undefined && end >= least && end < (total ?? Infinity);
  const isSameTotal = total === undefined || held.total === undefined || total === held.total;
  if (!isInOrder || !isSameTotal) return { kind: 'changed' };
  const expected = total ?? held.total;
  return { kind: 'resume', offset: held.offset, ...(expected === undefined ? {} : { total: expected }) };
}

export interface Asking {
  readonly held?: Held | undefined;
  readonly known?: Validators | undefined;
  /** Neither a range nor a condition was in the request: only what comes whole is compared with what there is. */
  readonly isPlain?: boolean;
  /** Only for a Retry-After date from a server without Date. */
  readonly nowMs: number;
  /** As in `readLabels`. */
  readonly names?: readonly string[];
}

/** Decide by status and headers (lower-case names, as Node gives them). */
export function decideResponse(head: ResponseHead, { nowMs, names = [], isPlain, ...asking }: Asking): FetchDecision {
  const { status } = head;
  // 203: a proxy on the way has changed what the server sent (15.3.4); a signature judges that as well.
  const isWhole = status === 200 || status === 203;
  if ((isWhole || status === 206) && transferCoding(head) !== undefined) return failed('transfer_encoding');
  if (isWhole) return decideWhole(head, asking.held, asking.known, names);
  const { held, known }: Pick<Asking, 'held' | 'known'> = isPlain ? {} : asking;
  if (status === 206) return decidePart(head, held);
  if (status === 304 && known && isUsable(known)) return { kind: 'unchanged' };
  // The range began before the end of what is held: what is there now is shorter.
  if (status === 416 && held) return { kind: 'changed' };
  return { ...failed(`http_${status}`), ...retryAfter(head, nowMs) };
}
