/** What is taken out of logs where the stations file says nothing, and which rules are in force for a station. */
import { REDACTION_RULES, type RedactionRule, type RedactRule } from '@khumbu/shared/stations/redact-rules';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { Type } from 'typebox';

type Named = RedactionRule | 'all' | 'none';

export const REDACTION_SETTINGS = {
  LOG_REDACTION: Type.Array(Type.Enum([...REDACTION_RULES, 'all', 'none'] as const), {
    default: ['all'],
    minItems: 1,
    description:
      'Comma-separated rules by which logs are redacted where the stations file names none; none: nothing is taken out.',
  }),
} as const;

/**
 * The station's own rules; the depot's where it names none of them. Own expressions alone are added to the depot's rules; an
 * empty list is nothing at all.
 */
export function rulesInForce(
  { LOG_REDACTION }: { readonly LOG_REDACTION: readonly Named[] },
  profile: Pick<StationProfile, 'driverEntry'>,
): readonly RedactRule[] {
  const depot = REDACTION_RULES.filter((rule) => LOG_REDACTION.includes(rule) || LOG_REDACTION.includes('all'));
  const { driverEntry } = profile;
  const own = driverEntry && 'logs' in driverEntry ? driverEntry.logs?.redact : undefined;
  if (own === undefined) return depot;
  const isNamed = own.length === 0 || own.some((rule) => typeof rule === 'string');
  return isNamed ? own : [...depot, ...own];
}
