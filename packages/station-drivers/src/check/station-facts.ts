/** What the station itself has to have, whatever its profile. Pure: facts in, findings out. */

import type { CheckFinding, StationVerb } from '../port.js';
import type { StationText } from '../station-text.js';
import { EVERY_VERB, good, wanting } from './findings.js';

type Facts = ReadonlyMap<string, string>;

/** The version of the state folder that our program knows. */
const LAYOUT = 1;
/** Below this the program itself has no room. */
const LEAST_BYTES = 1024 * 1024;
/** Few images are smaller. */
const FEW_BYTES = 256 * 1024 * 1024;
/** Certificates and logs are judged by the station's clock. */
const MOST_OFFSET_MS = 60_000;

const MIB = 1024 * 1024;

/** As it is: for what is compared, never for what people see. */
const factOf = (facts: Facts, name: string): string => (facts.get(name) ?? '').trim();

const shownFact = (facts: Facts, name: string, texts: StationText): string => texts.shown(facts.get(name) ?? '', 300);

function toolsFinding(facts: Facts, texts: StationText): CheckFinding {
  const missing = shownFact(facts, 'tools', texts);
  if (missing === '') return good('tools', 'the programs that are needed are there', EVERY_VERB);
  return wanting(
    'missing',
    'tools',
    `not there: ${missing}`,
    'install coreutils, findutils and util-linux, or busybox',
    EVERY_VERB,
  );
}

function procFinding(facts: Facts): CheckFinding {
  if (factOf(facts, 'boot') !== '') return good('proc', 'there is a boot id in /proc', EVERY_VERB);
  return wanting('missing', 'proc', 'there is no boot id in /proc', 'mount /proc', EVERY_VERB);
}

function stateFindings(facts: Facts, stateDir: string, texts: StationText): readonly CheckFinding[] {
  const [word, path = ''] = factOf(facts, 'state').split(' ');
  const at = texts.shown(path, 300);
  const user = shownFact(facts, 'user', texts);
  const layout = Number(factOf(facts, 'layout'));
  const newer =
    layout > LAYOUT
      ? [
          wanting(
            'missing',
            'state_layout',
            `${stateDir} has layout ${layout}, written by a newer Khumbu`,
            'update Khumbu, or name another state_dir',
            EVERY_VERB,
          ),
        ]
      : [];
  if (word === 'there') return [good('state_dir', `${stateDir} can be written`, EVERY_VERB), ...newer];
  if (word === 'to-be-made') return [good('state_dir', `${stateDir} will be made in ${at}`, EVERY_VERB), ...newer];
  return [
    wanting(
      'missing',
      'state_dir',
      `${user} cannot write to ${at}`,
      `as root: install -d -o ${user} -m 0700 ${stateDir}`,
      EVERY_VERB,
    ),
  ];
}

/** Bytes free for the state folder; `undefined` when `df` said nothing that can be read. */
export function freeBytesOf(facts: Facts): number | undefined {
  const [, kibibytes] = /^(\d{1,14})$/.exec(facts.get('space') ?? '') ?? [];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

function spaceFinding(facts: Facts, stateDir: string): CheckFinding {
  const free = freeBytesOf(facts);
  const verbs: readonly StationVerb[] = ['install'];
  if (free === undefined)
    return wanting('unknown', 'space', 'df does not say what is free', `look at df -Pk ${stateDir}`, verbs);
  const text = `${Math.floor(free / MIB)} MiB are free for ${stateDir}`;
  if (free < LEAST_BYTES) return wanting('missing', 'space', text, 'make room there', EVERY_VERB);
  if (free < FEW_BYTES)
    return wanting('warning', 'space', text, 'an image that is larger is refused with STATION_FULL', verbs);
  return good('space', text, verbs);
}

function effectFinding(facts: Facts, texts: StationText): CheckFinding {
  const active = shownFact(facts, 'effect', texts);
  const verbs: readonly StationVerb[] = ['install', 'reboot', 'restart'];
  if (active === '') return good('effect', 'nothing of ours is under way', verbs);
  return wanting('warning', 'effect', `${active} is under way`, 'others wait for its end', verbs);
}

function sessionFinding(facts: Facts, texts: StationText): CheckFinding {
  const systemd = shownFact(facts, 'systemd', texts);
  const verbs: readonly StationVerb[] = ['install', 'reboot', 'restart'];
  if (systemd === '') return good('supervision', 'no systemd: effects are processes of their own session', verbs);
  if (factOf(facts, 'uid') === '0') return good('supervision', `${systemd}: effects are transient units`, verbs);
  if (factOf(facts, 'ends_sessions') !== 'yes' || factOf(facts, 'linger') === 'yes')
    return good('supervision', `${systemd}: effects outlive the session`, verbs);
  return wanting(
    'missing',
    'supervision',
    'KillUserProcesses=yes of logind ends what a session leaves behind',
    `as root: loginctl enable-linger ${shownFact(facts, 'user', texts)}`,
    verbs,
  );
}

/** `setsOwnClock`: the stations file has a command that sets the clock. */
function clockFindings(
  facts: Facts,
  { setsOwnClock: isOwn, clockOffsetMs: offsetMs, texts }: FactsOptions,
): readonly CheckFinding[] {
  const findings: CheckFinding[] = [];
  const keeper = shownFact(facts, 'keeper', texts);
  if (!isOwn && keeper !== '')
    findings.push(
      wanting('not_needed', 'clock_keeper', `${keeper} keeps the clock, which is left alone`, '', ['set_clock']),
    );
  else if (!isOwn && factOf(facts, 'uid') !== '0')
    findings.push(
      wanting(
        'missing',
        'clock_privilege',
        `${shownFact(facts, 'user', texts)} may not set the clock`,
        "set_clock: [sudo, date, -u, -s, '{seconds}'] in its entry, and the line for sudo",
        ['set_clock'],
      ),
    );
  if (offsetMs === undefined) return findings;
  const seconds = (offsetMs / 1000).toFixed(1);
  if (Math.abs(offsetMs) <= MOST_OFFSET_MS)
    return [...findings, good('clock', `its clock differs from ours by ${seconds} s`, ['read_clock'])];
  return [
    ...findings,
    wanting(
      'warning',
      'clock',
      `its clock differs from ours by ${seconds} s`,
      'set it before an update: certificates are judged by it',
      ['install', 'read_clock', 'set_clock'],
    ),
  ];
}

export interface FactsOptions {
  readonly stateDir: string;
  readonly setsOwnClock: boolean;
  readonly clockOffsetMs: number | undefined;
  readonly texts: StationText;
}

export const findingsOfFacts = (facts: Facts, options: FactsOptions): readonly CheckFinding[] => [
  toolsFinding(facts, options.texts),
  procFinding(facts),
  ...stateFindings(facts, options.stateDir, options.texts),
  spaceFinding(facts, options.stateDir),
  effectFinding(facts, options.texts),
  sessionFinding(facts, options.texts),
  ...clockFindings(facts, options),
];
