/** A check as people read it in a terminal. Pure. */
import { type CheckFinding, type DriverCheck, STATION_VERBS, type VerbVerdict } from '../port.js';

const VERDICTS: Readonly<Record<VerbVerdict, string>> = {
  can: 'can',
  cannot: 'CANNOT',
  unknown: 'not known',
  not_needed: 'not needed',
  not_supported: 'not supported',
};

/** What needs somebody comes first. */
const ORDER: readonly CheckFinding['outcome'][] = ['missing', 'unknown', 'warning', 'not_needed', 'ok'];

const columns = (rows: readonly (readonly string[])[]): readonly string[] => {
  const widths = (rows[0] ?? []).map((_none, at) => Math.max(...rows.map((row) => (row[at] ?? '').length)));
  return rows.map((row) =>
    row
      .map((text, at) => text.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
};

function aboutVerbs({ verbs }: CheckFinding): string {
  if (verbs.length === 0) return '';
  return verbs.length === STATION_VERBS.length ? ' [all]' : ` [${verbs.join(', ')}]`;
}

const lineOf = (finding: CheckFinding): readonly string[] => {
  const { outcome, subject, text, remedy = '' } = finding;
  const what = `${text}${outcome === 'ok' ? '' : aboutVerbs(finding)}`;
  return [`  ${outcome}`, subject, remedy === '' ? what : `${what}\n${' '.repeat(14)}-> ${remedy}`];
};

/** `name`: the station, and how it is reached. */
export function describeCheck(name: string, { verbs, findings, clockOffsetMs }: DriverCheck): string {
  const clock = clockOffsetMs === undefined ? '' : `, clock ${(clockOffsetMs / 1000).toFixed(1)} s against ours`;
  const sorted = ORDER.flatMap((outcome) => findings.filter((finding) => finding.outcome === outcome));
  return [
    `${name}${clock}`,
    '',
    ...columns(STATION_VERBS.map((verb) => [`  ${verb}`, VERDICTS[verbs[verb]]])),
    '',
    ...columns(sorted.map(lineOf)),
    '',
  ].join('\n');
}
