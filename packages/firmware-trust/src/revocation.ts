/** What the revocation lists at hand say about the certificates of a path. */
import type { ReadCertificate } from './certificate.js';
import { type Crl, crlObstacle, isAbout, isSignedBy } from './crl.js';
import type { Path } from './paths.js';
import type { Strength } from './strength.js';

export interface RevocationOptions {
  readonly crls: readonly Crl[];
  readonly now: Date;
  readonly strength: Strength;
}

export type Revocation =
  | { readonly is: 'good' | 'revoked' }
  /** `why`: of the list that should have said it. `undefined`: the authority has none. */
  | { readonly is: 'unknown'; readonly why: string | undefined };

/**
 * By list and key. The lists are the depot's own, and who is asked about is an authority that leads to a root of the depot:
 * both are few, and a station cannot add to them.
 */
const signatures = new WeakMap<Crl, Map<string, boolean>>();

function isSigned(crl: Crl, issuer: ReadCertificate): boolean {
  const known = signatures.get(crl) ?? new Map<string, boolean>();
  signatures.set(crl, known);
  const signed = known.get(issuer.keyId) ?? isSignedBy(crl, issuer);
  known.set(issuer.keyId, signed);
  return signed;
}

function revocationOf(
  certificate: ReadCertificate,
  issuer: ReadCertificate,
  { crls, now, strength }: RevocationOptions,
): Revocation {
  let isGood = false;
  let why: string | undefined;
  for (const crl of crls) {
    if (crl.issuer.key !== issuer.subject.key) continue;
    if (!isSigned(crl, issuer)) {
      why ??= 'it is not signed by the authority';
      continue;
    }
    if (crl.revoked.has(certificate.serial)) return { is: 'revoked' };
    const obstacle = crlObstacle(crl, now, strength);
    if (obstacle !== undefined) why ??= obstacle;
    else if (isAbout(crl, certificate)) isGood = true;
    else why ??= 'it is about other certificates';
  }
  return isGood ? { is: 'good' } : { is: 'unknown', why };
}

const nameOf = ({ x509 }: ReadCertificate): string => x509.subject.replaceAll('\n', ', ').slice(0, 100);

/**
 * All certificates below the root: whoever configured that can take it out. `unknown`: sentences, one for each certificate
 * of which no list says whether it is revoked. `open`: those that somebody should know of, because there are lists at hand.
 */
export function revocationOfPath(
  path: Path,
  options: RevocationOptions,
): { readonly revoked: boolean; readonly unknown: readonly string[]; readonly open: readonly string[] } {
  const unknown: string[] = [];
  for (const [index, certificate] of path.entries()) {
    const issuer = path[index + 1];
    if (!issuer) break;
    const revocation = revocationOf(certificate, issuer, options);
    if (revocation.is === 'revoked') return { revoked: true, unknown: [], open: [] };
    if (revocation.is !== 'unknown') continue;
    const { why } = revocation;
    unknown.push(
      why === undefined
        ? `there is no CRL of ${nameOf(issuer)}`
        : `the CRL of ${nameOf(issuer)} cannot be used: ${why}`,
    );
  }
  return { revoked: false, unknown, open: options.crls.length === 0 ? [] : unknown };
}
