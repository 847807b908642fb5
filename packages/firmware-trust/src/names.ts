/**
 * Distinguished names, as they are compared. OpenSSL's rule is the strict one: ASCII letters in either case and white
 * space in any amount are the same (RFC 5280 7.1 asks for no less). Where a match forbids something, the loose one counts,
 * which takes more for the same (RFC 4518).
 */
import { type Der, derInvalid, membersOf, oidOf, onlyDer, structureOf, TAG } from './der.js';

export interface Name {
  /** One text for each relative name, outermost first. */
  readonly strict: readonly string[];
  readonly loose: readonly string[];
  /** All of `strict`: two names are the same when these are. */
  readonly key: string;
  readonly commonNames: readonly string[];
  /** Mail addresses in it, with whether each is written as an IA5String. */
  readonly emails: readonly { readonly isIa5: boolean }[];
}

const OID_COMMON_NAME = '2.5.4.3';
const OID_EMAIL = '1.2.840.113549.1.9.1';
const IA5_STRING = 0x16;

function utf32(content: Buffer): string {
  let text = '';
  for (let at = 0; at < content.length; at += 4) text += String.fromCodePoint(content.readUInt32BE(at));
  return text;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const latin1 = (content: Buffer): string => content.toString('latin1');
/** By tag the character strings that are compared as text. All others are compared byte by byte. */
const DECODERS: Readonly<Record<number, (content: Buffer) => string>> = {
  12: (content) => utf8.decode(content),
  19: latin1,
  20: latin1,
  [IA5_STRING]: latin1,
  26: latin1,
  28: utf32,
  30: (content) => Buffer.from(content).swap16().toString('utf16le'),
};

/** `undefined`: not text. Throws `DER_INVALID` for text that is none. */
function textOf({ tag, content }: Der): string | undefined {
  try {
    return DECODERS[tag]?.(content);
  } catch (error) {
    throw derInvalid(`a name that is no text (${error instanceof Error ? error.name : 'unknown'})`);
  }
}

const ASCII_SPACE = /[\t-\r ]+/g;
const squeeze = (text: string): string => text.replace(ASCII_SPACE, ' ').replace(/^ | $/g, '');
const strictly = (text: string): string => squeeze(text).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
const loosely = (text: string): string =>
  squeeze(
    text
      .normalize('NFKC')
      .toLowerCase()
      .replace(/[\p{Cf}\p{Mn}\u00ad]/gu, ''),
  ).replace(/\s+/gu, ' ');

/** Read a Name, RFC 5280 4.1.2.4. Throws `DER_INVALID`. Pure. */
export function readName(der: Der): Name {
  const strict: string[] = [];
  const loose: string[] = [];
  const commonNames: string[] = [];
  const emails: { isIa5: boolean }[] = [];
  for (const relative of membersOf(onlyDer(der.bytes, TAG.sequence))) {
    const strictParts: string[] = [];
    const looseParts: string[] = [];
    for (const attribute of membersOf(onlyDer(relative.bytes, TAG.set))) {
      const [type, value, more] = membersOf(onlyDer(attribute.bytes, TAG.sequence));
      if (!type || !value || more) throw derInvalid('a name with a part that is none');
      const oid = oidOf(type);
      const text = textOf(value);
      if (text?.includes('\0')) throw derInvalid('a name with a zero in it');
      const raw = `${value.tag}#${value.content.toString('hex')}`;
      strictParts.push(JSON.stringify([oid, text === undefined ? raw : strictly(text)]));
      looseParts.push(JSON.stringify([oid, text === undefined ? raw : loosely(text)]));
      if (oid === OID_COMMON_NAME) commonNames.push(text ?? raw);
      if (oid === OID_EMAIL) emails.push({ isIa5: value.tag === IA5_STRING });
    }
    if (strictParts.length === 0) throw derInvalid('a name with an empty part');
    strict.push(strictParts.toSorted().join('+'));
    loose.push(looseParts.toSorted().join('+'));
  }
  return { strict, loose, key: strict.join(','), commonNames, emails };
}

/** Pure: the name is this one or below it. */
export function isBelow(name: Name, base: Name, how: 'strict' | 'loose'): boolean {
  return base[how].length <= name[how].length && base[how].every((part, index) => part === name[how][index]);
}

/** GeneralName, RFC 5280 4.2.1.6: what it is by the number of its choice; a directory name is read. */
export interface GeneralName {
  readonly form: number;
  readonly bytes: Buffer;
  readonly directory?: Name;
}

export const FORM = { other: 0, email: 1, dns: 2, directory: 4 } as const;
const FORM_NAMES = ['otherName', 'rfc822Name', 'dNSName', 'x400Address', 'directoryName', 'ediPartyName'];
const MORE_FORM_NAMES = ['uniformResourceIdentifier', 'iPAddress', 'registeredID'];
export const formName = (form: number): string => [...FORM_NAMES, ...MORE_FORM_NAMES][form] ?? `[${form}]`;

/** Throws `DER_INVALID`. */
export function readGeneralName(der: Der): GeneralName {
  if ((der.tag & 0xc0) !== 0x80) throw derInvalid('no general name');
  const form = der.tag & 0x1f;
  if (form !== FORM.directory) return { form, bytes: der.bytes };
  const members = structureOf(der);
  const directory = readName(members.take(TAG.sequence));
  members.end();
  return { form, bytes: der.bytes, directory };
}

export const readGeneralNames = (bytes: Buffer): GeneralName[] =>
  Array.from(membersOf(onlyDer(bytes, TAG.sequence)), readGeneralName);
