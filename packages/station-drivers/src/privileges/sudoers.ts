/**
 * Lines for sudo from the entry of a station: what its commands need, word by word. Pure. Arguments with values are regular
 * expressions, which sudo has since 1.9.10: a `*` of older ones matches blanks as well, and so any argument that follows.
 */
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { PlannedCommand } from '../check/commands.js';
import { unwrap } from '../check/questions.js';
import type { StationVerb } from '../port.js';
import { inExtended, VALUE_PATTERNS } from './value-patterns.js';

export interface SudoersOptions {
  readonly station: string;
  /** Of the station. */
  readonly user: string;
  readonly stateDir: string;
  readonly commands: readonly PlannedCommand[];
  /** Seconds after which sudo ends a command: we cannot, it is not ours. */
  readonly limitOf: (verb: StationVerb) => number;
  /** Absolute path of a program. */
  readonly pathOf: (program: string) => string | undefined;
}

/** The programs that run by sudo, as the entry names them. */
export const privilegedPrograms = (commands: readonly PlannedCommand[]): readonly string[] => [
  ...new Set(commands.flatMap(({ argv }) => privilegedArgv(argv)?.slice(0, 1) ?? [])),
];

/** What stands behind `sudo`; `undefined`: it does not run by sudo. Throws `SUDO_OPTION`. */
function privilegedArgv(argv: readonly string[]): readonly string[] | undefined {
  const { isPrivileged, argv: rest } = unwrap(argv);
  if (!isPrivileged) return undefined;
  const program = rest.findIndex((word) => word !== '-n' && word !== '--');
  const words = program < 0 ? [] : rest.slice(program);
  const [first = ''] = words;
  if (first === '' || first.startsWith('-') || first.includes('='))
    throw new CodedError('SUDO_OPTION', `no line can be made for sudo ${rest.join(' ')}: options but -n are not read`);
  return words;
}

const PLAIN_WORD = /^[A-Za-z0-9_./-]+$/;

function argumentsOf(words: readonly string[], stateDir: string): string {
  if (words.length === 0) return '""';
  const patterns = VALUE_PATTERNS(stateDir);
  const hasValues = words.some((word) => word.startsWith('{') && patterns[word.slice(1, -1)] !== undefined);
  if (!hasValues && words.every((word) => PLAIN_WORD.test(word))) return words.join(' ');
  const parts = words.map((word) => patterns[/^\{(\w+)\}$/.exec(word)?.[1] ?? ''] ?? inExtended(word));
  // The one character that has to be escaped beside those of the expression.
  return `^${parts.join(' ').replaceAll('#', '\\#')}$`;
}

/** Throws `SUDO_OPTION`, and `PROGRAM_UNKNOWN` for a program whose path nobody knows. */
export function sudoersOf({ station, user, stateDir, commands, limitOf, pathOf }: SudoersOptions): string {
  const lines = new Map<string, StationVerb>();
  for (const { verb, argv } of commands) {
    const [program, ...words] = privilegedArgv(argv) ?? [];
    if (program === undefined) continue;
    const path = program.startsWith('/') ? program : pathOf(program);
    if (path === undefined)
      throw new CodedError('PROGRAM_UNKNOWN', `${program} is not there: name it by its path in the entry`);
    const who = `${user} ALL=(root) TIMEOUT=${limitOf(verb)} NOPASSWD:`;
    const line = `${who} ${inSudoers(path)} ${argumentsOf(words, stateDir)}`;
    if (!lines.has(line)) lines.set(line, verb);
  }
  const head = [
    `# Khumbu, station ${station}: what ${user} may run as root. Needs sudo 1.9.10 or newer.`,
    '# Put it into /etc/sudoers.d/khumbu, mode 0440, owned by root, once visudo -cf has read it.',
  ];
  const body = [...lines].map(([line, verb]) => `# ${verb}\n${line}`);
  return `${[...head, ...body].join('\n')}\n`;
}

/** Characters that sudoers reads in the path of a command. */
const inSudoers = (path: string): string => path.replace(/[\\,:= *?[\]!#"]/g, '\\$&');
