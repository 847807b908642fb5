/** Why the intake refused, as a problem. */
import { PROBLEMS, type ProblemCode } from '@khumbu/rest-contract/problem-codes';
import { Problem, type ProblemError, type ProblemMembers } from './problems.js';

/** Reasons whose problem has another name. Any other reason in capitals that is a code stands for itself. */
const CODE_OF_REASON: Readonly<Record<string, ProblemCode>> = {
  not_supported: 'NETWORK_NOT_SUPPORTED',
};

/** Members of the order that a refusal is about, where it has any: a location is fine as such, and not for this station. */
const MEMBERS_OF_CODE: Readonly<Partial<Record<ProblemCode, readonly string[]>>> = {
  SIGNATURE_REQUIRED: ['signing_certificate', 'signature'],
  SIGNATURE_INCOMPLETE: ['signing_certificate', 'signature'],
  LOCATION_SCHEME_NOT_ALLOWED: ['location'],
  LOCATION_HOST_NOT_ALLOWED: ['location'],
  LOCATION_ADDRESS_FORBIDDEN: ['location'],
  LOCATION_KEY_NOT_ALLOWED: ['location'],
  LOCATION_MALFORMED: ['location'],
  LOCATION_SCHEME_UNKNOWN: ['location'],
  LOCATION_NOT_USABLE: ['location'],
  LOG_TYPE_UNKNOWN: ['type'],
  WINDOW_EMPTY: ['oldest_timestamp', 'latest_timestamp'],
  INTERFACE_UNKNOWN: ['interface', 'interface_name'],
  CERTIFICATE_INVALID: ['signing_certificate'],
  CERTIFICATE_REVOKED: ['signing_certificate'],
  TIME_ABSURD: ['time'],
  SLOT_TAKEN_BY_EVEREST: ['replace'],
};

/** What was ordered. */
export interface GivenOrder {
  readonly order: unknown;
  /** Where it stands in the body: `#`, or `#/order` of a bulk order. */
  readonly pointer: string;
}
const NO_ORDER: GivenOrder = { order: undefined, pointer: '#' };

/** What is said with the code: which members of the order it is about, and what might have stood there. Pure. */
function about(
  members: readonly string[] | undefined,
  code: ProblemCode,
  detail: string | undefined,
  { order, pointer }: GivenOrder,
  allowed: readonly string[] | undefined,
): ProblemMembers {
  if (!members) return {};
  const given = members.filter((member) => typeof order === 'object' && order !== null && Object.hasOwn(order, member));
  const text = detail ?? PROBLEMS[code].title;
  const errors = (given.length > 0 ? given : members).map(
    (member): ProblemError => ({
      detail: `${member}: ${text}`,
      pointer: `${pointer}/${member}`,
      ...(allowed ? { allowed } : {}),
    }),
  );
  return { errors };
}

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;

const isCode = (text: string): text is ProblemCode => Object.hasOwn(PROBLEMS, text);

/** `detail`: which extension, which key. Answers that the last release stored have it behind the word and a colon. */
function certificateRefusal(code: ProblemCode, reason: string | undefined, detail: string | undefined): Problem {
  if (reason === undefined) return new Problem(code);
  const [word = reason] = reason.split(':', 1);
  const more = detail ?? reason.slice(word.length + 1).trim();
  return new Problem(code, more === '' ? undefined : sentence(more), { reason: word });
}

const choices = (detail: string | undefined, allowed: readonly string[] | undefined): string | undefined => {
  if (!allowed) return detail;
  const choice = `May be ${allowed.length === 0 ? 'none' : allowed.join(', ')}.`;
  return detail === undefined ? choice : `${detail} ${choice}`;
};

export interface Refused {
  /** What EVerest would have been answered. */
  readonly reply: unknown;
  readonly reason?: string;
  /** A sentence for people. */
  readonly detail?: string;
  readonly allowed?: readonly string[];
}

/** The order says which of several members is meant, and where that stands; `member`: it is another one. Pure. */
export function refusal(
  { reply, reason, detail, allowed }: Refused,
  order: GivenOrder = NO_ORDER,
  member?: string,
): Problem {
  const problem = withoutPlace(reply, reason, detail);
  const { code, members } = problem;
  const errors = about(member === undefined ? MEMBERS_OF_CODE[code] : [member], code, problem.detail, order, allowed);
  return new Problem(code, choices(problem.detail, allowed), { ...members, ...errors });
}

function withoutPlace(reply: unknown, reason: string | undefined, detail: string | undefined): Problem {
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
