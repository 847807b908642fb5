/** The program that runs on the station: put there by hash, called by argument vector. */
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { unreachable } from '../pool.js';
import { plainText, type StationText } from '../station-text.js';
import type { Transport } from '../transports/transport.js';
import { type CallOptions, type CallResult, call } from './call.js';

const OURS = readFileSync(new URL('../../../station/khumbu-station.sh', import.meta.url));

/** Exit codes of our own: the program is not there; it could not do what it should. */
const NOT_THERE = 91;
const FAILED = 90;

/** The station could not do what it should. */
export class StationFailed extends CodedError {
  /** Because it had no room: told by its own words, as they were. */
  readonly isFull: boolean;
  constructor(said: string, texts: StationText, what = '') {
    super('STATION_FAILED', `${what}${texts.shown(said)}`);
    this.isFull = /no space/i.test(said);
  }
}

/** What the gate of a forced command answers to what it does not know. */
const REFUSED = 126;

/** Throws `STATION_UNREACHABLE` for an answer of the gate: it was made for another version of Khumbu, or another entry. */
export function assertLetIn({ code, stderr }: Pick<CallResult, 'code' | 'stderr'>): void {
  if (code === REFUSED && stderr.includes('khumbu-gate: refused'))
    throw unreachable('the gate of the station refuses it: npm run station-gate makes it anew', undefined, 'gate');
}

/** STATE_DIR N NAMES... VERB ARGUMENTS...: all scripts must be there; the first one is called. */
const START =
  's=$1; n=$2; p=$3; shift 2; while [ "$n" -gt 0 ]; do [ -r "$s/$1" ] || exit 91; shift; n=$((n - 1)); done; ' +
  'v=$1; shift; exec /bin/sh "$s/$p" "$v" "$s" "$@"';
const PUT =
  'umask 077; mkdir -p "$1" || exit 90; t=$1/.$2.$$; cat >"$t" || exit 90; h=$(sha256sum <"$t") || exit 90; ' +
  'case $h in "$3 "*) sync; mv -f "$t" "$1/$2" ;; *) rm -f "$t"; exit 92 ;; esac';

export interface StationScript {
  /** Its name at the station, with its hash. */
  readonly name: string;
  readonly sha256: string;
  readonly bytes: Buffer;
}

/** A script for a station. `name` is a plain word of ours. */
export function stationScript(name: string, bytes: Buffer): StationScript {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { name: `${name}-${sha256}.sh`, sha256, bytes };
}

const PROGRAM = stationScript('khumbu-station', OURS);

export interface StationProgramOptions {
  readonly transport: Transport;
  readonly stateDir: string;
  /** Scripts of the profile, put there beside our program. */
  readonly scripts: readonly StationScript[];
  /** What tells one boot from another; empty: the kernel. */
  readonly bootId: readonly string[];
  /** Default: by the rules by name alone. */
  readonly texts?: StationText;
}

export type RunOptions = Omit<CallOptions, 'timeoutMs'> & { readonly limitS: number };

export interface StationProgram {
  /** Call a verb of the program. Rejects as `call` does, and with `STATION_FAILED` when it could not do what it should. */
  ask(verb: string, args: readonly string[], options: CallOptions): Promise<CallResult>;
  /**
   * Run a command that ends with us: by its name when the signal fires, after `limitS` at the station in any case. Resolves
   * also for other exit codes than 0; 124 is the time limit.
   */
  run(argv: readonly string[], options: RunOptions): Promise<CallResult>;
  /** The argument vector of a verb, for a process that is not waited for; `prepare` has been called. */
  argvOf(verb: string, args: readonly string[]): readonly string[];
  /** The argument vectors by which our scripts are put there. */
  readonly puts: readonly (readonly string[])[];
  /** End what runs under this name, if anything does and the station can be reached. */
  end(nonce: string): void;
  /** Put our scripts there if one is missing. */
  prepare(options: CallOptions): Promise<void>;
}

export const newNonce = (): string => randomUUID();

export function createStationProgram({
  transport,
  stateDir,
  scripts,
  bootId,
  texts = plainText,
}: StationProgramOptions): StationProgram {
  const ours = [PROGRAM, ...scripts];
  const putArgv = ({ name, sha256 }: StationScript): readonly string[] => [
    '/bin/sh',
    '-c',
    PUT,
    'khumbu',
    stateDir,
    name,
    sha256,
  ];
  const callThere = async (argv: readonly string[], options: CallOptions): Promise<CallResult> => {
    const result = await call(transport, argv, { ...options, texts: options.texts ?? texts });
    assertLetIn(result);
    return result;
  };
  const put = async (script: StationScript, { signal, timeoutMs }: CallOptions): Promise<void> => {
    const { bytes } = script;
    const argv = putArgv(script);
    const { code, stderr } = await callThere(argv, { signal, timeoutMs, input: bytes });
    if (code === 0) return;
    const why = code === 92 ? 'what arrived is not what was sent' : stderr;
    throw new StationFailed(why, texts, `the state folder ${stateDir} cannot be used: `);
  };

  const argvOf = (verb: string, args: readonly string[]): readonly string[] => [
    '/bin/sh',
    '-c',
    START,
    'khumbu',
    stateDir,
    String(ours.length),
    ...ours.map(({ name }) => name),
    verb,
    String(bootId.length),
    ...bootId,
    ...args,
  ];

  const ask = async (verb: string, args: readonly string[], options: CallOptions): Promise<CallResult> => {
    let result = await callThere(argvOf(verb, args), options);
    if (result.code === NOT_THERE) {
      for (const script of ours) await put(script, options);
      result = await callThere(argvOf(verb, args), options);
    }
    if (result.code === NOT_THERE) throw unreachable('the station lost what was just put there');
    if (result.code === FAILED) throw new StationFailed(result.stderr, options.texts ?? texts);
    return result;
  };

  /** Its own short time: the signal that ended what it is about has fired. */
  const end = (nonce: string): void => {
    const options = { signal: AbortSignal.timeout(20_000), timeoutMs: 15_000 };
    // If the station cannot be reached, the time limit that is kept there ends it.
    call(transport, argvOf('end-run', [nonce]), options).catch(() => {});
  };

  return {
    ask,
    argvOf,
    puts: ours.map(putArgv),
    end,
    async run(argv, { limitS, ...options }) {
      const nonce = newNonce();
      try {
        // Some seconds more than at the station: its own word about the limit is the better one.
        return await ask('run', [nonce, String(limitS), ...argv], { ...options, timeoutMs: (limitS + 15) * 1000 });
      } catch (error) {
        if (!(error instanceof CodedError) || error.code !== 'STATION_FAILED') end(nonce);
        throw error;
      }
    },
    async prepare(options) {
      await ask('missing', [], options);
    },
  };
}

/** What the program prints: `@name length`, the bytes, a line end; again and again. Throws `STATION_FAILED`. */
export function readSections(output: Buffer): ReadonlyMap<string, readonly Buffer[]> {
  const sections = new Map<string, Buffer[]>();
  let at = 0;
  while (at < output.length) {
    const lineEnd = output.indexOf(0x0a, at);
    const [, name = '', size = ''] =
      /^@([a-z-]+) (\d{1,8})$/.exec(output.subarray(at, Math.max(lineEnd, at)).toString('latin1')) ?? [];
    const from = lineEnd + 1;
    const to = from + Number(size);
    if (name === '' || output[to] !== 0x0a)
      throw new CodedError('STATION_FAILED', 'the station answers in no known form');
    const section = output.subarray(from, to);
    const known = sections.get(name);
    if (known) known.push(section);
    else sections.set(name, [section]);
    at = to + 1;
  }
  return sections;
}
