/** What a test origin does with a request, as a table of wishes, and the pure parts of serving a range. */
import { createHash } from 'node:crypto';

/** How to answer one request. Everything is optional: by default a well-behaved file server. */
export interface Behaviour {
  /** Answer with this status and no content. */
  readonly status?: number;
  /** 302 (or `status`) to this location. */
  readonly redirect?: string;
  /** Demand these credentials (Basic), else 401. */
  readonly auth?: { readonly user: string; readonly password: string };
  /** Serve ranges; default true. */
  readonly ranges?: boolean;
  /** `strong` (default), `weak`, `none`, or a fixed text with its quotes. */
  readonly etag?: 'strong' | 'weak' | 'none' | `"${string}"`;
  /** Send Last-Modified; default true. */
  readonly lastModified?: boolean;
  /** Tell the length; false: chunked. Default true. */
  readonly contentLength?: boolean;
  /** Destroy the connection after this many body bytes of this response. */
  readonly cutAfterBytes?: number;
  /** Send nothing more after this many body bytes, until `release`. */
  readonly stallAfterBytes?: number;
  /** Of what is sent, or of what is taken from an upload. */
  readonly bytesPerSecond?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** What a partial answer (206) does wrong. */
  readonly lie?: RangeLie;
  /** Take no notice of If-Range. */
  readonly ignoresIfRange?: true;
  /** A connection with nothing to say is destroyed before any answer. */
  readonly noAnswer?: boolean;
}

/**
 * `later`: another range than was asked for, and says so. `from_zero`: all of it, as a part. `elsewhere`: it says what was asked
 * for, and as many bytes come from the beginning. `unsaid`: no Content-Range.
 * `other_total`, `no_total`: of the whole. `portion`: less than was asked for. `unordered`: its end is before its beginning.
 */
export type RangeLie =
  | 'later'
  | 'from_zero'
  | 'elsewhere'
  | 'unsaid'
  | 'other_total'
  | 'no_total'
  | 'portion'
  | 'unordered';

export interface Resource {
  readonly content: Buffer;
  readonly modified: Date;
}

export function etagOf(resource: Resource, behaviour: Behaviour): string | undefined {
  const wish = behaviour.etag ?? 'strong';
  if (wish === 'none') return undefined;
  if (wish !== 'strong' && wish !== 'weak') return wish;
  const tag = `"${createHash('sha1').update(resource.content).digest('hex')}"`;
  return wish === 'weak' ? `W/${tag}` : tag;
}

export const lastModifiedOf = (resource: Resource, behaviour: Behaviour): string | undefined =>
  behaviour.lastModified === false ? undefined : resource.modified.toUTCString();

export type Slice =
  | { readonly status: 200 | 206; readonly start: number; readonly end: number }
  | { readonly status: 416 };

/** Which bytes `[start, end)` a Range header asks for. RFC 9110, 14.2: what we do not understand is ignored. */
export function sliceFor(range: string | undefined, ifRangeHolds: boolean, size: number): Slice {
  const match = /^bytes=(\d*)-(\d*)$/.exec(range ?? '');
  if (!match || !ifRangeHolds || (match[1] === '' && match[2] === '')) return { status: 200, start: 0, end: size };
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
  return start >= size || start >= end ? { status: 416 } : { status: 206, start, end };
}

/** A partial answer: the bytes `[start, end)` it has, and what it says of them. */
export function partialAnswer(
  { start, end }: { readonly start: number; readonly end: number },
  size: number,
  lie: RangeLie | undefined,
): { readonly start: number; readonly end: number; readonly contentRange?: string } {
  const said = (from: number, to: number, total: number | '*' = size): string => `bytes ${from}-${to - 1}/${total}`;
  const later = Math.min(start + 1000, end - 1);
  const sooner = Math.min(start + 1000, end);
  switch (lie) {
    case 'later':
      return { start: later, end, contentRange: said(later, end) };
    case 'from_zero':
      return { start: 0, end: size, contentRange: said(0, size) };
    case 'elsewhere':
      return { start: 0, end: end - start, contentRange: said(start, end) };
    case 'unsaid':
      return { start, end };
    case 'other_total':
      return { start, end, contentRange: said(start, end, size + 7) };
    case 'no_total':
      return { start, end, contentRange: said(start, end, '*') };
    case 'portion':
      return { start, end: sooner, contentRange: said(start, sooner) };
    case 'unordered':
      return { start, end, contentRange: `bytes ${end}-${start}/${size}` };
    default:
      return { start, end, contentRange: said(start, end) };
  }
}
