/** The commands of a station's entry: whether each is there, and may be run. Pure. */

import type { CheckFinding, StationVerb } from '../port.js';
import type { StationText } from '../station-text.js';
import { good, wanting } from './findings.js';
import { compareVersions } from './known-defects.js';
import { type AskAnswer, type ProgramAnswer, unwrap } from './questions.js';

/** A command that a verb runs at the station. A word in braces, as `{image}`, stands for a value. */
export interface PlannedCommand {
  readonly verb: StationVerb;
  readonly argv: readonly string[];
}

/** Values as they will be, where a command is asked about before there are any. */
export const SAMPLES = (stateDir: string): Readonly<Record<string, string>> => ({
  image: `${stateDir}/images/${'0'.repeat(64)}`,
  url: `http://depot/v1/firmware-artifacts/${'0'.repeat(64)}/content?expires=1767225600&signature=${'0'.repeat(43)}`,
  sha256: '0'.repeat(64),
  size: '1048576',
  operation: 'firmware-update-m0000000-0000000000',
  time: '2026-01-01T00:00:00.000Z',
  seconds: '@1767225600.000',
  boot: `_BOOT_ID=${'0'.repeat(32)}`,
  type: 'DiagnosticsLog',
  oldest: '2026-01-01T00:00:00.000Z',
  latest: '2026-01-01T00:00:00.000Z',
  interface: 'eth0',
  device: '/org/freedesktop/NetworkManager/Devices/1',
  checkpoint: '/org/freedesktop/NetworkManager/Checkpoint/1',
  slot: 'rootfs.0',
  value: 'a',
});

/** Of the entry: it may have passwords among its words. */
const shown = (argv: readonly string[], texts: StationText): string => texts.shown(argv.join(' '), 300);

export function findingOfCommand(
  { verb, argv }: PlannedCommand,
  { state, said }: ProgramAnswer,
  texts: StationText,
): CheckFinding {
  const command = shown(argv, texts);
  const subject = 'command';
  const why = texts.shown(said, 300);
  switch (state) {
    case 'found':
      return good(subject, command, [verb]);
    case 'denied':
      return wanting('missing', subject, `${command}: ${why} cannot be run`, `make it executable for the user`, [verb]);
    case 'refused':
      return wanting(
        'missing',
        subject,
        `${command}: sudo refuses it${why === '' ? '' : ` (${why})`}`,
        'npm run station-sudoers prints the lines that allow it',
        [verb],
      );
    case 'missing':
      return wanting('missing', subject, `${command}: the program is not there`, 'install it, or change the entry', [
        verb,
      ]);
  }
}

/** `systemctl reboot` and the like, of a user that is not root: polkit decides. */
export function findingOfSystemctl(
  { verb, argv }: PlannedCommand,
  facts: ReadonlyMap<string, string>,
  texts: StationText,
): CheckFinding | undefined {
  if (argv[0] !== 'systemctl' && argv[0] !== '/usr/bin/systemctl' && argv[0] !== '/bin/systemctl') return undefined;
  if (facts.get('systemd') === undefined)
    return wanting('missing', 'systemd', 'systemd does not run there', `name another command for ${verb}`, [verb]);
  if (facts.get('uid') === '0') return undefined;
  const isAllowed = argv[1] === 'reboot' && facts.get('may_reboot') === 's "yes"';
  if (isAllowed) return good('polkit', 'polkit allows a reboot', [verb]);
  return wanting(
    argv[1] === 'reboot' ? 'missing' : 'unknown',
    'polkit',
    `${shown(argv, texts)} needs root, or a rule of polkit`,
    `put sudo before it in the entry, and the line for sudo`,
    [verb],
  );
}

/** The unit that a command restarts by systemd. */
export function unitOf({ argv }: PlannedCommand): string | undefined {
  const [program, verb, unit, ...more] = unwrap(argv).argv;
  const isRestart = /(?:^|\/)systemctl$/.test(program ?? '') && verb === 'restart' && more.length === 0;
  return isRestart ? unit : undefined;
}

/** What `systemctl show` says of a unit: it ends well for one that it does not know, too. */
export const unitQuestion = (unit: string): readonly string[] => [
  'systemctl',
  'show',
  '--property=LoadState',
  '--value',
  unit,
];

export function findingOfUnit(
  { verb }: PlannedCommand,
  unit: string,
  { out }: AskAnswer,
  texts: StationText,
): CheckFinding | undefined {
  const state = out.trim();
  if (state === 'loaded') return good('unit', `systemd knows ${unit}`, [verb]);
  if (state === '') return undefined;
  return wanting(
    'missing',
    'unit',
    `systemd says of ${unit}: ${texts.shown(out, 40)}`,
    'name the unit that EVerest runs as',
    [verb],
  );
}

/** The first that reads regular expressions in sudoers. */
const OLDEST_SUDO = '1.9.10';

export function findingOfSudo(
  commands: readonly PlannedCommand[],
  version: string,
  texts: StationText,
): CheckFinding | undefined {
  const verbs = [...new Set(commands.filter(({ argv }) => unwrap(argv).isPrivileged).map(({ verb }) => verb))];
  if (verbs.length === 0 || version === '' || compareVersions(version, OLDEST_SUDO) >= 0) return undefined;
  const text = `sudo ${texts.shown(version, 40)} does not read the lines of npm run station-sudoers`;
  return wanting('warning', 'sudo', text, `sudo ${OLDEST_SUDO}, or lines of your own`, verbs);
}
