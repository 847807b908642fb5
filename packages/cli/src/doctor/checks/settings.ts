/** Whether the services would start with these settings. */
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';

export async function lookAtSettings({ settingsProblems, unknownNames }: Place): Promise<Finding[]> {
  const { ok, warning, wrong } = about('settings');
  // What several services read is wrong for all of them, and told once.
  const byProblem = new Map<string, string[]>();
  for (const { of, problem } of settingsProblems)
    for (const part of problem.split('; ')) byProblem.set(part, [...(byProblem.get(part) ?? []), of]);
  const findings = [...byProblem].map(([problem, services]) =>
    wrong(`${problem} [${services.join(', ')}]`, 'docs/configuration.md has every setting with unit and default'),
  );
  const strange = unknownNames.map((name) =>
    warning(`${name} is no setting: nobody reads it`, 'docs/configuration.md has the names'),
  );
  return findings.length + strange.length === 0
    ? [ok('every service would start with them')]
    : [...findings, ...strange];
}
