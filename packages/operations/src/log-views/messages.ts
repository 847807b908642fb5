/**
 * What a gateway and a log-worker say to each other about one live view of logs. Over publish and subscribe: nothing is stored. From
 * the worker: a word, its number and a line end, then bytes; from the reader: a word and a number.
 */

/** What is looked for. Put at the end of a list in Redis; one worker takes it. */
export interface LogViewRequest {
  readonly id: string;
  readonly station: string;
  readonly type: 'DiagnosticsLog' | 'SecurityLog';
  /** Milliseconds since 1970, of the station's clock; both inclusive. */
  readonly since?: number;
  readonly until?: number;
  /** In the syntax of RE2; only lines that it fits somewhere. */
  readonly grep?: string;
  readonly sources?: readonly string[];
  /** The newest records of each source, and not all of the window. */
  readonly newest: boolean;
  readonly follow: boolean;
  readonly format: LogViewFormat;
}

export type LogViewFormat = 'json' | 'text';

/** `opened`: bytes will follow. `failed`: nothing could be opened, and none will. `alive`: it goes on. */
const WORDS = ['opened', 'bytes', 'failed', 'ended', 'alive'] as const;
export type ViewMessageWord = (typeof WORDS)[number];

export interface ViewMessage {
  readonly word: ViewMessageWord;
  /** From 0, without a gap: one that is missing was lost. */
  readonly number: number;
  readonly bytes: Buffer;
}

/** Why nothing could be opened: code and words of an error. */
export interface ViewFailure {
  readonly code: string;
  readonly message: string;
}

const LF = 0x0a;

export const viewMessage = (word: ViewMessageWord, number: number, bytes: Buffer | string = ''): Buffer =>
  Buffer.concat([Buffer.from(`${word} ${number}\n`), Buffer.from(bytes)]);

/** `undefined`: it is no such message. */
export function readViewMessage(message: Buffer): ViewMessage | undefined {
  const end = message.indexOf(LF);
  const [, said = '', number] =
    /^([a-z]{1,10}) (\d{1,15})$/.exec(message.toString('latin1', 0, Math.max(0, end))) ?? [];
  const word = WORDS.find((each) => each === said);
  return word && { word, number: Number(number), bytes: message.subarray(end + 1) };
}

/** `taken`: so many bytes in all have gone on to who looks. Also says that the reader is there. `gone`: nobody looks any more. */
export type ReaderMessage = { readonly taken: number } | 'gone';

export const readerMessage = (message: ReaderMessage): string =>
  message === 'gone' ? 'gone' : `taken ${message.taken}`;

export function readReaderMessage(message: string): ReaderMessage | undefined {
  if (message === 'gone') return 'gone';
  const [, taken] = /^taken (\d{1,15})$/.exec(message) ?? [];
  return taken === undefined ? undefined : { taken: Number(taken) };
}

/** So many bytes may be on their way; then the worker waits, and by it the station. */
export const WINDOW_BYTES = 256 * 1024;
export const ALIVE_MS = 1000;
/** Without a word for so long the other side is gone. */
export const SILENCE_MS = 10_000;
