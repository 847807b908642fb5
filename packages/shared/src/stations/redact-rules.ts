/**
 * What is taken out of the logs of stations before they leave the depot: rules by name, and an operator's own expressions.
 * What the names stand for is in `packages/log-redaction`.
 */
import { RE2JS, RE2JSSyntaxException } from 're2js';
import { type Static, Type } from 'typebox';
import { conditional } from './conditional.js';

export const REDACTION_RULES = ['rfid_tokens', 'mac_addresses', 'credentials', 'certificates', 'exi_messages'] as const;
export type RedactionRule = (typeof REDACTION_RULES)[number];

const closed = { additionalProperties: false } as const;

const OwnRule = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z][a-z0-9_]{0,31}$',
      description: 'Stands in the archive in place of what was found, and in its manifest.',
    }),
    expression: Type.String({
      minLength: 1,
      maxLength: 1000,
      description: 'What is taken out of each line, in the syntax of RE2: time grows with the line alone.',
    }),
    group: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 9, description: 'Take out this group alone; default 0, all of it.' }),
    ),
  },
  closed,
);
export type OwnRedactionRule = Static<typeof OwnRule>;

/** `redact` of a station's logs in the stations file. */
export const RedactRules = Type.Array(
  Type.Unsafe<RedactionRule | OwnRedactionRule>(
    conditional({ type: 'object' }, OwnRule, Type.Enum([...REDACTION_RULES])),
  ),
  {
    maxItems: 40,
    description:
      'What is taken out of its logs: names of rules, and own expressions; default what LOG_REDACTION says. []: nothing.',
  },
);
export type RedactRule = Static<typeof RedactRules>[number];

/** For text of any origin: the engine never goes back, so no expression and no line can make it take longer than their sizes do. */
export const compileOwn = (expression: string): RE2JS => RE2JS.compile(expression);

/** What is wrong with own rules, of the first one that is: its place in the list, and words that repeat no value. */
export function redactProblem(
  rules: readonly RedactRule[],
): { readonly index: number; readonly text: string } | undefined {
  const names = new Set<string>(REDACTION_RULES);
  for (const [index, rule] of rules.entries()) {
    if (typeof rule === 'string') continue;
    if (names.has(rule.name)) return { index, text: 'name: another rule has this name' };
    names.add(rule.name);
    const text = expressionProblem(rule);
    if (text !== undefined) return { index, text };
  }
  return undefined;
}

/** What keeps an expression from being one of RE2, in words that repeat no value. */
export function syntaxProblem(expression: string): string | undefined {
  try {
    compileOwn(expression);
    return undefined;
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    const { error: what, input } = error;
    const at = input === null ? -1 : expression.indexOf(input);
    const where = at < 0 ? '' : ` at its character ${at + 1}`;
    return `not in the syntax of RE2${where}: ${what}`;
  }
}

function expressionProblem({ expression, group = 0 }: OwnRedactionRule): string | undefined {
  const problem = syntaxProblem(expression);
  if (problem !== undefined) return `expression: ${problem}`;
  const compiled = compileOwn(expression);
  if (compiled.test('')) return 'expression: it must not fit an empty text';
  return compiled.groupCount() < group ? `group: the expression has no group ${group}` : undefined;
}
