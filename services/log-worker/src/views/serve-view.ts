/** One live view of logs: from the driver, through redaction and search, to who looks. */
import type { Redactor } from '@khumbu/log-redaction/redactor';
import type { LogViewRequest } from '@khumbu/operations/log-views/messages';
import type { ViewOutput } from '@khumbu/operations/log-views/take-views';
import { deadlineAfter, unlessAborted } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { compileOwn } from '@khumbu/shared/stations/redact-rules';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { partsOf } from '@khumbu/station-drivers/log-parts';
import { LINE_CUT, LineCutter } from '@khumbu/station-drivers/logs/window-lines';
import type { LogNote, LogQuery, LogSource, StationDriver } from '@khumbu/station-drivers/port';
import { redactedNames } from '../archive/names.js';
import { createPace } from './pace.js';
import { type ViewEnd, type ViewLines, viewLines } from './view-lines.js';

export interface ServeViewDeps {
  readonly profileOf: (station: string) => StationProfile | undefined;
  readonly driverOf: (profile: StationProfile) => StationDriver;
  /** A new one for each source: what lines of a file have begun goes on in its next ones. What comes is not the whole. */
  readonly redactorOf: (profile: StationProfile) => Promise<Redactor>;
  readonly limits: {
    readonly bytesPerS: number;
    readonly maxBytes: number;
    readonly maxS: number;
    /** Who looks is told that it goes on. */
    readonly aliveMs: number;
  };
}

const dateOf = (ms: number | undefined): Date | undefined => (ms === undefined ? undefined : new Date(ms));

function queryOf({ type, since, until, sources, newest, follow }: LogViewRequest): LogQuery {
  const [oldest, latest] = [dateOf(since), dateOf(until)];
  return {
    type,
    ...(oldest ? { oldest } : {}),
    ...(latest ? { latest } : {}),
    ...(sources ? { sources } : {}),
    ...(newest ? { newest } : {}),
    ...(follow ? { follow } : {}),
  };
}

/** Ends a view before its sources do. */
class Enough extends Error {
  readonly reason: ViewEnd;
  constructor(reason: ViewEnd) {
    super(reason);
    this.reason = reason;
  }
}

/** Writes within the limits of one view, in turn. They count for what comes from the station too, whatever of it is sent. */
class ViewWriter {
  private sentBytes = 0;
  private readBytes = 0;
  private turn: Promise<void> = Promise.resolve();
  private readonly output: ViewOutput;
  private readonly pace: ReturnType<typeof createPace>;
  private readonly readPace: ReturnType<typeof createPace>;
  private readonly maxBytes: number;
  private readonly signal: AbortSignal;

  constructor(output: ViewOutput, { bytesPerS, maxBytes }: ServeViewDeps['limits'], signal: AbortSignal) {
    this.output = output;
    this.pace = createPace(bytesPerS);
    this.readPace = createPace(bytesPerS);
    this.maxBytes = maxBytes;
    this.signal = signal;
  }

  /** Lines with their ends. Rejects with `Enough`, and with the signal's reason. */
  write(lines: string): Promise<void> {
    if (lines === '') return Promise.resolve();
    const written = this.turn.then(async () => {
      this.signal.throwIfAborted();
      const bytes = Buffer.from(lines);
      if (this.sentBytes + bytes.length > this.maxBytes) throw new Enough('size_limit');
      this.sentBytes += bytes.length;
      await this.output.write(bytes);
      await this.pace(bytes.length, this.signal);
    });
    this.turn = written.catch(() => undefined);
    return written;
  }

  /** So many bytes were read, and what is shown of them is written. Resolves when more may be. Rejects as `write` does. */
  async read(bytes: number): Promise<void> {
    this.readBytes += bytes;
    if (this.readBytes > this.maxBytes) throw new Enough('size_limit');
    await this.readPace(bytes, this.signal);
  }

  /** The last line, which has room in any case. */
  async end(line: string): Promise<void> {
    await this.turn;
    await this.output.write(Buffer.from(line));
  }
}

/** At most so much is made into one piece: whoever looks sees the first of it soon. */
const PIECE_CHARS = 32 * 1024;

interface Reading {
  readonly source: LogSource;
  readonly redactor: Redactor;
  readonly fits: (line: string) => boolean;
  readonly lines: ViewLines;
  readonly writer: ViewWriter;
}

/** Tells each note once, when it is known. It may hold what a program at the station has said. */
function createNoteTeller({ source, lines, writer, redactor }: Reading) {
  const told = new Set<string>();
  return async (notes: readonly LogNote[]): Promise<void> => {
    for (const { code, text } of notes) {
      if (told.has(code + text)) continue;
      told.add(code + text);
      await writer.write(lines.note({ source: source.name, code, text: redactedNames(text, redactor) }));
    }
  };
}

/** `fileOf`: which file a piece is of; what lines of one have begun does not end with those of another. */
async function readStream(
  reading: Reading,
  stream: AsyncIterable<Buffer>,
  fileOf: (piece: Buffer) => string | undefined,
  tellMore: (more?: readonly LogNote[]) => Promise<void>,
): Promise<void> {
  const { source, redactor, fits, lines, writer } = reading;
  const cutter = new LineCutter({ dropsRest: true });
  let out = '';
  const add = (line: Buffer, file: string | undefined): void => {
    // Secrets are taken out first: a search would find them out, letter by letter.
    const text = redactor.line(line.toString().replace(/\r?\n$/, ''), file);
    if (fits(text)) out += lines.record({ source: source.name, text });
  };
  const flush = async (): Promise<void> => {
    const made = out;
    out = '';
    // First: the records may be more than one view has.
    if (cutter.isCut) await tellMore([LINE_CUT]);
    await writer.write(made);
  };
  let file: string | undefined;
  for await (const piece of stream) {
    file = fileOf(piece);
    for (const line of cutter.push(piece)) {
      add(line, file);
      if (out.length > PIECE_CHARS) await flush();
    }
    await flush();
    await tellMore();
    await writer.read(piece.length);
  }
  for (const line of cutter.end()) add(line, file);
  await flush();
}

/** Whether it could be read to its end. What keeps it from that is a note. */
async function readSource(reading: Reading): Promise<boolean> {
  const { source } = reading;
  const tell = createNoteTeller(reading);
  const tellOwn = (more: readonly LogNote[] = []): Promise<void> => tell([...(source.notes?.() ?? []), ...more]);
  try {
    await tellOwn();
    for await (const { name, stream, notes } of partsOf(source)) {
      const fileOf = ('stream' in source && source.fileOf) || (() => name);
      await readStream(reading, stream as AsyncIterable<Buffer>, fileOf, tellOwn);
      await tell(notes?.() ?? []);
    }
    await tellOwn();
    return true;
  } catch (error) {
    if (!(error instanceof CodedError) || error.code === 'READER_GONE') throw error;
    await tell([{ code: 'incomplete', text: describeError(error) }]);
    return false;
  }
}

async function readAll(readings: readonly Reading[], isLive: boolean): Promise<ViewEnd> {
  const ends: boolean[] = [];
  if (isLive) ends.push(...(await Promise.all(readings.map(readSource))));
  else for (const reading of readings) ends.push(await readSource(reading));
  return ends.length > 0 && ends.every((isWhole) => !isWhole) ? 'failed' : 'complete';
}

/**
 * Reads until nothing more comes, a limit is reached or nobody looks any more; then nothing of it is left at the station. Rejects before anything
 * was sent with `STATION_NOT_CONFIGURED` and the codes of the driver.
 */
export async function serveView(
  request: LogViewRequest,
  output: ViewOutput,
  { profileOf, driverOf, redactorOf, limits }: ServeViewDeps,
  signal: AbortSignal,
): Promise<void> {
  const profile = profileOf(request.station);
  if (!profile) throw new CodedError('STATION_NOT_CONFIGURED', 'the station is not in the stations file');
  const lines = viewLines(request.format);
  const grep = request.grep === undefined ? undefined : compileOwn(request.grep);
  const fits = (line: string): boolean => grep?.test(line) ?? true;
  const over = new AbortController();
  const limit = deadlineAfter(limits.maxS * 1000, signal, over.signal);
  const writer = new ViewWriter(output, limits, limit.signal);
  const alive = setInterval(() => void writer.write(lines.alive()).catch(() => undefined), limits.aliveMs);
  let end: ViewEnd;
  let isOpened = false;
  const opened = async (): Promise<void> => {
    isOpened = true;
    await output.opened();
  };
  try {
    // A driver may be slow to hear of an abort.
    const sources = await unlessAborted(driverOf(profile).openLogs(queryOf(request), limit.signal), limit.signal);
    const readings = await Promise.all(
      sources.map(async (source) => ({
        source,
        redactor: await redactorOf(profile),
        fits,
        lines,
        writer,
      })),
    );
    await opened();
    end = await unlessAborted(readAll(readings, request.newest), limit.signal);
  } catch (error) {
    if (error instanceof Enough) end = error.reason;
    else if (!signal.aborted && error instanceof DOMException && error.name === 'TimeoutError') end = 'time_limit';
    else if (error instanceof CodedError && !isOpened)
      throw new CodedError(error.code, (await redactorOf(profile)).text(error.message));
    else throw error;
  } finally {
    clearInterval(alive);
    limit.clear();
    over.abort();
  }
  if (!isOpened) await opened();
  await writer.end(lines.end(end));
}
