/** Why the intake refused, as a problem. */
import { PROBLEMS, type ProblemCode } from '@khumbu/rest-contract/problem-codes';
import { Problem } from './problems.js';

/** Reasons whose problem has another name. Any other reason in capitals that is a code stands for itself. */
const CODE_OF_REASON: Readonly<Record<string, ProblemCode>> = {
  not_supported: 'NETWORK_NOT_SUPPORTED',
};

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;

const isCode = (text: string): text is ProblemCode => Object.hasOwn(PROBLEMS, text);

/** `detail`: which extension, which key. Answers that the last release stored have it behind the word and a colon. */
function certificateRefusal(code: ProblemCode, reason: string | undefined, detail: string | undefined): Problem {
  if (reason === undefined) return new Problem(code);
  const [word = reason] = reason.split(':', 1);
  const more = detail ?? reason.slice(word.length + 1).trim();
  return new Problem(code, more === '' ? undefined : sentence(more), { reason: word });
}

/** `reply` is what EVerest would have been answered, `detail` a sentence for people. Pure. */
export function refusal(reply: unknown, reason: string | undefined, detail?: string): Problem {
  if (reply === 'InvalidCertificate') return certificateRefusal('CERTIFICATE_INVALID', reason, detail);
  if (reply === 'RevokedCertificate') return certificateRefusal('CERTIFICATE_REVOKED', reason, detail);
  const members = reason === undefined ? {} : { reason };
  if (reason === undefined) return new Problem('REFUSED');
  const code = CODE_OF_REASON[reason] ?? reason.toUpperCase();
  if (isCode(code)) return new Problem(code, detail === undefined ? undefined : sentence(detail), members);
  // The words of what cannot be done with a location.
  const isSentence = reason.includes(' ');
  return isSentence
    ? new Problem('LOCATION_NOT_USABLE', sentence(reason), { reason: 'location_not_usable' })
    : new Problem('REFUSED', undefined, members);
}
