/** Profile `swupdate`, checked before use: who listens, the bootloader's variables, the slot that runs, versions. */

import type { SwupdateSettings } from '@khumbu/shared/stations/driver-entry';
import type { PlannedCommand } from '../check/commands.js';
import { good, wanting } from '../check/findings.js';
import { defectsOf } from '../check/known-defects.js';
import type { AskAnswer, Question } from '../check/questions.js';
import type { CheckFinding, StationVerb } from '../port.js';
import type { StationText } from '../station-text.js';
import type { ProfileCheck } from './profile-check.js';

const INSTALL: readonly StationVerb[] = ['install'];
const BOTH: readonly StationVerb[] = ['install', 'observe'];
const ASK_S = 20;
/** What SWUpdate itself leaves in the environment of the bootloader. */
const MARKS = ['recovery_status', 'ustate'];

/** The sockets that a process listens on, by their paths; which of the programs that can ask is there; the version. */
const LOOK =
  'while read -r _ _ _ f _ _ _ p; do [ "$f" != 00010000 ] || echo "socket $p"; done </proc/net/unix; ' +
  'for each in perl python3 socat; do ! command -v "$each" >/dev/null || echo "asks $each"; done; [ -n "$TMPDIR" ] || TMPDIR=/tmp; echo "temporary $TMPDIR"; ' +
  'v=$(dpkg-query -s swupdate 2>/dev/null | sed -n "s/^Version: //p"); [ -n "$v" ] || v=$(swupdate --version 2>/dev/null | head -n 1); echo "version $v"';

const readVariableOf = (settings: SwupdateSettings): readonly string[] =>
  settings.read_variable ?? ['fw_printenv', '-n'];

/** What runs SWUpdate, one for each selection. */
function installsOf(settings: SwupdateSettings): readonly (readonly string[])[] {
  const selections = Object.values(settings.selections ?? {});
  const choices = selections.length === 0 ? [[]] : selections.map((selection) => ['-e', selection]);
  const { program, public_key: key, hardware } = settings;
  if (!program)
    return choices.map((choice) => [...(settings.client ?? ['swupdate-client']), '-v', ...choice, '{image}']);
  const signed = key === undefined ? [] : ['-k', key];
  const board = hardware === undefined ? [] : ['-H', hardware];
  const fixed = [...program, '-v', '-B', settings.bootloader ?? 'uboot', ...signed, ...board];
  return choices.map((choice) => [...fixed, ...choice, '-i', '{image}']);
}

/** What runs as SWUpdate and beside it, in all cases. */
function commandsOf(settings: SwupdateSettings): PlannedCommand[] {
  const write = settings.write_variable ?? ['fw_setenv'];
  const names = settings.boot_variables;
  const install = (argv: readonly string[]): PlannedCommand => ({ verb: 'install', argv });
  const { version, health } = settings;
  return [
    ...installsOf(settings).map(install),
    ...[...names, ...MARKS].map((name) => install([...readVariableOf(settings), name])),
    ...names.flatMap((name) => [install([...write, name, '{value}']), install([...write, name])]),
    { verb: 'observe', argv: settings.running_slot },
    ...(version ? [{ verb: 'observe', argv: version } as const] : []),
    ...(health ? [{ verb: 'observe', argv: health } as const] : []),
  ];
}

function judgeSlot(
  slot: AskAnswer,
  variable: AskAnswer,
  settings: SwupdateSettings,
  texts: StationText,
): readonly CheckFinding[] {
  const [name = ''] = settings.boot_variables;
  const runs = slot.out.trim();
  const next = texts.shown(variable.out, 100);
  const selections = settings.selections && Object.keys(settings.selections);
  const findings: CheckFinding[] = [];
  if (slot.code !== 0 || runs === '')
    findings.push(
      wanting('missing', 'swupdate_slot', 'the slot that runs is not known', 'run running_slot by hand', BOTH),
    );
  else if (selections && !selections.includes(runs))
    findings.push(
      wanting(
        'missing',
        'swupdate_slot',
        `no selection is there for the slot that runs, ${texts.shown(slot.out, 100)}`,
        'selections',
        INSTALL,
      ),
    );
  else findings.push(good('swupdate_slot', `it runs from ${texts.shown(slot.out, 100)}`, BOTH));
  if (variable.code !== 0 || /using default|default env/i.test(variable.err))
    findings.push(
      wanting(
        'missing',
        'swupdate_variables',
        `the variables of the bootloader cannot be read: ${texts.shown(variable.err, 200)}`,
        '/etc/fw_env.config, and the rights to what it names',
        INSTALL,
      ),
    );
  else findings.push(good('swupdate_variables', `${name} is ${next === '' ? 'not set' : next}`, INSTALL));
  return findings;
}

function judgeDaemon(lines: readonly string[], settings: SwupdateSettings): readonly CheckFinding[] {
  const after = (word: string): readonly string[] =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
  const { program, control_socket: named } = settings;
  const folders = [settings.tmpdir ?? after('temporary')[0] ?? '/tmp', '/run/swupdate', '/tmp'];
  const places = named === undefined ? folders.map((folder) => `${folder}/sockinstctrl`) : [named];
  const heard = places.find((place) => after('socket').includes(place));
  const findings: CheckFinding[] = [];
  if (program && heard !== undefined)
    findings.push(
      wanting('warning', 'swupdate_daemon', `SWUpdate listens on ${heard}`, 'an install waits for its end', INSTALL),
    );
  if (program) return findings;
  if (heard === undefined)
    findings.push(
      wanting('missing', 'swupdate_daemon', `nobody listens on ${places.join(', ')}`, 'start SWUpdate', INSTALL),
    );
  else findings.push(good('swupdate_daemon', `SWUpdate listens on ${heard}`, INSTALL));
  if (after('asks').length === 0)
    findings.push(
      wanting('missing', 'swupdate_asks', 'there is neither perl nor python3 nor socat', 'install one', INSTALL),
    );
  return findings;
}

function judgeVersion(lines: readonly string[]): readonly CheckFinding[] {
  const said = lines.find((line) => line.startsWith('version '))?.slice('version '.length) ?? '';
  const [version] = /\d{4}\.\d{2}(?:\.\d+)?/.exec(said) ?? [];
  // Debian's build prints none, and other systems have no dpkg.
  if (version === undefined) return [];
  return [
    good('swupdate_version', `SWUpdate ${version}`, INSTALL),
    ...defectsOf('swupdate', version).map(({ before, text, remedy, source, verbs }) =>
      wanting('warning', 'swupdate_defect', `SWUpdate before ${before}: ${text} (${source})`, remedy, verbs),
    ),
  ];
}

/** An update that was begun and has not ended; or one is at work. */
function judgeMark({ code, out }: AskAnswer): readonly CheckFinding[] {
  if (code !== 0 || out.trim() !== 'in_progress') return [];
  const text = 'an update is at work, or was broken off (recovery_status is in_progress)';
  return [wanting('warning', 'swupdate_mark', text, 'the next image is installed in full', INSTALL)];
}

const noAnswer: AskAnswer = { kind: 'ask', out: '', err: '' };

export function swupdateCheck(settings: SwupdateSettings): ProfileCheck {
  const ask = (...argv: readonly string[]): Question => ({ kind: 'ask', argv, limitS: ASK_S });
  const read = readVariableOf(settings);
  return {
    commands: commandsOf(settings),
    questions: [
      ask(...settings.running_slot),
      ask(...read, settings.boot_variables[0] ?? ''),
      ask(...read, 'recovery_status'),
      ask('/bin/sh', '-c', LOOK),
    ],
    judge(answers, _nowMs, texts) {
      const [slot = noAnswer, variable = noAnswer, mark = noAnswer, look = noAnswer] = answers.map((answer) =>
        answer.kind === 'ask' ? answer : noAnswer,
      );
      const lines = look.out.split('\n');
      return [
        ...judgeDaemon(lines, settings),
        ...judgeSlot(slot, variable, settings, texts),
        ...judgeMark(mark),
        ...judgeVersion(lines),
      ];
    },
  };
}
