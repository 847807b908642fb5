/** Logs of a driver that someone else wrote: what fails in them, and what is noted of them, as people may see it. */
import { Readable } from 'node:stream';
import type { LogNote, LogPart, LogSource } from './port.js';
import type { StationText } from './station-text.js';

type ShownError = (error: unknown) => Error;
type Notes = () => readonly LogNote[];

const MOST_NOTE = 1000;
/** Notes are asked for with each piece that is read, and are the same ones nearly always. */
const MOST_REMEMBERED = 100;

function remembered(show: (text: string) => string): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const before = known.get(text);
    if (before !== undefined) return before;
    if (known.size >= MOST_REMEMBERED) known.clear();
    const shown = show(text);
    known.set(text, shown);
    return shown;
  };
}

/** Errors of the items alone: what their reader throws into them stays its own. */
async function* failingBy<T>(items: AsyncIterable<T>, shownError: ShownError): AsyncGenerator<T, void, undefined> {
  const iterator = items[Symbol.asyncIterator]();
  const shown = async <Result>(asking: () => Promise<Result> | undefined): Promise<Result | undefined> => {
    try {
      return await asking();
    } catch (error) {
      throw shownError(error);
    }
  };
  let isOver = false;
  try {
    for (;;) {
      isOver = true;
      const result = await shown(() => iterator.next());
      if (!result || result.done) return;
      isOver = false;
      yield result.value;
    }
  } finally {
    if (!isOver) await shown(() => iterator.return?.());
  }
}

/** The same pieces, one at a time: none waits here to be lost when the next one fails. */
function shownStream(source: Readable, shownError: ShownError): Readable {
  const pieces = failingBy(source as AsyncIterable<unknown>, shownError);
  const stream = Readable.from(pieces, { objectMode: source.readableObjectMode, highWaterMark: 0 });
  // Also where nobody reads it yet, or any more.
  source.on('error', (error) => {
    if (stream.readableLength === 0) stream.destroy(shownError(error));
  });
  // Whoever reads it hears of it; before that, it is kept there.
  stream.on('error', () => {});
  stream.once('close', () => source.destroy());
  return stream;
}

/** `shownError`: also leaves alone what is no word of the driver's, as the reason of a signal. */
export function shownSource(source: LogSource, texts: StationText, shownError: ShownError): LogSource {
  const show = remembered((text) => texts.shown(text, MOST_NOTE));
  const withNotes = (notes: Notes | undefined): { notes?: Notes } =>
    notes
      ? {
          notes: () => {
            try {
              return notes().map(({ code, text }) => ({ code, text: show(text) }));
            } catch (error) {
              throw shownError(error);
            }
          },
        }
      : {};
  const shownPart = (part: LogPart): LogPart => ({
    name: part.name,
    stream: shownStream(part.stream, shownError),
    ...withNotes(part.notes && (() => part.notes?.() ?? [])),
  });
  const common = { name: source.name, ...withNotes(source.notes && (() => source.notes?.() ?? [])) };
  if ('parts' in source) {
    const parts = async function* (): AsyncGenerator<LogPart, void, undefined> {
      for await (const part of failingBy(source.parts, shownError)) yield shownPart(part);
    };
    return { ...common, parts: parts() };
  }
  const stream = shownStream(source.stream, shownError);
  return { ...common, stream, ...(source.fileOf ? { fileOf: (piece) => source.fileOf?.(piece) } : {}) };
}
