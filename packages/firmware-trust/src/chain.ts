/**
 * Whether a signing certificate comes from a configured manufacturer root. RFC 5280 section 6, without policies: what we
 * do not process and is critical is refused, and what would be judged in silence by others is refused, too. Nothing is
 * valid here that OpenSSL's own verification of the same path refuses.
 */
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { mayBeUsed, OID_KEY_USAGE, type ReadCertificate, readCertificates } from './certificate.js';
import type { Crl } from './crl.js';
import { membersOf, oidOf, onlyDer, smallOf, structureOf, TAG } from './der.js';
import { isSelfIssued, OID_NAME_CONSTRAINTS, objectionToNames } from './name-constraints.js';
import { type Path, pathsOf } from './paths.js';
import { revocationOfPath } from './revocation.js';
import { keyWeakness, type Strength, signatureWeakness } from './strength.js';

export type ChainReason =
  | 'certificate_unreadable'
  | 'no_roots'
  | 'untrusted'
  | 'too_complex'
  | 'wrong_purpose'
  | 'key_type_unsupported'
  | 'weak_key'
  | 'weak_signature'
  | 'path_too_long'
  | 'name_constraints_violated'
  | 'name_constraints_unsupported'
  | 'unsupported_extension'
  | 'unknown_critical_extension'
  | 'revocation_unknown'
  | 'clock_insane'
  | 'not_yet_valid'
  | 'expired';

/** `verdict` is sent to EVerest; `reason` and `detail` are for the record, the log and REST. */
export type ChainVerdict =
  /** `remarks`: weaknesses that a setting accepts, for the log. */
  | { readonly verdict: 'valid'; readonly remarks?: readonly string[] }
  | { readonly verdict: 'InvalidCertificate'; readonly reason: ChainReason; readonly detail?: string }
  | { readonly verdict: 'RevokedCertificate'; readonly reason: 'revoked' };

export interface ChainPolicy {
  /** Default `ocpp`. */
  readonly strength?: Strength;
  /** For a certificate that no usable CRL covers. Default `accept`. */
  readonly revocationUnknown?: 'accept' | 'refuse';
}

export interface ChainOptions extends ChainPolicy {
  /** None: nothing is trusted. */
  readonly roots: readonly ReadCertificate[];
  /** Of any authorities, in any number. */
  readonly crls?: readonly Crl[];
  readonly now: Date;
  /** `isClockSane(now)`. With a clock that cannot be right no date is judged and nothing is valid. */
  readonly clockSane: boolean;
}

/** No honest clock shows less: this code did not exist then. A device without a battery wakes up in 1970 or 2000. */
const CLOCK_FLOOR = new Date('2026-11-01T00:00:00Z');
export const isClockSane = (now: Date): boolean => now >= CLOCK_FLOOR;

const OID = {
  basicConstraints: '2.5.29.19',
  extKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  anyExtendedKeyUsage: '2.5.29.37.0',
  codeSigning: '1.3.6.1.5.5.7.3.3',
} as const;
const PROCESSED: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID_KEY_USAGE,
  OID.extKeyUsage,
  OID.subjectAltName,
  OID_NAME_CONSTRAINTS,
]);
/** They limit what a path is good for, critical or not, and are not processed. */
const REFUSED: Readonly<Record<string, string>> = {
  '2.5.29.36': 'policyConstraints',
  '1.3.6.1.5.5.7.1.14': 'proxyCertInfo',
  '1.3.6.1.5.5.7.1.7': 'ipAddrBlocks',
  '1.3.6.1.5.5.7.1.8': 'autonomousSysIds',
  '1.3.6.1.5.5.7.1.28': 'ipAddrBlocks-v2',
  '1.3.6.1.5.5.7.1.29': 'autonomousSysIds-v2',
};
const EXTENSION_NAMES: Readonly<Record<string, string>> = {
  [OID_NAME_CONSTRAINTS]: 'nameConstraints',
  '2.5.29.9': 'subjectDirectoryAttributes',
  '2.5.29.18': 'issuerAltName',
  '2.5.29.31': 'cRLDistributionPoints',
  '2.5.29.32': 'certificatePolicies',
  '2.5.29.33': 'policyMappings',
  '2.5.29.54': 'inhibitAnyPolicy',
};

/** A name may be as long as a request. */
const MAX_DETAIL = 300;

const invalid = (reason: ChainReason, detail?: string): ChainVerdict => ({
  verdict: 'InvalidCertificate',
  reason,
  ...(detail === undefined ? {} : { detail: detail.slice(0, MAX_DETAIL) }),
});

const DIGITAL_SIGNATURE = 0x80;

/** RFC 5280 4.2.1.12; a certificate without purposes may do anything. */
function isForCode({ extensions }: ReadCertificate): boolean {
  const purposes = extensions.get(OID.extKeyUsage);
  if (purposes === undefined) return true;
  const oids = Array.from(membersOf(onlyDer(purposes.value, TAG.sequence)), oidOf);
  return oids.some((oid) => oid === OID.codeSigning || oid === OID.anyExtendedKeyUsage);
}

/** A manufacturer's authority may also sign the certificates of stations: where purposes are written, they must fit. */
const isForSigning = (path: Path): boolean =>
  mayBeUsed(path[0], DIGITAL_SIGNATURE) && isForCode(path[0]) && path.slice(1, -1).every(isForCode);

/** `pathLenConstraint` counts the intermediates below that have another issuer, RFC 5280 4.2.1.9. */
function isTooLong(path: Path): boolean {
  let below = 0;
  for (const [index, certificate] of path.entries()) {
    if (index === 0) continue;
    const extension = certificate.extensions.get(OID.basicConstraints);
    const members = extension && structureOf(onlyDer(extension.value, TAG.sequence));
    members?.maybe(TAG.boolean);
    const limit = members?.maybe(TAG.integer);
    if (limit && below > smallOf(limit)) return true;
    if (!isSelfIssued(certificate)) below += 1;
  }
  return false;
}

function objectionToExtensions(path: Path): ChainVerdict | undefined {
  for (const [index, { extensions, x509 }] of path.entries())
    for (const [oid, { critical }] of extensions) {
      const refused = REFUSED[oid];
      if (refused !== undefined) return invalid('unsupported_extension', `${refused} (${oid})`);
      const isProcessed = PROCESSED.has(oid) && (oid !== OID_NAME_CONSTRAINTS || index > 0 || x509.ca);
      if (critical && !isProcessed)
        return invalid('unknown_critical_extension', `${EXTENSION_NAMES[oid] ?? 'extension'} (${oid})`);
    }
  const names = objectionToNames(path);
  return (
    names && invalid(`name_constraints_${names.kind}`, `nameConstraints (${OID_NAME_CONSTRAINTS}): ${names.detail}`)
  );
}

/** The last one is trusted as it was configured; its key is used all the same. */
function objectionToStrength(path: Path, strength: Strength): ChainVerdict | undefined {
  for (const [index, { key, signature, x509 }] of path.entries()) {
    const subject = x509.subject.replaceAll('\n', ', ');
    const weakKey = keyWeakness(key, strength);
    if (weakKey !== undefined) return invalid('weak_key', `${subject}: ${weakKey}`);
    const weakSignature = index === path.length - 1 ? undefined : signatureWeakness(signature, strength);
    if (weakSignature !== undefined) return invalid('weak_signature', `${subject}: ${weakSignature}`);
  }
  return undefined;
}

function judgePath(path: Path, options: ChainOptions): ChainVerdict {
  const { crls = [], now, clockSane, strength = 'ocpp', revocationUnknown = 'accept' } = options;
  if (!isForSigning(path)) return invalid('wrong_purpose');
  const objection = objectionToExtensions(path) ?? objectionToStrength(path, strength);
  if (objection) return objection;
  if (isTooLong(path)) return invalid('path_too_long');
  const { revoked, unknown, open } = revocationOfPath(path, { crls, now, strength });
  if (revoked) return { verdict: 'RevokedCertificate', reason: 'revoked' };
  if (!clockSane) return invalid('clock_insane');
  if (path.some(({ notBefore }) => notBefore > now)) return invalid('not_yet_valid');
  if (path.some(({ notAfter }) => notAfter <= now)) return invalid('expired');
  if (revocationUnknown === 'refuse' && unknown.length > 0) return invalid('revocation_unknown', unknown.join('; '));
  return open.length === 0 ? { verdict: 'valid' } : { verdict: 'valid', remarks: open };
}

/** What is judged of a certificate whatever it leads to: its key must be one that firmware can be signed with. */
function objectionToLeaf({ key }: ReadCertificate, strength: Strength): ChainVerdict | undefined {
  const weakKey = keyWeakness(key, strength);
  if (weakKey !== undefined) return invalid('weak_key', weakKey);
  return key.kind === 'edwards' ? invalid('key_type_unsupported', key.curve) : undefined;
}

const unreadable = (code: string, reason: string): ChainVerdict =>
  invalid(code === 'KEY_UNUSABLE' ? 'weak_key' : 'certificate_unreadable', reason);

function judge(pemText: string, options: ChainOptions): ChainVerdict {
  const text = readCertificates(pemText);
  if (!text.ok) return unreadable(text.code, text.reason);
  const objection = objectionToLeaf(text.leaf, options.strength ?? 'ocpp');
  if (objection) return objection;
  if (options.roots.length === 0) return invalid('no_roots');
  let first: ChainVerdict | undefined;
  for (const path of pathsOf(text.leaf, text.intermediates, options.roots)) {
    const verdict = judgePath(path, options);
    if (verdict.verdict === 'valid') return verdict;
    first ??= verdict;
  }
  return first ?? invalid('untrusted');
}

/** What is in the certificates and cannot be read is found where it is used. */
function orUnreadable(work: () => ChainVerdict): ChainVerdict {
  try {
    return work();
  } catch (error) {
    if (hasCode(error, 'TOO_COMPLEX')) return invalid('too_complex');
    if (error instanceof CodedError && error.code === 'DER_INVALID')
      return invalid('certificate_unreadable', describeError(error));
    throw error;
  }
}

/**
 * Check the certificate text of a request. One good path is enough; else the first path's reason is given. Reads
 * nothing but its arguments; safe to repeat. Takes 50 ms of a processor at most, whatever the text is.
 */
export const checkChain = (pemText: string, options: ChainOptions): ChainVerdict =>
  orUnreadable(() => judge(pemText, options));

/**
 * Where any certificate will do: it can be read, and its key and its signature, unless it is its own, are not weak. What
 * it leads to is not looked at.
 */
export const checkLeaf = (pemText: string, strength: Strength): ChainVerdict =>
  orUnreadable(() => {
    const text = readCertificates(pemText);
    if (!text.ok) return unreadable(text.code, text.reason);
    const { leaf } = text;
    const weakSignature = isSelfIssued(leaf) ? undefined : signatureWeakness(leaf.signature, strength);
    return (
      objectionToLeaf(leaf, strength) ??
      (weakSignature === undefined ? { verdict: 'valid' } : invalid('weak_signature', weakSignature))
    );
  });
