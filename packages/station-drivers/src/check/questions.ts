/** What a check asks a station, as words for the script that looks, and its answers. Pure. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { readSections } from '../station/station-program.js';

/** A program that would be run, by its argument vector, and whether it would be run by sudo. */
export interface Wrapped {
  readonly isPrivileged: boolean;
  /** What sudo is asked, or the program itself. */
  readonly argv: readonly string[];
}

/** What stands behind `sudo` and `env NAME=VALUE`. */
export function unwrap(argv: readonly string[]): Wrapped {
  const [first, ...rest] = argv;
  if (first === 'sudo' || first?.endsWith('/sudo')) return { isPrivileged: true, argv: rest };
  if (first !== 'env' && first !== '/usr/bin/env') return { isPrivileged: false, argv };
  const program = rest.findIndex((word) => !word.includes('='));
  return program < 0 ? { isPrivileged: false, argv } : unwrap(rest.slice(program));
}

export type Question =
  | { readonly kind: 'program'; readonly argv: readonly string[] }
  | { readonly kind: 'ask'; readonly argv: readonly string[]; readonly limitS: number }
  | { readonly kind: 'file'; readonly paths: readonly string[] };

/** How a program that would be run is there. `refused`: sudo wants a password, or does not know it. */
export type ProgramAnswer = {
  readonly kind: 'program';
  readonly state: 'found' | 'missing' | 'denied' | 'refused';
  readonly said: string;
};
/** `code`: absent when it printed more than it may. */
export interface AskAnswer {
  readonly kind: 'ask';
  readonly code?: number;
  readonly out: string;
  readonly err: string;
}
export interface FileAnswer {
  readonly kind: 'file';
  readonly path?: string;
  /** Absent: it is not there, or cannot be read. */
  readonly text?: string;
}
export type Answer<Q extends Question = Question> = Q extends { kind: 'program' }
  ? ProgramAnswer
  : Q extends { kind: 'ask' }
    ? AskAnswer
    : FileAnswer;

export function wordsOf(question: Question): readonly string[] {
  if (question.kind === 'file') return ['file', String(question.paths.length), ...question.paths];
  if (question.kind === 'ask') return ['ask', String(question.limitS), String(question.argv.length), ...question.argv];
  const { isPrivileged, argv } = unwrap(question.argv);
  const words = isPrivileged ? argv : argv.slice(0, 1);
  return [isPrivileged ? 'sudo' : 'plain', String(words.length), ...words];
}

function programAnswer(text: string): ProgramAnswer {
  const [word, ...rest] = text.split(' ');
  const state = word === 'found' || word === 'denied' ? word : 'missing';
  return { kind: 'program', state, said: rest.join(' ') };
}

/** `sudo -n -l`: 0 and the command with its path, or 1 and why not. */
function sudoAnswer(text: string): ProgramAnswer {
  const [code, ...rest] = text.split(' ');
  const said = rest.join(' ');
  if (code === '0') return { kind: 'program', state: 'found', said };
  const isMissing = code === '127' || /command not found|no such file/i.test(said);
  return { kind: 'program', state: isMissing ? 'missing' : 'refused', said };
}

function askAnswer(out: string, err: string): AskAnswer {
  const [, text = out, code] = /^([\s\S]*)\n(\d{1,3})$/.exec(out) ?? [];
  return { kind: 'ask', out: text, err, ...(code === undefined ? {} : { code: Number(code) }) };
}

function fileAnswer(text: string): FileAnswer {
  if (text === '') return { kind: 'file' };
  if (text.startsWith('unreadable ')) return { kind: 'file', path: text.slice('unreadable '.length) };
  const end = text.indexOf('\n');
  return { kind: 'file', path: text.slice(0, end), text: text.slice(end + 1) };
}

export interface Looked {
  readonly facts: ReadonlyMap<string, string>;
  /** In the order of the questions. */
  readonly answers: readonly Answer[];
}

/** Throws `STATION_FAILED` for what is no answer to these questions. */
export function readAnswers(output: Buffer, questions: readonly Question[]): Looked {
  const sections = readSections(output);
  const next = (name: string): string => {
    const text = taken.get(name)?.shift();
    if (text === undefined) throw new CodedError('STATION_FAILED', 'the station answers in no known form');
    return text.toString('utf8');
  };
  const taken = new Map([...sections].map(([name, list]) => [name, [...list]]));
  const facts = new Map(
    next('facts')
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const),
  );
  const answers = questions.map((question): Answer => {
    if (question.kind === 'file') return fileAnswer(next('file'));
    if (question.kind === 'ask') return askAnswer(next('out'), next('err'));
    return unwrap(question.argv).isPrivileged ? sudoAnswer(next('sudo')) : programAnswer(next('program'));
  });
  return { facts, answers };
}
