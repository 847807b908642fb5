/**
 * The signing certificate as EVerest sends it: PEM, leaf first, intermediates may follow. On the way it may have
 * lost its line breaks: as literal `\n` sequences, as CRLF, or altogether.
 */
import { X509Certificate } from 'node:crypto';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import {
  bytesOfBits,
  context,
  type Der,
  derInvalid,
  membersOf,
  oidOf,
  onlyDer,
  structureOf,
  TAG,
  timeOf,
  unsignedOf,
} from './der.js';
import { type Name, readName } from './names.js';
import { readPem } from './pem.js';
import {
  type KeyFacts,
  keyObstacle,
  readAlgorithm,
  readKeyFacts,
  readSignatureFacts,
  type SignatureFacts,
} from './strength.js';

export interface Extension {
  readonly critical: boolean;
  readonly value: Buffer;
}

/** One certificate in both forms: OpenSSL's for keys and signatures, and what is judged by ourselves. */
export interface ReadCertificate {
  readonly x509: X509Certificate;
  readonly subject: Name;
  readonly issuer: Name;
  /** Its public key, in hex: the same for certificates of one key. */
  readonly keyId: string;
  readonly key: KeyFacts;
  readonly signature: SignatureFacts;
  /** In hex, without leading zeros. */
  readonly serial: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** By OID. */
  readonly extensions: ReadonlyMap<string, Extension>;
}

export type CertificateText =
  | { readonly ok: true; readonly leaf: ReadCertificate; readonly intermediates: readonly ReadCertificate[] }
  | { readonly ok: false; readonly code: 'CERTIFICATE_UNREADABLE' | 'KEY_UNUSABLE'; readonly reason: string };

/** OCPP allows 5500 characters; chains of real manufacturers stay far below this. */
const MAX_CHARACTERS = 64 * 1024;
const MAX_CERTIFICATES = 8;
/** What is used of them is a handful. */
const MAX_EXTENSIONS = 64;
export const OID_KEY_USAGE = '2.5.29.15';
export const CERTIFICATE_LABELS = ['CERTIFICATE', 'X509 CERTIFICATE'] as const;

/** RFC 5280 4.2: none twice. Throws `DER_INVALID`. */
export function readExtensions(list: Der): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  for (const extension of membersOf(onlyDer(list.bytes, TAG.sequence))) {
    const members = structureOf(onlyDer(extension.bytes, TAG.sequence));
    const oid = oidOf(members.take(TAG.oid));
    const critical = members.maybe(TAG.boolean);
    const { content: value } = members.take(TAG.octetString);
    members.end();
    if (extensions.has(oid)) throw derInvalid(`the extension ${oid} twice`);
    if (extensions.size >= MAX_EXTENSIONS) throw derInvalid('too many extensions');
    extensions.set(oid, { critical: critical !== undefined && critical.content[0] !== 0, value });
  }
  return extensions;
}

/**
 * Read one certificate, RFC 5280 4.1. Throws `DER_INVALID`, `KEY_UNUSABLE` where OpenSSL must not be asked to calculate
 * with its key, or what OpenSSL throws.
 */
export function certificateFromDer(der: Buffer): ReadCertificate {
  const whole = structureOf(onlyDer(der, TAG.sequence));
  const tbs = structureOf(whole.take(TAG.sequence));
  const algorithm = whole.take(TAG.sequence);
  bytesOfBits(whole.take(TAG.bitString));
  whole.end();
  tbs.maybe(context(0));
  const serial = tbs.take(TAG.integer);
  if (!tbs.take(TAG.sequence).bytes.equals(algorithm.bytes)) throw derInvalid('two signature algorithms');
  const issuer = readName(tbs.take(TAG.sequence));
  const validity = structureOf(tbs.take(TAG.sequence));
  const time = (): Date => timeOf(validity.maybe(TAG.utcTime, TAG.generalizedTime) ?? validity.take(TAG.utcTime));
  const [notBefore, notAfter] = [time(), time()];
  validity.end();
  const subject = readName(tbs.take(TAG.sequence));
  const spki = tbs.take(TAG.sequence);
  tbs.maybe(context(1, 'primitive'));
  tbs.maybe(context(2, 'primitive'));
  const extensions = tbs.maybe(context(3));
  tbs.end();
  const key = readKeyFacts(spki);
  const obstacle = keyObstacle(key);
  if (obstacle !== undefined) throw new CodedError('KEY_UNUSABLE', obstacle);
  return {
    x509: new X509Certificate(der),
    subject,
    issuer,
    keyId: spki.bytes.toString('hex'),
    key,
    signature: readSignatureFacts(readAlgorithm(algorithm)),
    serial: serialOf(serial),
    notBefore,
    notAfter,
    extensions: extensions ? readExtensions(onlyDer(extensions.content, TAG.sequence)) : new Map(),
  };
}

/** RFC 5280 4.2.1.3, `bit` of its first byte: what its key may be used for; without a usage written, for anything. */
export function mayBeUsed({ extensions }: Pick<ReadCertificate, 'extensions'>, bit: number): boolean {
  const usage = extensions.get(OID_KEY_USAGE);
  return usage === undefined || ((onlyDer(usage.value, TAG.bitString).content[1] ?? 0) & bit) !== 0;
}

/** Authorities have made negative ones; they are compared as they are written. */
export function serialOf(integer: Der): string {
  return (integer.content[0] ?? 0) < 0x80 ? unsignedOf(integer).toString('hex') : `-${integer.content.toString('hex')}`;
}

/** Read PEM text, as a station sends it. Pure; takes a few milliseconds at most. */
export function readCertificates(pemText: string): CertificateText {
  const unreadable = (reason: string): CertificateText => ({ ok: false, code: 'CERTIFICATE_UNREADABLE', reason });
  if (pemText.length > MAX_CHARACTERS) return unreadable(`longer than ${MAX_CHARACTERS} characters`);
  const certificates: ReadCertificate[] = [];
  let name = '';
  try {
    for (const entry of readPem(pemText, CERTIFICATE_LABELS, MAX_CERTIFICATES)) {
      name = `${entry.name}: `;
      certificates.push(certificateFromDer(entry.der));
    }
  } catch (error) {
    const reason = `${name}${describeError(error)}`;
    const isKey = error instanceof CodedError && error.code === 'KEY_UNUSABLE';
    return isKey ? { ok: false, code: 'KEY_UNUSABLE', reason } : unreadable(reason);
  }
  const [leaf, ...intermediates] = certificates;
  return leaf ? { ok: true, leaf, intermediates } : unreadable('no certificate');
}
