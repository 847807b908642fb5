/** The newest records of a journal, and what is written from then on, as one stream of lines. */
import { Readable } from 'node:stream';
import type { LogNote, LogStream } from '../port.js';
import { createExportReader } from './journal-export.js';
import { mayNotSee } from './journal-parts.js';
import { RecordLines } from './journal-record.js';
import type { LogContext } from './log-context.js';
import { NEWEST_RECORDS } from './logs-script.js';
import { fieldsOf, type PlannedSource } from './planned-sources.js';

type JournalPlan = Extract<PlannedSource, { kind: 'journal' }>;
type Context = Pick<LogContext, 'window' | 'texts' | 'furthest' | 'begin'>;

/** Begins it at once. Rejects with `STATION_UNREACHABLE`; the stream may fail with that, and with `LOGS_UNAVAILABLE`. */
export async function newestOfJournal(
  plan: JournalPlan,
  { window, texts, furthest, begin }: Context,
  follow: boolean,
): Promise<LogStream> {
  let said = '';
  /** Notes are asked for with each piece that is read. */
  let shownSaid: readonly [said: string, text: string] = ['', ''];
  const saidText = (): string => {
    if (shownSaid[0] !== said) shownSaid = [said, texts.shown(said)];
    return shownSaid[1];
  };
  const words = [fieldsOf(plan.fields), ...plan.argv];
  const output = await begin(follow ? 'follow-journal' : 'newest-journal', words, '', (text) => {
    said = text;
  });
  const lines = new RecordLines(window, Number.POSITIVE_INFINITY, furthest);
  let seen = 0;
  let oldestMicros = Number.POSITIVE_INFINITY;
  let text = '';
  const reader = createExportReader(plan.fields, (record) => {
    seen += 1;
    if (seen <= NEWEST_RECORDS) oldestMicros = Math.min(oldestMicros, Number(record.realtime));
    text += lines.line(record);
  });
  const read = async function* (): AsyncGenerator<Buffer, void, undefined> {
    try {
      for await (const piece of output as AsyncIterable<Buffer>) {
        reader.push(piece);
        if (text === '') continue;
        const bytes = Buffer.from(text, 'latin1');
        text = '';
        yield bytes;
      }
      reader.end();
      if (text !== '') yield Buffer.from(text, 'latin1');
    } finally {
      output.destroy();
    }
  };
  const notes = (): readonly LogNote[] => {
    const isShort = seen >= NEWEST_RECORDS && oldestMicros / 1000 > window.oldest;
    const older = `these are the newest ${NEWEST_RECORDS} records; there may be older ones`;
    return [
      ...(said.trim() === ''
        ? []
        : [
            {
              code: mayNotSee(said) ? 'no_access' : 'incomplete',
              text: `journalctl says: ${saidText()}`,
            } as const,
          ]),
      ...(isShort ? [{ code: 'older_left_out', text: older } as const] : []),
    ];
  };
  return { name: plan.name, stream: streamOf(read(), output), notes };
}

/** Ends with what it reads from, also before it is read. `objectMode`: pieces stay as they are. */
export function streamOf(bytes: AsyncIterable<Buffer>, output: Readable, objectMode = false): Readable {
  const stream = Readable.from(bytes, { objectMode });
  output.on('error', (error) => stream.destroy(error));
  // Whoever reads it hears of it; before that, it is kept there.
  stream.on('error', () => {});
  stream.once('close', () => output.destroy());
  return stream;
}
