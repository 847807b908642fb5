/**
 * The ways from a certificate to a root. Who sends a chain may send certificates that sign each other in every way, so
 * the search has limits: each signature is checked once, only so many are, and only so many steps are made.
 */
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { ReadCertificate } from './certificate.js';

export type Path = readonly [leaf: ReadCertificate, ...issuers: ReadCertificate[]];

/** The longest path, leaf and root included. */
const MAX_PATH = 6;
/** The costliest one takes two milliseconds. A path has five. */
const MAX_SIGNATURE_CHECKS = 12;
const MAX_STEPS = 256;

interface Budget {
  signatureChecks: number;
  steps: number;
}

/** Throws `TOO_COMPLEX` when it is used up. */
function spend(budget: Budget, what: keyof Budget): void {
  if (budget[what] <= 0) throw new CodedError('TOO_COMPLEX', 'the certificates can be put together in too many ways');
  budget[what] -= 1;
}

const isSame = (a: ReadCertificate, b: ReadCertificate): boolean => a.x509.raw.equals(b.x509.raw);

/** An authority is in a path once, whatever its certificates are. */
const isSameAuthority = (a: ReadCertificate, b: ReadCertificate): boolean =>
  a.keyId === b.keyId && a.subject.key === b.subject.key;

/** Without repeats, in order. */
const distinct = (certificates: readonly ReadCertificate[]): ReadCertificate[] =>
  certificates.filter((one, index) => certificates.findIndex((other) => isSame(one, other)) === index);

/**
 * Every way from the leaf to a root, shortest first where a root is next. Throws `TOO_COMPLEX` when the limits are
 * reached.
 */
export function* pathsOf(
  leaf: ReadCertificate,
  intermediates: readonly ReadCertificate[],
  roots: readonly ReadCertificate[],
): Generator<Path> {
  const budget: Budget = { signatureChecks: MAX_SIGNATURE_CHECKS, steps: MAX_STEPS };
  const pool = distinct(intermediates);
  const checked = new Map<ReadCertificate, Map<string, boolean>>();

  const isSignedBy = (subject: ReadCertificate, issuer: ReadCertificate): boolean => {
    const known = checked.get(subject) ?? new Map<string, boolean>();
    checked.set(subject, known);
    let signed = known.get(issuer.keyId);
    if (signed === undefined) {
      spend(budget, 'signatureChecks');
      signed = subject.x509.verify(issuer.x509.publicKey);
      known.set(issuer.keyId, signed);
    }
    return signed;
  };
  /** `checkIssued` looks at names, key identifiers and the issuer's keyCertSign; `ca` at its basic constraints. */
  const isIssuerOf = (issuer: ReadCertificate, subject: ReadCertificate): boolean =>
    issuer.subject.key === subject.issuer.key &&
    issuer.x509.ca &&
    subject.x509.checkIssued(issuer.x509) &&
    isSignedBy(subject, issuer);

  function* from(path: Path): Generator<Path> {
    spend(budget, 'steps');
    const last = path.at(-1) ?? leaf;
    if (roots.some((root) => isSame(root, last))) {
      yield path;
      return;
    }
    if (path.length >= MAX_PATH) return;
    for (const issuer of [...roots, ...pool])
      if (!path.some((member) => isSameAuthority(member, issuer)) && isIssuerOf(issuer, last))
        yield* from([...path, issuer]);
  }
  yield* from([leaf]);
}
