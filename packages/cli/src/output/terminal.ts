/** Where the command line reads and writes. Results go to stdout, all else to stderr. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { Failure } from '../failure.js';

export type Terminal = ReturnType<typeof createTerminal>;

const FALLBACK_COLUMNS = 80;
/** Control characters would move the cursor, or worse: what stations and servers say is shown without them. */
const CONTROLS = /[^\P{Cc}\t]/gu;

/** Text of others, for one line of a terminal. Pure. */
export const plain = (text: string): string =>
  text.replace(CONTROLS, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);

/** `signal` ends what is waited for. */
export function createTerminal(process: NodeJS.Process, signal: AbortSignal) {
  const { stdin, stdout, stderr } = process;
  const isLive = stderr.isTTY === true;
  let live = '';
  const wipe = (): void => void (live !== '' && stderr.write('\r\u001b[2K'));

  /** A line from a person, or of what is piped in. */
  async function line(question: string, isSecret: boolean): Promise<string> {
    const isAsked = stdin.isTTY === true;
    if (isAsked && question !== '') stderr.write(question);
    const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
    // As a terminal readline echoes nothing but what it is given as output.
    const reader = createInterface({ input: stdin, output: isSecret ? silence : stderr, terminal: isAsked });
    try {
      // By its event, which also tells of a last line without an end; a question does not hear of that one.
      const answer = await new Promise<string | undefined>((resolve, reject) => {
        reader.once('line', resolve);
        reader.once('close', () => resolve(undefined));
        const interrupted = (): void => reject(new Failure('interrupted', 'INTERRUPTED', 'interrupted'));
        reader.once('SIGINT', interrupted);
        signal.addEventListener('abort', interrupted, { once: true });
      });
      if (isAsked && isSecret) stderr.write('\n');
      if (answer === undefined) throw new Failure('usage', 'NO_INPUT', 'standard input has ended without a line');
      return answer.trim();
    } finally {
      reader.close();
    }
  }

  return {
    /** Somebody looks at what is waited for. */
    isLive,
    /** Somebody can be asked. */
    isAnswering: stdin.isTTY === true && isLive,
    columns: (): number => stdout.columns ?? stderr.columns ?? FALLBACK_COLUMNS,
    /** A result: lines to stdout, as they are. */
    print: (text: string): void => void stdout.write(`${text}\n`),
    /** JSON on one line. */
    json: (value: unknown): void => void stdout.write(`${JSON.stringify(value)}\n`),
    /** For people, above the line that moves. */
    say(text: string): void {
      wipe();
      stderr.write(`${text}\n`);
      if (live !== '') stderr.write(live);
    },
    /** The line that moves; empty: none. Nothing where nobody looks. */
    live(text: string): void {
      if (!isLive) return;
      wipe();
      live = plain(text).slice(0, (stderr.columns ?? FALLBACK_COLUMNS) - 1);
      stderr.write(live);
    },
    line,
    /** Bytes to stdout, no faster than they are read there. */
    write: (bytes: Uint8Array | string): Promise<void> =>
      new Promise((resolve, reject) => {
        stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
      }),
  };
}
