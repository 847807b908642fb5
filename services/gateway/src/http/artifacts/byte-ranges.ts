/** What a request for content gets: all of it, some of its bytes, or none. RFC 9110, 13 and 14. Pure. */

export interface Bytes {
  readonly offset: number;
  /** At least one. */
  readonly length: number;
}

export type ContentDecision =
  | { readonly kind: 'whole' }
  /** In the order they were asked for; one: no multipart. */
  | { readonly kind: 'parts'; readonly parts: readonly Bytes[] }
  | { readonly kind: 'not_modified' }
  | { readonly kind: 'precondition_failed' }
  | { readonly kind: 'unsatisfiable' };

/** As Node.js has them: lower case, lists joined. */
export interface ContentHeaders {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
  readonly 'if-range'?: string | undefined;
  readonly range?: string | undefined;
}

/** Of a request for more in one answer all is sent: RFC 9110, 14.2, about requests that cost more than they bring. */
const MOST_PARTS = 32;

/** `undefined`: not bytes, or not well formed: such a header is ignored (RFC 9110, 14.2). */
function readRange(header: string, size: number): readonly Bytes[] | undefined {
  const set = /^bytes=(.*)$/i.exec(header.trim())?.[1];
  if (set === undefined) return undefined;
  const specs = set.split(',').map((spec) => spec.trim());
  const parts: Bytes[] = [];
  let isAny = false;
  for (const spec of specs) {
    if (spec === '') continue;
    const [, first = '', last = ''] = /^(\d*)-(\d*)$/.exec(spec) ?? [];
    if (first === '' && last === '') return undefined;
    isAny = true;
    if (first === '') {
      const length = Math.min(size, Number(last));
      if (length > 0) parts.push({ offset: size - length, length });
    } else {
      if (last !== '' && Number(last) < Number(first)) return undefined;
      const end = last === '' ? size : Math.min(size, Number(last) + 1);
      if (end > Number(first)) parts.push({ offset: Number(first), length: end - Number(first) });
    }
  }
  return isAny ? parts : undefined;
}

const tagsOf = (list: string): string[] => list.match(/(?:W\/)?"[^"]*"/g) ?? [];

/** `etag` is a strong one, as it is sent. `isHead`: ranges are defined for GET alone. */
export function decideContent(
  headers: ContentHeaders,
  { size, etag, isHead }: { readonly size: number; readonly etag: string; readonly isHead: boolean },
): ContentDecision {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch, 'if-range': ifRange, range } = headers;
  if (ifMatch !== undefined && ifMatch.trim() !== '*' && !tagsOf(ifMatch).includes(etag))
    return { kind: 'precondition_failed' };
  if (ifNoneMatch !== undefined) {
    // Weak comparison: RFC 9110, 13.1.2.
    const isSame = tagsOf(ifNoneMatch).some((tag) => tag.replace(/^W\//, '') === etag);
    if (isSame || ifNoneMatch.trim() === '*') return { kind: 'not_modified' };
  }
  // Strong comparison; there is no date that could be meant: RFC 9110, 13.1.5.
  if (isHead || range === undefined || (ifRange !== undefined && ifRange.trim() !== etag)) return { kind: 'whole' };
  const parts = readRange(range, size);
  if (parts === undefined) return { kind: 'whole' };
  if (parts.length === 0) return { kind: 'unsatisfiable' };
  const isCostly = parts.length > MOST_PARTS || parts.reduce((sum, { length }) => sum + length, 0) > size;
  return isCostly ? { kind: 'whole' } : { kind: 'parts', parts };
}
