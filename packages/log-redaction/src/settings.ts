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

const ownOf = ({ driverEntry }: Pick<StationProfile, 'driverEntry'>): readonly RedactRule[] | undefined =>
  driverEntry && 'logs' in driverEntry ? driverEntry.logs?.redact : undefined;

/**
 * The station's own rules; the depot's where it names none of them. Own expressions alone are added to the depot's rules; an
 * empty list is nothing at all.
 */
export function rulesInForce(
  { LOG_REDACTION }: { readonly LOG_REDACTION: readonly Named[] },
  profile: Pick<StationProfile, 'driverEntry'>,
): readonly RedactRule[] {
  const depot = REDACTION_RULES.filter((rule) => LOG_REDACTION.includes(rule) || LOG_REDACTION.includes('all'));
  const own = ownOf(profile);
  if (own === undefined) return depot;
  const isNamed = own.length === 0 || own.some((rule) => typeof rule === 'string');
  return isNamed ? own : [...depot, ...own];
}

/**
 * For what a station says beside its logs, as when a command fails: that ends up where everybody who may read looks, and is nothing to
 * be left as it is. All rules by name, whatever the depot or the station has chosen for logs, and the station's own expressions.
 */
export const rulesForTexts = (profile: Pick<StationProfile, 'driverEntry'>): readonly RedactRule[] => [
  ...REDACTION_RULES,
  ...(ownOf(profile) ?? []).filter((rule) => typeof rule !== 'string'),
];
