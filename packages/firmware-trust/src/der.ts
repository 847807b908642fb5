/**
 * DER, ITU-T X.690: what certificates and revocation lists are written in. Strict where BER would leave a choice, so that
 * it reads what OpenSSL reads or nothing. It looks only where it is asked to, copies nothing, and costs as much as the
 * bytes it passes over: a general reader takes hundreds of milliseconds for what fits into one request.
 */
import { CodedError } from '@khumbu/shared/runtime/errors';

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[n]` of a context, as it stands on a constructed or a primitive value. */
export const context = (n: number, form: 'constructed' | 'primitive' = 'constructed'): number =>
  (form === 'constructed' ? 0xa0 : 0x80) | n;

export interface Der {
  readonly tag: number;
  /** Tag, length and content. */
  readonly bytes: Buffer;
  readonly content: Buffer;
}

export const derInvalid = (what: string): CodedError => new CodedError('DER_INVALID', what);

/** One element at `offset`. Throws `DER_INVALID`. */
export function derAt(bytes: Buffer, offset = 0): Der {
  const tag = bytes[offset];
  const first = bytes[offset + 1];
  if (tag === undefined || first === undefined) throw derInvalid('cut off');
  if ((tag & 0x1f) === 0x1f) throw derInvalid('a tag of several bytes');
  let length = first;
  let start = offset + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw derInvalid('a length that DER does not have');
    if (start + count > bytes.length) throw derInvalid('cut off');
    length = bytes.readUIntBE(start, count);
    // The shortest form only, X.690 10.1.
    if (length < 0x80 || length < 2 ** (8 * (count - 1))) throw derInvalid('a length that DER does not have');
    start += count;
  }
  const end = start + length;
  if (end > bytes.length) throw derInvalid('cut off');
  return { tag, bytes: bytes.subarray(offset, end), content: bytes.subarray(start, end) };
}

/** The bytes hold this one element and nothing behind it. Throws `DER_INVALID`. */
export function onlyDer(bytes: Buffer, tag: number): Der {
  const der = derAt(bytes);
  if (der.tag !== tag) throw derInvalid('another type than it should be');
  if (der.bytes.length !== bytes.length) throw derInvalid(`${bytes.length - der.bytes.length} bytes behind its end`);
  return der;
}

/** Its members in order. Throws `DER_INVALID`. */
export function* membersOf({ content }: Pick<Der, 'content'>): Generator<Der> {
  for (let offset = 0; offset < content.length; ) {
    const member = derAt(content, offset);
    offset += member.bytes.length;
    yield member;
  }
}

/** Takes the members of a structure one after the other; says when one is missing or left over. */
export function structureOf(der: Pick<Der, 'content'>) {
  const members = membersOf(der);
  let next = members.next().value as Der | undefined;
  const advance = (): Der | undefined => {
    const taken = next;
    next = members.next().value as Der | undefined;
    return taken;
  };
  return {
    /** The next one, which must have this tag. */
    take(tag: number): Der {
      if (next?.tag !== tag) throw derInvalid('a part is missing or of another type');
      return advance() as Der;
    },
    /** The next one if it has one of these tags. */
    maybe: (...tags: number[]): Der | undefined => (next && tags.includes(next.tag) ? advance() : undefined),
    /** Nothing may be left. */
    end(): void {
      if (next) throw derInvalid('a part too many');
    },
  };
}

/** Dotted, of the content of an object identifier. Throws `DER_INVALID`. */
export function oidOf({ tag, content }: Der): string {
  if (tag !== TAG.oid || content.length === 0 || content.length > 64) throw derInvalid('no object identifier');
  const arcs: bigint[] = [];
  let arc = 0n;
  let begun = false;
  for (const byte of content) {
    if (!begun && byte === 0x80) throw derInvalid('no object identifier');
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    begun = (byte & 0x80) !== 0;
    if (begun) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (begun) throw derInvalid('no object identifier');
  const [first = 0n, ...rest] = arcs;
  const root = first < 40n ? 0n : first < 80n ? 1n : 2n;
  return [root, first - root * 40n, ...rest].join('.');
}

/** The bytes of a bit string of whole bytes. Throws `DER_INVALID`. */
export function bytesOfBits({ tag, content }: Der): Buffer {
  if (tag !== TAG.bitString || content[0] !== 0) throw derInvalid('no bit string of whole bytes');
  return content.subarray(1);
}

/** A number that is not negative, as bytes without leading zeros. Throws `DER_INVALID`. */
export function unsignedOf({ content }: Der): Buffer {
  const [first, second] = content;
  if (first === undefined || first >= 0x80) throw derInvalid('no positive number');
  if (first === 0 && second !== undefined && second < 0x80) throw derInvalid('a number that is not the shortest');
  return first === 0 ? content.subarray(1) : content;
}

/** A small number. Throws `DER_INVALID`. */
export function smallOf(der: Der): number {
  const bytes = unsignedOf(der);
  if (bytes.length > 4) throw derInvalid('a number far too large');
  return bytes.length === 0 ? 0 : bytes.readUIntBE(0, bytes.length);
}

/** RFC 5280 4.1.2.5: to the second, in UTC; every other way to write a time is refused. Throws `DER_INVALID`. */
export function timeOf({ tag, content }: Der): Date {
  const text = content.toString('latin1');
  const match = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  const [, year = '', month, day, hour, minute, second] = match ?? [];
  if (year.length !== (tag === TAG.utcTime ? 2 : 4)) throw derInvalid('no time of a certificate');
  const full = year.length === 4 ? year : `${Number(year) < 50 ? '20' : '19'}${year}`;
  const iso = `${full}-${month}-${day}T${hour}:${minute}:${second}`;
  const date = new Date(`${iso}Z`);
  // 31 February would be taken for a day of March.
  if (!Number.isFinite(date.getTime()) || !date.toISOString().startsWith(iso)) throw derInvalid('no such time');
  return date;
}
