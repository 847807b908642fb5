/** Every place where a value does not fit its schema, for people who write requests. The verdict is the codec's. */
import type { ErrorObject } from 'ajv';
import type { TSchema } from 'typebox';
import { firstMismatch } from './codec.js';
import { createValidators } from './schema-validators.js';

/** One place where a value does not fit. */
export interface Violation {
  /** JSON pointer, RFC 6901; empty: the value itself. A member that is missing or not known is named by it too. */
  readonly pointer: string;
  /** Names and choices, never what was given: it may hold secrets. */
  readonly message: string;
  /** Which rule it breaks, as JSON Schema names it: `type`, `required`, `minimum`; `additionalProperties` for a member that is not known. */
  readonly rule?: string;
  /** What may stand there, where the choice is a list. */
  readonly allowed?: readonly unknown[];
}

export const MOST_VIOLATIONS = 20;
/** A value with more members than this is told its first violation alone: each takes time and memory. */
const MOST_MEMBERS = 200;

const validatorOf = createValidators(true);

function hasManyMembers(value: unknown): boolean {
  let members = 0;
  const isMore = (part: unknown): boolean => {
    if (typeof part !== 'object' || part === null) return false;
    const parts: unknown[] = Object.values(part);
    members += parts.length;
    return members > MOST_MEMBERS || parts.some(isMore);
  };
  return isMore(value);
}

const escaped = (name: string): string => name.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1');

/** What ajv found, in words that need no schema beside them. Pure. */
export function readViolation({
  instancePath,
  keyword: rule,
  params,
  message = 'does not fit',
}: ErrorObject): Violation {
  const { additionalProperty: unknown, missingProperty: missing, allowedValues } = params as Record<string, unknown>;
  if (typeof unknown === 'string')
    return { pointer: `${instancePath}/${escaped(unknown)}`, message: 'is not known here', rule };
  if (typeof missing === 'string')
    return { pointer: `${instancePath}/${escaped(missing)}`, message: 'is missing', rule };
  if (!Array.isArray(allowedValues)) return { pointer: instancePath, message, rule };
  return { pointer: instancePath, message: `must be one of ${allowedValues.join(', ')}`, rule, allowed: allowedValues };
}

/** Empty: it fits. `MOST_VIOLATIONS` at most. */
export function violations(schema: TSchema, value: unknown): readonly Violation[] {
  const first = firstMismatch(schema, value);
  if (!first) return [];
  const alone: Violation = {
    pointer: [...first.path, ...(first.unknown === undefined ? [] : [first.unknown])]
      .map((member) => `/${escaped(member)}`)
      .join(''),
    message: first.text.slice(first.text.indexOf(' ') + 1),
    ...(first.rule === undefined ? {} : { rule: first.rule }),
  };
  if (hasManyMembers(value)) return [alone];
  const validate = validatorOf(schema);
  if (validate(value)) return [alone];
  return (validate.errors ?? []).slice(0, MOST_VIOLATIONS).map(readViolation);
}
