/**
 * Certificate revocation lists, RFC 5280 5. Read by ourselves: a list of an authority that has revoked a great many is
 * large. A certificate that a list names is revoked however old the list is; that it names none says something only
 * while the list is current, whole, and about such certificates.
 */
import { constants, verify } from 'node:crypto';
import { mayBeUsed, type ReadCertificate, readExtensions, serialOf } from './certificate.js';
import {
  bytesOfBits,
  context,
  type Der,
  derAt,
  derInvalid,
  membersOf,
  onlyDer,
  structureOf,
  TAG,
  timeOf,
} from './der.js';
import { type GeneralName, type Name, readGeneralName, readName } from './names.js';
import {
  readAlgorithm,
  readSignatureFacts,
  type SignatureFacts,
  type Strength,
  signatureWeakness,
} from './strength.js';

export interface Crl {
  readonly der: Buffer;
  readonly issuer: Name;
  readonly thisUpdate: Date;
  /** RFC 5280 wants one; a list without it does not age. */
  readonly nextUpdate: Date | undefined;
  /** Serials in hex. */
  readonly revoked: ReadonlySet<string>;
  /** Why a certificate that it does not name is not known to be good, at any time. */
  readonly limits: string | undefined;
  readonly scope: Scope;
  readonly signed: Buffer;
  readonly signature: SignatureFacts;
  readonly signatureBytes: Buffer;
}

/** IssuingDistributionPoint, RFC 5280 5.2.5: what it is about. */
export interface Scope {
  readonly about: 'all' | 'users' | 'authorities';
  /** Where it is published; it is about the certificates that name one of these. */
  readonly points: readonly string[] | undefined;
}

const OID = {
  reason: '2.5.29.21',
  crlNumber: '2.5.29.20',
  invalidityDate: '2.5.29.24',
  holdInstruction: '2.5.29.23',
  certificateIssuer: '2.5.29.29',
  authorityKey: '2.5.29.35',
  issuingPoint: '2.5.29.28',
  distributionPoints: '2.5.29.31',
  deltaIndicator: '2.5.29.27',
} as const;
const REMOVE_FROM_CRL = 8;

const pointKeys = (names: readonly GeneralName[]): string[] => names.map(({ bytes }) => bytes.toString('hex'));

/** DistributionPointName: `fullName [0]`; names relative to the issuer are not compared. */
function readPoint(tagged: Der): string[] {
  const name = derAt(tagged.content);
  return name.tag === context(0) ? pointKeys(Array.from(membersOf(name), readGeneralName)) : [];
}

function readScope(value: Buffer): { scope: Scope; limits: string | undefined } {
  const members = structureOf(onlyDer(value, TAG.sequence));
  const point = members.maybe(context(0));
  const isSet = (n: number): boolean => (members.maybe(context(n, 'primitive'))?.content[0] ?? 0) !== 0;
  const [users, authorities] = [isSet(1), isSet(2)];
  const someReasons = members.maybe(context(3, 'primitive')) !== undefined;
  const [indirect, attributes] = [isSet(4), isSet(5)];
  members.end();
  const limits = indirect
    ? 'it is of several authorities'
    : someReasons
      ? 'it is about some reasons only'
      : attributes || (users && authorities)
        ? 'it is about no certificates'
        : undefined;
  return {
    scope: { about: users ? 'users' : authorities ? 'authorities' : 'all', points: point && readPoint(point) },
    limits,
  };
}

function readEntries(list: Der | undefined) {
  const entries: { revoked: Set<string>; limits?: string } = { revoked: new Set() };
  if (!list) return entries;
  for (const entry of membersOf(list)) {
    const members = structureOf(onlyDer(entry.bytes, TAG.sequence));
    const serial = serialOf(members.take(TAG.integer));
    if (!members.maybe(TAG.utcTime, TAG.generalizedTime)) throw derInvalid('an entry without its time');
    const list = members.maybe(TAG.sequence);
    members.end();
    const extensions = list && readExtensions(list);
    const reason = extensions?.get(OID.reason)?.value;
    if (extensions?.has(OID.certificateIssuer)) {
      // It and those behind it may be another authority's.
      entries.limits = 'it is of several authorities';
      break;
    }
    for (const [oid, { critical }] of extensions ?? [])
      if (critical && oid !== OID.reason) entries.limits ??= `an entry has the critical extension ${oid}`;
    if (reason && onlyDer(reason, TAG.enumerated).content[0] === REMOVE_FROM_CRL) continue;
    entries.revoked.add(serial);
  }
  return entries;
}

/** Throws `DER_INVALID`. */
export function crlFromDer(der: Buffer): Crl {
  const whole = structureOf(onlyDer(der, TAG.sequence));
  const signed = whole.take(TAG.sequence);
  const algorithm = whole.take(TAG.sequence);
  const signatureBytes = bytesOfBits(whole.take(TAG.bitString));
  whole.end();
  const tbs = structureOf(signed);
  tbs.maybe(TAG.integer);
  if (!tbs.take(TAG.sequence).bytes.equals(algorithm.bytes)) throw derInvalid('two signature algorithms');
  const issuer = readName(tbs.take(TAG.sequence));
  const thisUpdate = timeOf(tbs.maybe(TAG.utcTime, TAG.generalizedTime) ?? tbs.take(TAG.utcTime));
  const next = tbs.maybe(TAG.utcTime, TAG.generalizedTime);
  const entries = readEntries(tbs.maybe(TAG.sequence));
  const tagged = tbs.maybe(context(0));
  tbs.end();
  const extensions = tagged ? readExtensions(onlyDer(tagged.content, TAG.sequence)) : new Map<string, never>();
  const point = extensions.get(OID.issuingPoint)?.value;
  const { scope, limits } = point
    ? readScope(point)
    : { scope: { about: 'all', points: undefined } as const, limits: undefined };
  const unknown = [...extensions].find(
    ([oid, { critical }]) => critical && oid !== OID.issuingPoint && oid !== OID.authorityKey,
  );
  return {
    der,
    issuer,
    thisUpdate,
    nextUpdate: next && timeOf(next),
    revoked: entries.revoked,
    limits:
      entries.limits ??
      limits ??
      (extensions.has(OID.deltaIndicator) ? 'it is a delta of another one' : undefined) ??
      (unknown ? `it has the critical extension ${unknown[0]}` : undefined),
    scope,
    signed: signed.bytes,
    signature: readSignatureFacts(readAlgorithm(algorithm)),
    signatureBytes,
  };
}

/** Why a certificate that it does not name is not known to be good now; `undefined`: it is current. Pure. */
export function crlObstacle(
  { thisUpdate, nextUpdate, limits, signature }: Crl,
  now: Date,
  strength: Strength,
): string | undefined {
  if (thisUpdate > now) return `it is of the future: ${thisUpdate.toISOString()}`;
  if (nextUpdate && nextUpdate < now) return `it has expired at ${nextUpdate.toISOString()}`;
  const weakness = signatureWeakness(signature, strength);
  return limits ?? (weakness === undefined ? undefined : `it is signed with ${weakness}`);
}

/** Whether a current list speaks about this certificate. Pure. Throws `DER_INVALID`. */
export function isAbout({ scope }: Crl, certificate: ReadCertificate): boolean {
  if (scope.about !== 'all' && (scope.about === 'authorities') !== certificate.x509.ca) return false;
  if (scope.points === undefined) return true;
  const extension = certificate.extensions.get(OID.distributionPoints);
  if (!extension) return false;
  const own = Array.from(membersOf(onlyDer(extension.value, TAG.sequence)), (point) => {
    const name = structureOf(point).maybe(context(0));
    return name ? readPoint(name) : [];
  }).flat();
  return own.some((key) => scope.points?.includes(key));
}

const CRL_SIGN = 0x02;

/** One signature check. A list that cannot be checked is not signed. */
export function isSignedBy({ signed, signature, signatureBytes }: Crl, issuer: ReadCertificate): boolean {
  if (!mayBeUsed(issuer, CRL_SIGN)) return false;
  const { publicKey: key } = issuer.x509;
  const { scheme, hash, maskHash } = signature;
  if (scheme === 'unknown' || (maskHash !== undefined && maskHash !== hash)) return false;
  const isPss = scheme === 'rsa-pss' && key.asymmetricKeyType === 'rsa';
  const pss = isPss ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO } : {};
  try {
    return verify(hash, signed, { key, ...pss }, signatureBytes);
  } catch (error) {
    // OpenSSL does not know the hash, or the key is of another type.
    if ((error as { code?: string }).code?.startsWith('ERR_')) return false;
    throw error;
  }
}
