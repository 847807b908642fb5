/** Findings of a check, and what follows from them for each verb. Pure. */
import { type CheckFinding, type DriverCheck, STATION_VERBS, type StationVerb, type VerbVerdict } from '../port.js';
import type { StationText } from '../station-text.js';

/** Characters of what is said in a finding, with our own words. */
const MOST_TEXT = 2000;

/** What changes the station, or asks for more than a look. */
export const EVERY_VERB: readonly StationVerb[] = STATION_VERBS;

export const good = (subject: string, text: string, verbs: readonly StationVerb[] = []): CheckFinding => ({
  subject,
  outcome: 'ok',
  text,
  verbs,
});

/** One that is for people, or keeps verbs from being done. */
export const wanting = (
  outcome: Exclude<CheckFinding['outcome'], 'ok'>,
  subject: string,
  text: string,
  remedy: string,
  verbs: readonly StationVerb[],
): CheckFinding => ({ subject, outcome, text, remedy, verbs });

/** Words of the station in it were shown when it was made; this is for what it has beside them: names, words of the entry. */
export const shownFinding = (finding: CheckFinding, texts: StationText): CheckFinding => ({
  ...finding,
  text: texts.again(finding.text, MOST_TEXT),
  ...(finding.remedy === undefined ? {} : { remedy: texts.again(finding.remedy, MOST_TEXT) }),
});

/** What decides about a verb, the strongest first. */
const DECIDES = [
  ['missing', 'cannot'],
  ['not_needed', 'not_needed'],
  ['unknown', 'unknown'],
] as const;

function verdictOf(verb: StationVerb, findings: readonly CheckFinding[], has: ReadonlySet<StationVerb>): VerbVerdict {
  if (!has.has(verb)) return 'not_supported';
  const about = findings.filter(({ verbs }) => verbs.includes(verb));
  const decided = DECIDES.find(([outcome]) => about.some((finding) => finding.outcome === outcome));
  return decided?.[1] ?? 'can';
}

/** `has`: verbs that the profile has a command for. */
export function verdictsOf(
  findings: readonly CheckFinding[],
  has: Iterable<StationVerb> = STATION_VERBS,
): DriverCheck['verbs'] {
  const known = new Set(has);
  return Object.fromEntries(STATION_VERBS.map((verb) => [verb, verdictOf(verb, findings, known)])) as Record<
    StationVerb,
    VerbVerdict
  >;
}

/** Every verb that is there can be done, or need not be. */
export const isAllWell = ({ verbs }: Pick<DriverCheck, 'verbs'>): boolean =>
  Object.values(verbs).every((verdict) => verdict !== 'cannot' && verdict !== 'unknown');
