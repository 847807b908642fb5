/** Profile `rauc`, checked before use: its service, slots, version, and the dates of its keyring. */
import { X509Certificate } from 'node:crypto';
import type { RaucSettings } from '@khumbu/shared/stations/driver-entry';
import type { PlannedCommand } from '../check/commands.js';
import { good, wanting } from '../check/findings.js';
import { defectsOf } from '../check/known-defects.js';
import type { AskAnswer, Question } from '../check/questions.js';
import type { CheckFinding, StationVerb } from '../port.js';
import type { StationText } from '../station-text.js';
import type { ProfileCheck } from './profile-check.js';

const VERBS: readonly StationVerb[] = ['install', 'observe'];
const ASK_S = 20;
/** Where RAUC looks for its settings; before 1.9 the first alone. */
const CONFS = ['/etc/rauc/system.conf', '/run/rauc/system.conf', '/usr/lib/rauc/system.conf'];
/** The keyring that the settings name; a relative path starts at their folder. */
const KEYRING =
  'for c in "$@"; do [ -f "$c" ] || continue; p=$(sed -n "/^\\[keyring\\]/,/^\\[[^k]/s/^path *= *//p" "$c" | head -n 1); ' +
  'case $p in /*) ;; *) p=$(dirname "$c")/$p ;; esac; [ -r "$p" ] || { echo "$p" >&2; exit 3; }; head -c 60000 "$p"; exit 0; done; exit 2';

const unknownSlot = wanting(
  'missing',
  'rauc_booted',
  'RAUC does not know the slot that runs',
  'name it by rauc.slot= on the command line of the kernel',
  VERBS,
);

const confOf = (program: readonly string[]): readonly string[] => {
  const at = program.findIndex((word) => word === '-c' || word === '--conf' || word.startsWith('--conf='));
  if (at < 0) return CONFS;
  const word = program[at] ?? '';
  return [word.startsWith('--conf=') ? word.slice('--conf='.length) : (program[at + 1] ?? '')];
};

/** What runs as `rauc` and behind it, in all cases. */
function commandsOf(program: readonly string[], { health, mark_good: markGood }: RaucSettings): PlannedCommand[] {
  const install = (...words: readonly string[]): PlannedCommand => ({ verb: 'install', argv: [...program, ...words] });
  return [
    install('install', '{image}'),
    // From 1.14 on.
    install('install', '--require-manifest-hash', '{sha256}', '{image}'),
    install('info', '--no-check-time', '{image}'),
    install('--version'),
    install('status', 'mark-active', 'booted'),
    install('status', 'mark-active', '{slot}'),
    { verb: 'observe', argv: [...program, 'status', '--detailed', '--output-format=shell'] },
    ...(markGood === true ? [{ verb: 'observe', argv: [...program, 'status', 'mark-good'] } as const] : []),
    ...(health ? [{ verb: 'observe', argv: health } as const] : []),
  ];
}

function judgeVersion({ code, out }: AskAnswer): readonly CheckFinding[] {
  const [, version] = /^rauc (\d[\w.+~-]*)/m.exec(out) ?? [];
  if (code !== 0 || version === undefined)
    return [
      wanting('missing', 'rauc_version', 'rauc --version says nothing', 'install RAUC, or name its program', VERBS),
    ];
  return [
    good('rauc_version', `RAUC ${version}`, VERBS),
    ...defectsOf('rauc', version).map(({ before, text, remedy, source, verbs }) =>
      wanting('warning', 'rauc_defect', `RAUC before ${before}: ${text} (${source})`, remedy, verbs),
    ),
  ];
}

/** A value of the output format `shell`, as it is. */
const shellValue = (out: string, name: string): string =>
  new RegExp(`^${name}='(.*)'$`, 'm').exec(out)?.[1]?.trim() ?? '';

function judgeSlots(out: string, texts: StationText): readonly CheckFinding[] {
  const names = shellValue(out, 'RAUC_SYSTEM_SLOTS').split(' ').filter(Boolean);
  const slots = names.map((name, at) => ({ name, bootname: shellValue(out, `RAUC_SLOT_BOOTNAME_${at + 1}`) }));
  const bootable = slots.filter(({ bootname }) => bootname !== '');
  const bootname = shellValue(out, 'RAUC_SYSTEM_BOOTED_BOOTNAME');
  const booted = bootable.find((slot) => slot.bootname === bootname);
  const findings: CheckFinding[] = [];
  if (bootable.length < 2)
    findings.push(
      wanting('missing', 'rauc_slots', `it has ${bootable.length} slots with a bootname`, 'two are needed', VERBS),
    );
  else findings.push(good('rauc_slots', texts.shown(bootable.map(({ name }) => name).join(', ')), VERBS));
  if (booted) findings.push(good('rauc_booted', texts.shown(`it runs from ${booted.name} (${bootname})`), VERBS));
  else findings.push(unknownSlot);
  if (shellValue(out, 'RAUC_BOOT_PRIMARY') === '')
    findings.push(
      wanting(
        'warning',
        'rauc_primary',
        'the bootloader does not tell what it boots next (boot_primary is null)',
        'a slot that fell back is found by booted alone; set bootloader= in system.conf',
        ['install'],
      ),
    );
  return findings;
}

function judgeStatus({ code, out, err }: AskAnswer, texts: StationText): readonly CheckFinding[] {
  if (code === 0) return [good('rauc_service', 'its service answers', VERBS), ...judgeSlots(out, texts)];
  const why = texts.lastLine(err, 300);
  if (/already processing a different method/i.test(err))
    return [
      wanting('warning', 'rauc_busy', 'RAUC installs something else now', 'an install waits for its end', ['install']),
    ];
  if (/booted slot not found/i.test(err)) return [unknownSlot];
  return [wanting('missing', 'rauc_service', `its service does not answer: ${why}`, 'systemctl status rauc', VERBS)];
}

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function datesOf(
  pem: string,
  texts: StationText,
): { readonly name: string; readonly from: number; readonly to: number } | undefined {
  try {
    const certificate = new X509Certificate(pem);
    return {
      name: texts.shown(certificate.subject, 100),
      from: Date.parse(certificate.validFrom),
      to: Date.parse(certificate.validTo),
    };
  } catch {
    return undefined;
  }
}

/** Told by the station's own clock, as RAUC does. */
function judgeKeyring({ code, out, err }: AskAnswer, nowMs: number, texts: StationText): CheckFinding {
  const subject = 'rauc_keyring';
  const verbs: readonly StationVerb[] = ['install'];
  if (code === 3)
    return wanting('warning', subject, `the keyring ${texts.shown(err, 200)} cannot be read by us`, 'look as root', []);
  const certificates = (out.match(PEM) ?? []).map((pem) => datesOf(pem, texts)).filter((dates) => dates !== undefined);
  if (code !== 0 || certificates.length === 0)
    return wanting('warning', subject, 'no certificate of the keyring was found', 'look at path= in [keyring]', []);
  const valid = certificates.filter(({ from, to }) => from <= nowMs && nowMs <= to);
  if (valid.length === 0) {
    const dates = certificates.map(({ name, to }) => `${name} until ${new Date(to).toISOString()}`).join('; ');
    return wanting(
      'missing',
      subject,
      `no certificate of the keyring is valid now: ${dates}`,
      'clock, or keyring',
      verbs,
    );
  }
  const first = new Date(Math.min(...valid.map(({ to }) => to))).toISOString();
  return good(
    subject,
    `${certificates.length} in the keyring, ${valid.length} valid now, the first until ${first}`,
    verbs,
  );
}

const noAnswer: AskAnswer = { kind: 'ask', out: '', err: '' };

export function raucCheck(settings: RaucSettings): ProfileCheck {
  const program = settings.program ?? ['rauc'];
  const ask = (...argv: readonly string[]): Question => ({ kind: 'ask', argv, limitS: ASK_S });
  return {
    commands: commandsOf(program, settings),
    questions: [
      ask(...program, '--version'),
      ask(...program, 'status', '--detailed', '--output-format=shell'),
      ask('/bin/sh', '-c', KEYRING, 'keyring', ...confOf(program)),
    ],
    judge(answers, nowMs, texts) {
      const [version = noAnswer, status = noAnswer, keyring = noAnswer] = answers.map((answer) =>
        answer.kind === 'ask' ? answer : noAnswer,
      );
      return [...judgeVersion(version), ...judgeStatus(status, texts), judgeKeyring(keyring, nowMs, texts)];
    },
  };
}
