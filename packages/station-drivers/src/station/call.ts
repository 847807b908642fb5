/** A process at a station, from its beginning to its end, within limits: what a station sends may be without end. */
import type { Readable, Writable } from 'node:stream';
import { deadlineAfter, unlessAborted } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { unreachable } from '../pool.js';
import { plainText, type StationText } from '../station-text.js';
import type { StationProcess, Transport } from '../transports/transport.js';

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** A function writes it, and ends it. */
  readonly input?: ((to: Writable) => Promise<void>) | Buffer | string | undefined;
  readonly maxStdoutBytes?: number;
  /** For what is told of a command that was ended. Default: by the rules by name alone. */
  readonly texts?: StationText | undefined;
}

export interface CallResult {
  readonly code: number;
  readonly stdout: Buffer;
  /** The beginning of it, as it is: decide by it, and show it through `StationText` alone. */
  readonly stderr: string;
}

const MAX_STDOUT_BYTES = 1024 * 1024;
const MAX_STDERR_BYTES = 16 * 1024;

async function readUpTo(stream: Readable, most: number): Promise<{ bytes: Buffer; isWhole: boolean }> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    size += piece.length;
    pieces.push(piece);
    if (size > most) return { bytes: Buffer.concat(pieces).subarray(0, most), isWhole: false };
  }
  return { bytes: Buffer.concat(pieces), isWhole: true };
}

async function feed(process: StationProcess, input: CallOptions['input']): Promise<void> {
  if (typeof input !== 'function') {
    process.stdin.end(input ?? '');
    return;
  }
  // A program that stops reading says by its exit code why.
  await input(process.stdin).catch((error: Error) => void process.stdin.destroy(error));
}

async function collect(
  process: StationProcess,
  { input, maxStdoutBytes, texts = plainText }: CallOptions,
): Promise<CallResult> {
  const stderr = (async () => {
    const { bytes, isWhole } = await readUpTo(process.stderr, MAX_STDERR_BYTES);
    if (!isWhole) process.stderr.resume();
    return bytes.toString('utf8');
  })();
  // Where standard output fails, that is what is told.
  stderr.catch(() => {});
  const [, out] = await Promise.all([
    feed(process, input),
    readUpTo(process.stdout, maxStdoutBytes ?? MAX_STDOUT_BYTES),
  ]);
  if (!out.isWhole) throw new CodedError('OUTPUT_TOO_LONG', 'the station sends more than it should');
  const end = await process.ended;
  if ('lost' in end) throw unreachable(end.lost);
  const text = await stderr;
  if ('signal' in end)
    throw unreachable(`the command was ended by ${texts.shown(end.signal, 40)}: ${texts.shown(text)}`);
  return { code: end.code, stdout: out.bytes, stderr: text };
}

/**
 * Run a program and read what it prints. Rejects with `STATION_UNREACHABLE` when it is not known how it ended, also after
 * `timeoutMs`; with `OUTPUT_TOO_LONG`; with the reason of the signal. It is not ended by that.
 */
export async function call(transport: Transport, argv: readonly string[], options: CallOptions): Promise<CallResult> {
  const limit = deadlineAfter(options.timeoutMs, options.signal);
  let process: StationProcess | undefined;
  try {
    process = await transport.begin(argv, limit.signal);
    // A listener that stays would keep the signal, and by it the connection, for as long as this process lives.
    return await unlessAborted(collect(process, options), limit.signal);
  } catch (error) {
    process?.letGo();
    options.signal.throwIfAborted();
    if (error instanceof DOMException && error.name === 'TimeoutError')
      throw unreachable(`no answer from the station in ${options.timeoutMs} ms`, error);
    throw error;
  } finally {
    limit.clear();
  }
}
