/** Why the front desk refused, as a problem. */
import { PROBLEMS, Problem, type ProblemCode } from './problems.js';

/** Reasons whose problem has another name. Any other reason in capitals that is a code stands for itself. */
const CODE_OF_REASON: Readonly<Record<string, ProblemCode>> = {
  not_supported: 'NETWORK_NOT_SUPPORTED',
};

const isCode = (text: string): text is ProblemCode => Object.hasOwn(PROBLEMS, text);

/** `reply` is what EVerest would have been answered. Pure. */
export function refusal(reply: unknown, reason: string | undefined): Problem {
  const members = reason === undefined ? {} : { reason };
  if (reply === 'InvalidCertificate') return new Problem('CERTIFICATE_INVALID', undefined, members);
  if (reply === 'RevokedCertificate') return new Problem('CERTIFICATE_REVOKED', undefined, members);
  if (reason === undefined) return new Problem('REFUSED');
  const code = CODE_OF_REASON[reason] ?? reason.toUpperCase();
  if (isCode(code)) return new Problem(code, undefined, members);
  // The words of what cannot be done with a location.
  const isSentence = reason.includes(' ');
  return isSentence
    ? new Problem('LOCATION_NOT_USABLE', reason, { reason: 'location_not_usable' })
    : new Problem('REFUSED', undefined, members);
}
