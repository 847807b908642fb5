/** The ends of the newest files of a source, and what is written to them from then on, as one stream of lines. */
import type { LogNote, LogStream } from '../port.js';
import { readParts, type StreamedPart } from './boundary.js';
import { isRotated, packingOf } from './file-order.js';
import type { FilesListing, ListedFile } from './listing.js';
import type { LogContext } from './log-context.js';
import { streamOf } from './newest-journal.js';
import type { PlannedSource } from './planned-sources.js';
import { LINE_CUT, LineCutter, linesInside } from './window-lines.js';

type FilesPlan = Extract<PlannedSource, { kind: 'files' }>;

/** Of so many files, those that were written last, the end is shown. */
const MOST_FILES = 5;
const END_BYTES = 64 * 1024;
const LF = 0x0a;

/** Of so many others, those that were written last, it is looked whether a line is being written to them. */
const MOST_OTHERS = 100;

/** Not packed, and not put aside by a rotation. */
const isWritten = (path: string): boolean => packingOf(path) === 'cat' && !isRotated(path);

/** Those whose end is shown: written within the window, not put aside by a rotation. Pure. */
function newestFiles(files: readonly ListedFile[], oldest: number): readonly ListedFile[] {
  const once = new Map(files.map((file) => [file.inode, file]));
  return [...once.values()]
    .filter(
      ({ path, isReadable, sizeBytes, modifiedMs }) =>
        isReadable && sizeBytes > 0 && modifiedMs + 999 >= oldest && isWritten(path),
    )
    .toSorted((a, b) => b.modifiedMs - a.modifiedMs)
    .slice(0, MOST_FILES)
    .toReversed();
}

const endOf = ({ sizeBytes }: ListedFile): number => Math.max(0, sizeBytes - END_BYTES);

/** From where on each file is read. Of one that is only followed its last byte tells whether a line begins behind it. Pure. */
export function placesOf(
  files: readonly ListedFile[],
  shown: readonly ListedFile[],
  isFollowed: (path: string) => boolean,
): ReadonlyMap<string, number> {
  const others = files
    .filter(({ path, isReadable, sizeBytes }) => isReadable && sizeBytes > 0 && isFollowed(path))
    .toSorted((a, b) => b.modifiedMs - a.modifiedMs)
    .slice(0, MOST_OTHERS);
  return new Map([
    ...files.map(({ inode, sizeBytes }) => [inode, sizeBytes] as const),
    ...others.map(({ inode, sizeBytes }) => [inode, sizeBytes - 1] as const),
    ...shown.map((file) => [file.inode, endOf(file)] as const),
  ]);
}

/** What a part is about: INODE OFFSET PATH. */
function readHead(
  head: string,
): { readonly inode: string; readonly offset: number; readonly path: string } | undefined {
  const [, inode, offset, path = ''] = /^(\d{1,20}:\d{1,20}) (\d+) (.*)$/s.exec(head) ?? [];
  if (inode === undefined) return undefined;
  // A copy: it is remembered, and a part of the head would keep all of it.
  return { inode: Buffer.from(inode, 'latin1').toString('latin1'), offset: Number(offset), path };
}

/** Lines that have no end yet, of all files together: an end may never come. */
const MOST_HELD_BYTES = 4 * 1024 * 1024;
const MOST_HELD_LINES = 5000;
/** Files of which is known where their lines are. Of one that was forgotten the next line is left out. */
const MOST_KNOWN = 20_000;

/** Of one file. */
interface Piece {
  readonly inode: string;
  readonly bytes: Buffer;
}

class FilesFollowed {
  /** Those whose end is still to be shown. */
  private readonly toShow: Map<string, ListedFile>;
  /** By file: the last line, while it has no end. Who waits longest is first. */
  private readonly held = new Map<string, LineCutter>();
  private heldBytes = 0;
  /** By file: whether what comes next is left out, up to the end of its line. */
  private readonly skipping = new Map<string, boolean>();
  private readonly plan: FilesPlan;
  private readonly context: LogContext;
  isCut = false;

  constructor(plan: FilesPlan, shown: readonly ListedFile[], context: LogContext) {
    this.plan = plan;
    this.context = context;
    this.toShow = new Map(shown.map((file) => [file.inode, file]));
  }

  async *read(part: StreamedPart): AsyncGenerator<Piece, void, undefined> {
    const head = readHead(part.head);
    if (!head || !this.plan.accepts(head.path)) return;
    const { inode, offset } = head;
    const cutter = this.take(inode);
    // What was written before was not read: it may be the middle of a line, behind the name of a secret.
    if (offset > 0 && (this.skipping.get(inode) ?? true)) cutter.skipLine();
    for await (const bytes of this.shownOf(inode, part.bytes, cutter)) yield { inode, bytes };
    this.isCut ||= cutter.isCut;
    this.hold(inode, cutter);
    yield* this.giveUp();
  }

  /** Lines that have no end yet. */
  *rest(): Generator<Piece, void, undefined> {
    for (const [inode, cutter] of this.held)
      for (const line of cutter.end()) yield { inode, bytes: Buffer.concat([line, Buffer.of(LF)]) };
  }

  private take(inode: string): LineCutter {
    const cutter = this.held.get(inode) ?? new LineCutter({ dropsRest: true });
    this.held.delete(inode);
    this.heldBytes -= cutter.roomBytes;
    return cutter;
  }

  private hold(inode: string, cutter: LineCutter): void {
    this.skipping.delete(inode);
    this.skipping.set(inode, cutter.isSkipping);
    const [oldest] = this.skipping.keys();
    if (this.skipping.size > MOST_KNOWN && oldest !== undefined) this.skipping.delete(oldest);
    if (cutter.heldBytes === 0) return;
    cutter.giveBack();
    this.held.set(inode, cutter);
    this.heldBytes += cutter.roomBytes;
  }

  /** More than may be held: of the longest lines the rest is left out. */
  private *giveUp(): Generator<Piece, void, undefined> {
    while (this.heldBytes > MOST_HELD_BYTES || this.held.size > MOST_HELD_LINES) {
      let [found, most] = ['', 0];
      for (const [inode, { heldBytes }] of this.held) if (heldBytes > most) [found, most] = [inode, heldBytes];
      const cutter = this.take(found);
      const cut = [...cutter.cut()];
      this.hold(found, cutter);
      for (const bytes of cut) yield { inode: found, bytes };
      this.isCut = true;
    }
  }

  private shownOf(inode: string, bytes: AsyncIterable<Buffer>, cutter: LineCutter) {
    const file = this.toShow.get(inode);
    this.toShow.delete(inode);
    const lines = this.lines(bytes, cutter);
    if (!file) return lines;
    const { window, now, furthest } = this.context;
    // It was written within the window, and is no older than that.
    const { zoneMinutes, zone } = now;
    const how = { zoneMinutes, zone, modifiedMs: file.modifiedMs, takesWhole: true, furthest };
    return linesInside(lines, window, how).bytes;
  }

  private async *lines(bytes: AsyncIterable<Buffer>, cutter: LineCutter) {
    for await (const piece of bytes) {
      const whole = [...cutter.push(piece)];
      if (whole.length > 0) yield Buffer.concat(whole);
    }
  }
}

/** Begins it at once. Rejects with `STATION_UNREACHABLE`; the stream may fail with that, and with `LOGS_UNAVAILABLE`. */
export async function newestOfFiles(
  plan: FilesPlan,
  listing: FilesListing,
  context: LogContext,
  follow: boolean,
  notes: readonly LogNote[],
): Promise<LogStream> {
  const mine = listing.files.filter(({ path }) => plan.accepts(path));
  const shown = newestFiles(mine, context.window.oldest);
  const boundary = context.boundary();
  const isFollowed = (path: string): boolean => follow && plan.accepts(path) && isWritten(path);
  const known = [...placesOf(listing.files, shown, isFollowed)].map(([inode, offset]) => `${inode} ${offset}`);
  const verb = follow ? 'follow-files' : 'newest-files';
  const output = await context.begin(verb, plan.globs, `${[boundary, ...known].join('\n')}\n`);
  const followed = new FilesFollowed(plan, shown, context);
  const files = new WeakMap<Buffer, string>();
  const pieceOf = ({ inode, bytes }: Piece): Buffer => {
    files.set(bytes, inode);
    return bytes;
  };
  const read = async function* (): AsyncGenerator<Buffer, void, undefined> {
    try {
      for await (const part of readParts(output, boundary))
        for await (const piece of followed.read(part)) yield pieceOf(piece);
      for (const piece of followed.rest()) yield pieceOf(piece);
    } finally {
      output.destroy();
    }
  };
  const leftOut: readonly LogNote[] =
    shown.some((file) => endOf(file) > 0) || mine.length > shown.length
      ? [{ code: 'older_left_out', text: `these are the ends of the ${shown.length} newest of ${mine.length} files` }]
      : [];
  const cut = (): readonly LogNote[] => (followed.isCut ? [LINE_CUT] : []);
  return {
    name: plan.name,
    stream: streamOf(read(), output, true),
    fileOf: (piece) => files.get(piece),
    notes: () => [...notes, ...leftOut, ...cut()],
  };
}
