/** Findings as people read them. Pure. */
import { plain } from '../output/terminal.js';
import type { Finding } from './finding.js';

/** What needs somebody comes first. */
const ORDER: readonly Finding['outcome'][] = ['wrong', 'unknown', 'warning', 'ok'];

export function describeFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ subject }) => subject.length));
  const sorted = ORDER.flatMap((outcome) => findings.filter((finding) => finding.outcome === outcome));
  return sorted
    .map(({ outcome, subject, text, remedy }) => {
      const line = `${outcome.padEnd('warning'.length)}  ${subject.padEnd(width)}  ${plain(text)}`;
      return remedy === undefined ? line : `${line}\n${' '.repeat('warning'.length + 2)}-> ${plain(remedy)}`;
    })
    .join('\n');
}
