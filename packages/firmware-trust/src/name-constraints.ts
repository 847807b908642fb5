/**
 * Name constraints, RFC 5280 4.2.1.10: which names an authority may give out. Directory names are compared; of every
 * other form it is only seen whether such a name is there at all, and then the chain is refused.
 */
import type { ReadCertificate } from './certificate.js';
import { context, type Der, derInvalid, membersOf, onlyDer, structureOf, TAG } from './der.js';
import { FORM, formName, type GeneralName, isBelow, readGeneralName, readGeneralNames } from './names.js';

export const OID_NAME_CONSTRAINTS = '2.5.29.30';
const OID_SUBJECT_ALT_NAME = '2.5.29.17';
/** What one chain may make us compare. */
const MAX_COMPARISONS = 4096;

export interface NameObjection {
  readonly kind: 'violated' | 'unsupported';
  readonly detail: string;
}

const unsupported = (detail: string): NameObjection => ({ kind: 'unsupported', detail });

/** GeneralSubtrees; a minimum or maximum says what nobody can mean (RFC 5280 wants none). Throws `DER_INVALID`. */
const subtreesOf = (tagged: Der | undefined): GeneralName[] =>
  Array.from(tagged ? membersOf(tagged) : [], (subtree) => {
    const [base, more] = membersOf(onlyDer(subtree.bytes, TAG.sequence));
    if (!base || more) throw derInvalid('a name constraint with a minimum or maximum');
    return readGeneralName(base);
  });

function constraintsOf({ extensions }: ReadCertificate) {
  const extension = extensions.get(OID_NAME_CONSTRAINTS);
  if (!extension) return undefined;
  const members = structureOf(onlyDer(extension.value, TAG.sequence));
  const constraints = {
    permitted: subtreesOf(members.maybe(context(0))),
    excluded: subtreesOf(members.maybe(context(1))),
  };
  members.end();
  return constraints;
}

type Constraints = NonNullable<ReturnType<typeof constraintsOf>>;

/** OpenSSL takes the common name of a leaf for a host name if it looks like one and there is no other. */
const looksLikeHost = (commonName: string): boolean => /^[\w.-]+$/.test(commonName) && commonName.includes('.');

function namesOf({ subject, extensions }: ReadCertificate, isLeaf: boolean) {
  const extension = extensions.get(OID_SUBJECT_ALT_NAME);
  const alternatives = extension ? readGeneralNames(extension.value) : [];
  const forms = new Set(alternatives.map(({ form }) => form));
  if (subject.emails.length > 0 || forms.has(FORM.other)) forms.add(FORM.email);
  if (isLeaf && !forms.has(FORM.dns) && subject.commonNames.some(looksLikeHost)) forms.add(FORM.dns);
  const directory = alternatives.flatMap(({ directory: name }) => (name ? [name] : []));
  return {
    directory: subject.strict.length === 0 ? directory : [subject, ...directory],
    forms,
    hasOddMail: subject.emails.some(({ isIa5 }) => !isIa5),
  };
}

function objectionTo(
  names: ReturnType<typeof namesOf>,
  { permitted, excluded }: Constraints,
): NameObjection | undefined {
  if (names.hasOddMail) return unsupported('a mail address that is no IA5String');
  const other = [...permitted, ...excluded].find(({ form }) => form !== FORM.directory && names.forms.has(form));
  if (other) return unsupported(`constraints of ${formName(other.form)}`);
  const bases = permitted.flatMap(({ directory }) => directory ?? []);
  const outside = names.directory.some(
    (name) => bases.length > 0 && !bases.some((base) => isBelow(name, base, 'strict')),
  );
  if (outside) return { kind: 'violated', detail: 'a name that is not permitted' };
  const within = excluded.some(
    ({ directory: base }) => base && names.directory.some((name) => isBelow(name, base, 'loose')),
  );
  return within ? { kind: 'violated', detail: 'a name that is excluded' } : undefined;
}

/** A certificate whose issuer has the same name, as where an authority changes its key. */
export const isSelfIssued = ({ subject, issuer }: ReadCertificate): boolean => subject.key === issuer.key;

/** `path` begins with the leaf. `undefined`: every name is allowed. Throws `DER_INVALID`. Pure. */
export function objectionToNames(path: readonly ReadCertificate[]): NameObjection | undefined {
  let left = MAX_COMPARISONS;
  for (const [index, authority] of path.entries()) {
    const constraints = constraintsOf(authority);
    if (!constraints) continue;
    // Of a leaf that is no authority nothing can be below.
    if (index === 0 && !authority.x509.ca) return unsupported('constraints in a certificate of no authority');
    for (const [below, certificate] of path.slice(0, index).entries()) {
      if (below > 0 && isSelfIssued(certificate)) continue;
      const names = namesOf(certificate, below === 0);
      left -= names.directory.length * (constraints.permitted.length + constraints.excluded.length);
      if (left < 0) return unsupported('more names and constraints than are compared');
      const objection = objectionTo(names, constraints);
      if (objection) return objection;
    }
  }
  return undefined;
}
