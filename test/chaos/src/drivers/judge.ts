/** What must be true of an update when everything has come to rest, whatever was done to it. Pure. */
import type { Outcome, Run } from './charger.js';
import { endsTool, mayFail, type Plan } from './plan.js';
import type { FinalState } from './record.js';
import type { Played } from './round.js';

const EXPECTED: Readonly<Record<Outcome, FinalState>> = {
  good: 'Installed',
  unfit: 'InstallVerificationFailed',
  breaks: 'InstallationFailed',
  'falls back': 'InstallationFailed',
};

/** Of errors that a worker may meet on the way. */
const ALWAYS = ['STATION_UNREACHABLE'];
const WHEN_FULL = ['STATION_FAILED', 'STATION_FULL'];

function judgeErrors({ faults }: Plan, { errors, wasGivenUp }: Played): string[] {
  const isFull = faults.some(({ name }) => name === 'fill the state folder');
  const known = [...ALWAYS, ...(isFull ? WHEN_FULL : []), ...(wasGivenUp ? ['EFFECT_RETIRED'] : [])];
  return errors.filter(({ code }) => !known.includes(code)).map(({ code, message }) => `${code}: ${message}`);
}

const groupsOf = (runs: readonly Run[], verb: Run['verb']): number =>
  new Set(runs.filter((run) => run.verb === verb).map(({ processGroup }) => processGroup)).size;

/** Each effect once, and never two of them at a time. */
function judgeEffects({ runs, effects }: Played): string[] {
  const faults: string[] = [];
  for (const verb of ['install', 'reboot'] as const) {
    const times = groupsOf(runs, verb);
    if (times > 1) faults.push(`${times} times ${verb}`);
  }
  if (runs.some(({ isBesideAnother }) => isBesideAnother)) faults.push('two at a time');
  if (effects && effects.whenRetired.join() !== effects.inTheEnd.join())
    faults.push(`given up with ${effects.whenRetired.join() || 'nothing'} begun, and then ${effects.inTheEnd.join()}`);
  return faults;
}

/** One end, and every worker that arrived at one arrived at that. */
function judgeStatus(plan: Plan, { record, verdicts, wasGivenUp }: Played): string[] {
  const states = new Set(verdicts.map((verdict) => `${verdict.record.state} ${verdict.record.reason ?? ''}`));
  if (wasGivenUp) return [];
  const faults = states.size > 1 ? [`workers disagree: ${[...states].join(', ')}`] : [];
  const expected = plan.installS === 1 ? 'InstallationFailed' : EXPECTED[plan.behaviour.outcome];
  const isAllowed = record.state === expected || (mayFail(plan) && record.state === 'InstallationFailed');
  return isAllowed ? faults : [...faults, `${record.state} (${record.reason}) instead of ${expected}`];
}

/** One that is told as done was whole once; again only where its tool was ended, and then the last one was whole. */
function judgeWhole(plan: Plan, { runs, writesAgain }: Played): string[] {
  const isWhole = runs.filter(({ verb }) => verb === 'install').map(({ code }) => code === 0);
  const times = isWhole.filter((whole) => whole).length;
  if (isWhole.at(-1) !== true) return ['Installed, but its last install did not run to its end'];
  const isRight = times === 1 || (writesAgain && endsTool(plan));
  return isRight ? [] : [`Installed, but ${times} installs ran to their end`];
}

/** The status compared with what the station holds. */
function judgeTruth(plan: Plan, played: Played): string[] {
  const { record, wasGivenUp, image, before, after } = played;
  const faults: string[] = [];
  if (wasGivenUp) return faults;
  if (record.state === 'Installed') {
    if (after.holds[after.running] !== image.name)
      faults.push(`Installed, but it runs ${after.holds[after.running] ?? 'no image that is whole'}`);
    if (after.bootId === before.bootId) faults.push('Installed, but it has not booted');
    faults.push(...judgeWhole(plan, played));
  } else {
    if (after.running !== before.running || after.holds[after.running] !== before.holds[before.running])
      faults.push(`${record.state}, but it does not run what it ran before`);
  }
  if (after.next !== after.running)
    faults.push(
      `${record.state} (${record.reason}), but next it would start ${after.next} with ${after.holds[after.next] ?? 'no image that is whole'}`,
    );
  if (record.state === 'InstallVerificationFailed' && JSON.stringify(after.holds) !== JSON.stringify(before.holds))
    faults.push('the image was unfit, and a slot was written');
  return faults;
}

export const judgePlayed = (plan: Plan, played: Played): string[] => [
  ...played.left,
  ...judgeErrors(plan, played),
  ...judgeEffects(played),
  ...judgeStatus(plan, played),
  ...judgeTruth(plan, played),
];
