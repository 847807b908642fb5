/** The systemd journal of a station as a source: a part for each boot, in the order they were written. */
import { Readable } from 'node:stream';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { LogNote, LogPart, LogParts } from '../port.js';
import type { StationText } from '../station-text.js';
import { type Boot, inOrderOfWriting } from './boots.js';
import { readParts, type StreamedPart } from './boundary.js';
import { readJsonRecord } from './journal-json.js';
import { ExportLines } from './journal-lines.js';
import { type JournalRecord, microsText, RecordLines } from './journal-record.js';
import type { JournalListing } from './listing.js';
import type { LogContext } from './log-context.js';
import { fieldsOf, type PlannedSource } from './planned-sources.js';
import { carriedText, LEFT_AHEAD } from './steady-clock.js';
import { MAX_LINE_BYTES } from './window-lines.js';

const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59);
/** Below this part of a boot's time its records are looked through at the station. */
const NARROW = 0.25;
const OUT_CHARS = 64 * 1024;
const MAX_JSON_BYTES = 256 * 1024 * 1024;

type JournalPlan = Extract<PlannedSource, { kind: 'journal' }>;

/** How far the clock had come with it, in milliseconds: as it would have gone on, where it was set back. */
function reachedIn({ firstMicros, lastMicros, passedMicros }: Boot, { furthest }: LogContext): number {
  const ends = [lastMicros / 1000, (firstMicros + passedMicros) / 1000];
  // What is not known may be anything.
  if (ends.includes(Number.POSITIVE_INFINITY)) return Number.POSITIVE_INFINITY;
  return Math.max(...ends.filter((end) => end <= furthest));
}

/**
 * `OLDEST LATEST FURTHEST` in microseconds, for the station to look for, where the window is a small part of the boot; `undefined`: all of it comes
 * here. `reached`: how far the clock had come in the boots before.
 */
function rangeFor(boot: Boot, reached: number, until: number, { window, furthest }: LogContext): string | undefined {
  const from = boot.firstMicros / 1000;
  // The clock was set back from one to the next: what has earlier times may count.
  if (reached >= window.oldest && from < window.oldest) return undefined;
  const asked = Math.min(window.latest, until) - Math.max(window.oldest, from);
  // A clock that went back leaves no length to compare with.
  if (until <= from || asked > (until - from) * NARROW) return undefined;
  const bounds = [Math.max(0, window.oldest) * 1000, Math.min(LAST_MS, window.latest) * 1000 + 999, furthest * 1000];
  return bounds.join(' ');
}

async function* jsonRecords(bytes: AsyncIterable<Buffer>, fields: readonly string[]) {
  let held: Buffer[] = [];
  let size = 0;
  for await (const piece of bytes) {
    let from = 0;
    for (let end = piece.indexOf(0x0a); end !== -1; end = piece.indexOf(0x0a, from)) {
      const line = Buffer.concat([...held, piece.subarray(from, end)]).toString('utf8');
      held = [];
      size = 0;
      from = end + 1;
      if (line.trim() !== '') yield readJsonRecord(line, fields);
    }
    held.push(piece.subarray(from));
    size += piece.length - from;
    if (size > MAX_JSON_BYTES) throw new CodedError('LOGS_UNAVAILABLE', 'a record of the journal is too long');
  }
}

class BootReading {
  readonly notes: LogNote[] = [];
  readonly lines: RecordLines;
  private readonly boot: Boot;
  private readonly fields: readonly string[];
  private readonly texts: StationText;
  private out = '';

  constructor(
    boot: Boot,
    fields: readonly string[],
    { window, texts, now, furthest }: LogContext,
    before: number | undefined,
  ) {
    this.boot = boot;
    this.fields = fields;
    this.texts = texts;
    const end = boot.id === now.boot ? now.sinceBootMicros : Number.POSITIVE_INFINITY;
    this.lines = new RecordLines(window, end, furthest, before);
  }

  /** Text records from what the station sends. */
  async *read(part: StreamedPart, isJson: boolean): AsyncGenerator<Buffer, void, undefined> {
    yield* isJson ? this.readJson(part) : this.readExport(part);
    if (this.out !== '') yield this.takeOut();
    this.judge(part.words());
  }

  private async *readExport({ bytes }: StreamedPart): AsyncGenerator<Buffer, void, undefined> {
    const lineOf = (record: JournalRecord): string => this.lineOf(record);
    const { fields, lines } = this;
    const reader = new ExportLines({ fields, lines, lineOf, maxLineBytes: MAX_LINE_BYTES });
    for await (const piece of bytes) yield* reader.push(piece);
    const { last, isWhole } = reader.end();
    yield* last;
    if (!isWhole) this.note('truncated', 'the last record of the boot broke off');
  }

  private async *readJson({ bytes }: StreamedPart): AsyncGenerator<Buffer, void, undefined> {
    for await (const record of jsonRecords(bytes, this.fields)) {
      if (record) this.out += this.lineOf(record);
      else this.note('incomplete', 'a record is in no known form');
      if (this.out.length > OUT_CHARS) yield this.takeOut();
    }
  }

  private lineOf(record: JournalRecord): string {
    return this.lines.line(record);
  }

  private takeOut(): Buffer {
    const bytes = Buffer.from(this.out, 'latin1');
    this.out = '';
    return bytes;
  }

  private note(code: LogNote['code'], text: string): void {
    if (!this.notes.some((note) => note.code === code))
      this.notes.push({ code, text: `boot ${this.boot.id}: ${text}` });
  }

  private judge(words: string): void {
    const said = Buffer.from(words, 'latin1').toString();
    const code = mayNotSee(said) ? 'no_access' : 'incomplete';
    if (said.trim() !== '') this.note(code, `journalctl says: ${this.texts.shown(said)}`);
    const { steps, stepCount, carried, leavesAhead } = this.lines.clock;
    const [step] = steps;
    if (!step) return;
    const [from, to] = [microsText(step.from), microsText(step.to)];
    const more = stepCount > 1 ? `, and ${stepCount - 1} times more` : '';
    const at = (step.atMonotonic / 1e6).toFixed(6);
    const early = carriedText(carried);
    this.note('clock_set_back', `${at} s after the boot the clock went back from ${from} to ${to}${more}${early}`);
    if (step.overlaps) this.note('overlap', `records before and after that have times between ${to} and ${from}`);
    if (leavesAhead) this.note('incomplete', LEFT_AHEAD);
  }
}

/** What journalctl says to a user who may see records of their own alone. */
export const mayNotSee = (said: string): boolean =>
  /not seeing messages|insufficient permissions|Permission denied/i.test(said);

/** What came before a boot, in microseconds. */
interface Earlier {
  readonly id: string;
  readonly newest: number;
  /** How far the clock would have come, had nobody set it back. */
  readonly reached: number;
}

/** A boot whose records begin before the end of an earlier one: the clock was set back from one to the next. */
function overlapWith(earlier: Earlier | undefined, lines: RecordLines, id: string): readonly LogNote[] {
  if (!earlier || lines.records === 0 || lines.first >= earlier.newest) return [];
  const [first, newest] = [microsText(lines.first), microsText(earlier.newest)];
  const early = lines.steps.length > 0 ? '' : carriedText(lines.clock.carried);
  const text = `boot ${id} begins at ${first}, and boot ${earlier.id} before it ends at ${newest}${early}`;
  return [
    { code: 'clock_set_back', text },
    { code: 'overlap', text: `${text}: both have records between these times` },
  ];
}

export function journalParts(
  plan: JournalPlan,
  listing: JournalListing,
  context: LogContext,
  notes: readonly LogNote[],
): LogParts {
  const boots = inOrderOfWriting(listing.boots);
  const read = async function* (): AsyncGenerator<LogPart, void, undefined> {
    if (boots.length === 0) return;
    const boundary = context.boundary();
    let reached = Number.NEGATIVE_INFINITY;
    const ranges = boots.map((boot, at) => {
      const until = (boots[at + 1]?.firstMicros ?? context.now.ms * 1000) / 1000;
      const range = rangeFor(boot, reached, until, context);
      reached = Math.max(reached, reachedIn(boot, context));
      return range;
    });
    const wanted = boots.map(({ id }, at) => [id, ranges[at] ?? ''].join(' ').trimEnd());
    const stream = await context.begin(
      'journal',
      [fieldsOf(plan.fields), ...plan.argv],
      `${[boundary, ...wanted].join('\n')}\n`,
    );
    let earlier: Earlier | undefined;
    try {
      for await (const part of readParts(stream, boundary)) {
        const boot = boots[part.number - 1];
        if (!boot) throw new CodedError('LOGS_UNAVAILABLE', 'the station answers in no known form');
        const before = earlier;
        const reading = new BootReading(boot, plan.fields, context, before?.reached);
        const records = Readable.from(reading.read(part, ranges[part.number - 1] !== undefined), {
          objectMode: false,
        });
        yield {
          name: `boot-${String(part.number).padStart(4, '0')}-${boot.id.slice(0, 8)}`,
          stream: records,
          notes: () => [...reading.notes, ...overlapWith(before, reading.lines, boot.id)],
        };
        records.destroy();
        const { records: count, newest, clock } = reading.lines;
        if (count > 0)
          earlier = {
            id: boot.id,
            newest: Math.max(newest, before?.newest ?? 0),
            reached: Math.max(clock.reached, before?.reached ?? 0),
          };
      }
    } finally {
      stream.destroy();
    }
  };
  return { name: plan.name, parts: read(), notes: () => notes };
}
