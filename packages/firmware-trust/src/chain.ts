/**
 * Whether a signing certificate comes from a configured manufacturer root. The walk is our own: the validation engine
 * of pkijs follows cross-signed certificates in circles and wants a CRL of every authority once it is given one.
 * RFC 5280 section 6, without policies: what we do not process and is critical is refused.
 */
import type { CertificateRevocationList, Extension } from 'pkijs';
import { BasicConstraints, ExtKeyUsage } from 'pkijs';
import { type ReadCertificate, readCertificates } from './certificate.js';

export type ChainReason =
  | 'certificate_unreadable'
  | 'no_roots'
  | 'untrusted'
  | 'wrong_purpose'
  | 'path_too_long'
  | 'unknown_critical_extension'
  | 'clock_insane'
  | 'not_yet_valid'
  | 'expired';

/** `verdict` is what EVerest hears; `reason` is for the record and the log. */
export type ChainVerdict =
  | { readonly verdict: 'valid' }
  | { readonly verdict: 'InvalidCertificate'; readonly reason: ChainReason }
  | { readonly verdict: 'RevokedCertificate'; readonly reason: 'revoked' };

export interface ChainOptions {
  /** None: nothing is trusted. */
  readonly roots: readonly ReadCertificate[];
  /** Of any authorities, in any number; an authority without one revokes nothing. Their own age is not judged. */
  readonly crls?: readonly CertificateRevocationList[];
  readonly now: Date;
  /** `isClockSane(now)`. With a clock that cannot be right no date is judged and nothing is valid. */
  readonly clockSane: boolean;
}

/** No honest clock shows less: this code did not exist then. A device without a battery wakes up in 1970 or 2000. */
export const CLOCK_FLOOR = new Date('2026-11-01T00:00:00Z');
export const isClockSane = (now: Date): boolean => now >= CLOCK_FLOOR;

const MAX_PATH = 6;
const OID = {
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extKeyUsage: '2.5.29.37',
  anyExtendedKeyUsage: '2.5.29.37.0',
  codeSigning: '1.3.6.1.5.5.7.3.3',
} as const;
const PROCESSED: readonly string[] = [OID.basicConstraints, OID.keyUsage, OID.extKeyUsage];

type Path = readonly [leaf: ReadCertificate, ...issuers: ReadCertificate[]];

const invalid = (reason: ChainReason): ChainVerdict => ({ verdict: 'InvalidCertificate', reason });

const extensionOf = ({ parsed }: ReadCertificate, oid: string): Extension | undefined =>
  parsed.extensions?.find((extension) => extension.extnID === oid);

const isSame = (a: ReadCertificate, b: ReadCertificate): boolean => a.x509.raw.equals(b.x509.raw);

/** `checkIssued` looks at names, key identifiers and the issuer's keyCertSign; `ca` at its basic constraints. */
const isIssuerOf = (issuer: ReadCertificate, subject: ReadCertificate): boolean =>
  issuer.x509.ca && subject.x509.checkIssued(issuer.x509) && subject.x509.verify(issuer.x509.publicKey);

/** Every way from the leaf to a root. No certificate twice in one path, so cross-signing cannot make a circle. */
function* pathsFrom(path: Path, pool: readonly ReadCertificate[], roots: readonly ReadCertificate[]): Generator<Path> {
  const last = path.at(-1) ?? path[0];
  if (roots.some((root) => isSame(root, last))) {
    yield path;
    return;
  }
  if (path.length >= MAX_PATH) return;
  for (const issuer of [...roots, ...pool])
    if (!path.some((member) => isSame(member, issuer)) && isIssuerOf(issuer, last))
      yield* pathsFrom([...path, issuer], pool, roots);
}

/**
 * A manufacturer's root may also sign the certificates of stations: where purposes are written, they must fit.
 * RFC 5280 4.2.1.3 and 4.2.1.12; a certificate without them may do anything.
 */
function isForSigning(leaf: ReadCertificate): boolean {
  const keyUsage = extensionOf(leaf, OID.keyUsage)?.parsedValue as
    | { valueBlock: { valueHexView: Uint8Array } }
    | undefined;
  if (keyUsage && ((keyUsage.valueBlock.valueHexView[0] ?? 0) & 0x80) === 0) return false;
  const purposes = extensionOf(leaf, OID.extKeyUsage)?.parsedValue;
  if (purposes === undefined) return true;
  return (
    purposes instanceof ExtKeyUsage &&
    purposes.keyPurposes.some((oid) => oid === OID.codeSigning || oid === OID.anyExtendedKeyUsage)
  );
}

/** `pathLenConstraint` counts the intermediates below, RFC 5280 4.2.1.9. */
const isTooLong = (path: Path): boolean =>
  path.some((certificate, index) => {
    const constraints = extensionOf(certificate, OID.basicConstraints)?.parsedValue;
    if (index === 0 || !(constraints instanceof BasicConstraints)) return false;
    const limit = constraints.pathLenConstraint;
    return typeof limit === 'number' && index - 1 > limit;
  });

const hasUnknownCritical = ({ parsed }: ReadCertificate): boolean =>
  (parsed.extensions ?? []).some((extension) => extension.critical && !PROCESSED.includes(extension.extnID));

async function isRevoked(path: Path, crls: readonly CertificateRevocationList[]): Promise<boolean> {
  for (const [index, { parsed }] of path.entries()) {
    const issuer = path[index + 1];
    if (!issuer) continue; // the root: whoever configured it can take it out
    for (const crl of crls)
      if (
        crl.issuer.isEqual(issuer.parsed.subject) &&
        crl.isCertificateRevoked(parsed) &&
        (await crl.verify({ issuerCertificate: issuer.parsed }))
      )
        return true;
  }
  return false;
}

async function judgePath(path: Path, { crls = [], now, clockSane }: ChainOptions): Promise<ChainVerdict> {
  if (!isForSigning(path[0])) return invalid('wrong_purpose');
  if (path.some(hasUnknownCritical)) return invalid('unknown_critical_extension');
  if (isTooLong(path)) return invalid('path_too_long');
  if (await isRevoked(path, crls)) return { verdict: 'RevokedCertificate', reason: 'revoked' };
  if (!clockSane) return invalid('clock_insane');
  if (path.some(({ parsed }) => parsed.notBefore.value > now)) return invalid('not_yet_valid');
  if (path.some(({ parsed }) => parsed.notAfter.value < now)) return invalid('expired');
  return { verdict: 'valid' };
}

/**
 * Check the certificate text of a request. One good path is enough; else the first path's reason is given. Reads
 * nothing but its arguments; safe to repeat.
 */
export async function checkChain(pemText: string, options: ChainOptions): Promise<ChainVerdict> {
  const text = readCertificates(pemText);
  if (!text.ok) return invalid('certificate_unreadable');
  if (options.roots.length === 0) return invalid('no_roots');
  let first: ChainVerdict | undefined;
  for (const path of pathsFrom([text.leaf], text.intermediates, options.roots)) {
    const verdict = await judgePath(path, options);
    if (verdict.verdict === 'valid') return verdict;
    first ??= verdict;
  }
  return first ?? invalid('untrusted');
}
