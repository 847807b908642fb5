/** The output of a command at a station, as it comes. */
import { PassThrough, type Readable } from 'node:stream';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { StationText } from '../station-text.js';
import type { ProcessEnd, StationProcess, Transport } from '../transports/transport.js';
import { newNonce, type StationProgram } from './station-program.js';

interface LogCommand {
  readonly transport: Transport;
  readonly program: StationProgram;
  readonly argv: readonly string[];
  readonly texts: StationText;
  readonly limitS: number;
  readonly signal: AbortSignal;
  /** For its standard input. */
  readonly input: string;
  /** What it says beside its output, as it comes and as it is. */
  readonly onSaid?: ((text: string) => void) | undefined;
}

const MAX_STDERR_BYTES = 4096;

function failureOf(end: ProcessEnd, stderr: string, texts: StationText): CodedError | undefined {
  if ('lost' in end) return new CodedError('STATION_UNREACHABLE', end.lost);
  if ('code' in end && end.code === 0) return undefined;
  const how = 'code' in end ? `ended with ${end.code}` : `was ended by ${texts.shown(end.signal, 40)}`;
  return new CodedError('LOGS_UNAVAILABLE', `the command for logs ${how}: ${texts.shown(stderr)}`);
}

/** The stream fails with `LOGS_UNAVAILABLE` when the command does, and is destroyed when the signal fires. */
export async function openLogStream({
  transport,
  program,
  argv,
  texts,
  limitS,
  signal,
  input,
  onSaid,
}: LogCommand): Promise<Readable> {
  const nonce = newNonce();
  let process: StationProcess;
  try {
    process = await transport.begin(program.argvOf('run', [nonce, String(limitS), ...argv]), signal);
  } catch (error) {
    // It may have begun all the same: that is not known until the station has answered.
    program.end(nonce);
    throw error;
  }
  process.stdin.end(input);
  let stderr = '';
  process.stderr.on('data', (bytes: Buffer) => {
    if (stderr.length >= MAX_STDERR_BYTES) return;
    stderr += bytes.toString('utf8');
    onSaid?.(stderr);
  });
  const stream = new PassThrough();
  // Its reader gets the error; before that, the stream keeps it.
  stream.on('error', () => {});
  const leave = (): void => {
    process.letGo();
    program.end(nonce);
  };
  const withdraw = onAbort(signal, () => void stream.destroy(signal.reason as Error));
  let isOver = false;
  stream.once('close', () => {
    withdraw();
    if (!isOver) leave();
  });
  process.stdout.pipe(stream, { end: false });
  void process.ended.then((end) => {
    isOver = true;
    const failure = failureOf(end, stderr, texts);
    if (failure) stream.destroy(failure);
    else stream.end();
  });
  return stream;
}
