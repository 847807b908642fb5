/** Files of a station as a source: a part for each, those of one log oldest first. */
import { Readable } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { readableText } from '@khumbu/shared/runtime/readable-text';
import type { LogNote, LogPart, LogParts } from '../port.js';
import { readParts, type StreamedPart } from './boundary.js';
import { countsAsWhole, filesToRead, isRotated, packingOf, unpackedPath, whichGoOn } from './file-order.js';
import { notesOfLines, timeText } from './line-notes.js';
import type { FilesListing, ListedFile } from './listing.js';
import type { LogContext } from './log-context.js';
import { createPlainNames } from './plain-name.js';
import { type PlannedSource, rotatedToo } from './planned-sources.js';
import { carriedText } from './steady-clock.js';
import { type LinesSeen, linesInside } from './window-lines.js';

type FilesPlan = Extract<PlannedSource, { kind: 'files' }>;

/** As people read it, with the rules of logs before them: notes and names of parts are redacted together, where an archive is made. */
const shownPath = (path: string): string => readableText(Buffer.from(path, 'latin1'), 300);

/** Threads that write to one log are less apart. */
const STEP_MS = 1000;

/** Writes it all, also where nobody takes it any more: what stands behind the bytes is read after them. */
async function feed(gunzip: Gunzip, bytes: AsyncIterable<Buffer>): Promise<void> {
  for await (const piece of bytes) {
    if (gunzip.destroyed || gunzip.write(piece)) continue;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        gunzip.off('drain', go).off('close', go);
        resolve();
      };
      gunzip.on('drain', go).on('close', go);
    });
  }
  if (!gunzip.destroyed) gunzip.end();
}

/** Several members are one file; what ends in the middle, or is damaged, is told and no error: what came before is there. */
async function* gunzipped(bytes: AsyncIterable<Buffer>, onBroken: () => void): AsyncGenerator<Buffer, void, undefined> {
  const gunzip = createGunzip();
  const fed = feed(gunzip, bytes);
  fed.catch((error: Error) => gunzip.destroy(error));
  try {
    for await (const piece of gunzip as AsyncIterable<Buffer>) yield piece;
  } catch (error) {
    if (!String((error as { code?: unknown }).code).startsWith('Z_')) throw error;
    onBroken();
    await fed;
  } finally {
    gunzip.destroy();
  }
}

/** The file before one, of the same log. */
interface Earlier {
  readonly file: ListedFile;
  /** Of its newest record, in milliseconds. */
  readonly newest: number;
  /** How far the clock would have come, had nobody set it back. */
  readonly reached: number;
}

class FileReading {
  private readonly file: ListedFile;
  private readonly context: LogContext;
  private readonly earlier: Earlier | undefined;
  private readonly found: LogNote[] = [];
  private seen: LinesSeen | undefined;
  private written = 0;
  private received = 0;
  private readonly extra: readonly LogNote[];
  isLost = false;

  constructor(file: ListedFile, context: LogContext, earlier: Earlier | undefined, extra: readonly LogNote[] = []) {
    this.file = file;
    this.context = context;
    this.earlier = earlier;
    this.extra = extra;
  }

  /** For the file that comes after it. */
  get end(): Earlier | undefined {
    const { seen, file, earlier } = this;
    if (!seen || seen.newest === Number.NEGATIVE_INFINITY) return earlier;
    return {
      file,
      newest: Math.max(seen.newest, earlier?.newest ?? seen.newest),
      reached: Math.max(seen.clock.reached, earlier?.reached ?? seen.clock.reached),
    };
  }

  async *read(part: StreamedPart): AsyncGenerator<Buffer, void, undefined> {
    const { file } = this;
    const { window, now, furthest } = this.context;
    const raw = this.counted(part.bytes);
    const bytes = packingOf(file.path) === 'gzip' ? gunzipped(raw, () => this.noteDamage()) : raw;
    const inside = linesInside(bytes, window, {
      zoneMinutes: now.zoneMinutes,
      zone: now.zone,
      modifiedMs: file.modifiedMs,
      takesWhole: countsAsWhole(file, window),
      before: this.earlier?.reached,
      furthest,
    });
    this.seen = inside.seen;
    for await (const piece of inside.bytes) {
      this.written += piece.length;
      yield piece;
    }
    this.judge(part.words());
  }

  notes(): readonly LogNote[] {
    const { seen, file, earlier } = this;
    const more: LogNote[] = [];
    const add = (code: LogNote['code'], text: string): number =>
      more.push({ code, text: `${shownPath(file.path)}: ${text}` });
    if (seen && !seen.hasTimes && this.written > 0)
      add('by_file_time', `its records have no times; it was written last at ${timeText(file.modifiedMs)}`);
    if (seen) for (const { code, text } of notesOfLines(seen, this.context.now)) add(code, text);
    if (earlier && seen && seen.first < earlier.newest - STEP_MS) {
      const [first, newest] = [timeText(seen.first), timeText(earlier.newest)];
      const text = `it begins at ${first}, and ${shownPath(earlier.file.path)} before it ends at ${newest}`;
      if (seen.steps.length === 0) add('clock_set_back', `${text}${carriedText(seen.clock.carried)}`);
      add('overlap', `${text}: both have records between these times`);
    }
    return [...this.extra, ...this.found, ...more];
  }

  private async *counted(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    for await (const piece of bytes) {
      this.received += piece.length;
      yield piece;
    }
  }

  private note(code: LogNote['code'], text: string): void {
    this.found.push({ code, text: `${shownPath(this.file.path)}: ${text}` });
  }

  /** What the station says at the end: `CODE SIZE NAME`, `vanished`, `denied`. */
  private judge(words: string): void {
    const [, code, size, name = ''] = /^(\d{1,3}) (\d{1,16}) (.*)$/s.exec(words) ?? [];
    if (words === 'denied') this.note('no_access', 'it may not be read any more');
    else if (code === undefined) {
      this.isLost = true;
      this.note('vanished', 'it was gone when its turn came');
    } else if (code === '127')
      this.note('not_decompressed', `the station has no ${packingOf(this.file.path)}; it is left out`);
    else this.judgeRead(code, Number(size), name);
  }

  /** `size` and `name`: as they are once it has been read. */
  private judgeRead(code: string, size: number, name: string): void {
    const { sizeBytes, path } = this.file;
    const isAsIs = ['cat', 'gzip'].includes(packingOf(path));
    if (size > sizeBytes)
      this.note('grew', `it had ${sizeBytes} bytes at the request, which are read, and has ${size} now`);
    if (size < sizeBytes || (isAsIs && this.received < sizeBytes)) {
      this.isLost = true;
      this.note('truncated', `it had ${sizeBytes} bytes at the request, and became shorter while it was read`);
    } else if (code !== '0') this.noteDamage();
    const listed = path.slice(path.lastIndexOf('/') + 1).replaceAll('\n', '?');
    if (name !== listed) this.note('rotated', `it is called ${shownPath(name)} now, and is the same file`);
  }

  private noteDamage(): void {
    this.note('truncated', 'it ends in the middle, or is damaged: what could be unpacked is there');
  }
}

export function sourceNotes(
  { files, denied, left }: FilesListing,
  accepts: (path: string) => boolean,
): readonly LogNote[] {
  return [
    ...denied.map(
      (path): LogNote => ({ code: 'no_access', text: `${shownPath(path)}: the folder may not be looked into` }),
    ),
    ...left.map((text): LogNote => ({ code: 'no_access', text: `left out: ${shownPath(text)}` })),
    ...files
      .filter(({ isReadable, path }) => !isReadable && accepts(path))
      .map(({ path }): LogNote => ({ code: 'no_access', text: `${shownPath(path)}: it may not be read` })),
  ];
}

export function fileParts(
  plan: FilesPlan,
  listing: FilesListing,
  context: LogContext,
  notes: readonly LogNote[],
): LogParts {
  const { accepts } = plan;
  const nameOf = createPlainNames();
  /** Of what was read, and whether something of it is missing. */
  const asked = new Map<string, boolean>();

  const stream = async function* (
    files: readonly ListedFile[],
    extra: readonly LogNote[] = [],
  ): AsyncGenerator<LogPart, void, undefined> {
    if (files.length === 0) return;
    const boundary = context.boundary();
    const goOn = whichGoOn(files);
    const wanted = files.map(({ inode, sizeBytes, path }) => {
      const packing = packingOf(path);
      return `${inode} ${sizeBytes} ${packing === 'gzip' ? 'cat' : packing}`;
    });
    const output = await context.begin('files', plan.globs, `${[boundary, ...wanted].join('\n')}\n`);
    try {
      let previous: FileReading | undefined;
      for await (const part of readParts(output, boundary)) {
        const file = files[part.number - 1];
        if (!file) throw new CodedError('LOGS_UNAVAILABLE', 'the station answers in no known form');
        const earlier = goOn[part.number - 1] ? previous?.end : undefined;
        const reading = new FileReading(file, context, earlier, extra);
        previous = reading;
        const lines = Readable.from(reading.read(part), { objectMode: false });
        yield { name: nameOf(partName(file.path)), stream: lines, notes: () => reading.notes() };
        lines.destroy();
        asked.set(file.inode, reading.isLost);
      }
    } finally {
      output.destroy();
    }
  };

  const read = async function* (): AsyncGenerator<LogPart, void, undefined> {
    yield* stream(
      filesToRead(
        listing.files.filter(({ path }) => accepts(path)),
        context.window,
        context.now.ms,
      ),
    );
    if (![...asked.values()].includes(true)) return;
    // A rotation that copies or packs has put what was lost into another file.
    const [again] = (await context.list(rotatedToo(plan.globs))).sources;
    if (again?.kind !== 'files') return;
    const copies = copiesOf(listing.files, (inode) => asked.get(inode) === false);
    const fresh = again.files.filter(
      ({ inode, path }) => !asked.has(inode) && !copies.has(inode) && accepts(path) && isRotated(path),
    );
    const extra: readonly LogNote[] = [
      { code: 'rotated', text: 'made by a rotation while the logs were read' },
      {
        code: 'overlap',
        text: 'it may have records that are in another part as well, or were written after the request',
      },
    ];
    yield* stream(filesToRead(fresh, context.window, context.now.ms), extra);
  };

  return { name: plan.name, parts: read(), notes: () => [...notes, ...sourceNotes(listing, accepts)] };
}

/** What was being packed at the request, where the file that it was made from has been read: inodes. */
function copiesOf(files: readonly ListedFile[], isRead: (inode: string) => boolean): ReadonlySet<string> {
  const read = new Set(files.flatMap(({ inode, path }) => (isRead(inode) ? [path] : [])));
  return new Set(
    files.flatMap(({ inode, path }) => (unpackedPath(path) !== path && read.has(unpackedPath(path)) ? [inode] : [])),
  );
}

/** Its folder belongs to it where it tells one from another, as that of a session does. */
function partName(path: string): string {
  const [folder = '', name = ''] = unpackedPath(path).split('/').slice(-2);
  return /\d{4}-\d\d-\d\d/.test(folder) ? `${folder}_${name}` : name;
}
