/** The ends of the newest files of a source, and what is written to them from then on, as one stream of lines. */
import type { LogNote, LogStream } from '../port.js';
import { readParts, type StreamedPart } from './boundary.js';
import { isRotated, packingOf } from './file-order.js';
import type { FilesListing, ListedFile } from './listing.js';
import type { LogContext } from './log-context.js';
import { streamOf } from './newest-journal.js';
import type { PlannedSource } from './planned-sources.js';
import { LineCutter, linesInside } from './window-lines.js';

type FilesPlan = Extract<PlannedSource, { kind: 'files' }>;

/** Of so many files, those that were written last, the end is shown. */
const MOST_FILES = 5;
const END_BYTES = 64 * 1024;
const LF = 0x0a;

/** Those whose end is shown: written within the window, not put aside by a rotation. Pure. */
export function newestFiles(files: readonly ListedFile[], oldest: number): readonly ListedFile[] {
  const once = new Map(files.map((file) => [file.inode, file]));
  return [...once.values()]
    .filter(
      ({ path, isReadable, sizeBytes, modifiedMs }) =>
        isReadable && sizeBytes > 0 && modifiedMs + 999 >= oldest && packingOf(path) === 'cat' && !isRotated(path),
    )
    .toSorted((a, b) => b.modifiedMs - a.modifiedMs)
    .slice(0, MOST_FILES)
    .toReversed();
}

const endOf = ({ sizeBytes }: ListedFile): number => Math.max(0, sizeBytes - END_BYTES);

/** What a part is about: INODE OFFSET PATH. */
function readHead(
  head: string,
): { readonly inode: string; readonly offset: number; readonly path: string } | undefined {
  const [, inode, offset, path = ''] = /^(\d+:\d+) (\d+) (.*)$/s.exec(head) ?? [];
  return inode === undefined ? undefined : { inode, offset: Number(offset), path };
}

class FilesFollowed {
  private readonly shown: ReadonlyMap<string, ListedFile>;
  /** The last line of each, while it has no end. */
  private readonly cutters = new Map<string, LineCutter>();
  private readonly plan: FilesPlan;
  private readonly context: LogContext;

  constructor(plan: FilesPlan, shown: readonly ListedFile[], context: LogContext) {
    this.plan = plan;
    this.context = context;
    this.shown = new Map(shown.map((file) => [file.inode, file]));
  }

  async *read(part: StreamedPart): AsyncGenerator<Buffer, void, undefined> {
    const head = readHead(part.head);
    if (!head || !this.plan.accepts(head.path)) return;
    const file = this.cutters.has(head.inode) ? undefined : this.shown.get(head.inode);
    const cutter = this.cutters.get(head.inode) ?? new LineCutter();
    this.cutters.set(head.inode, cutter);
    const lines = this.lines(part.bytes, cutter, file !== undefined && head.offset > 0);
    if (!file) {
      yield* lines;
      return;
    }
    const { window, now } = this.context;
    // It was written within the window, and is no older than that.
    const how = { zoneMinutes: now.zoneMinutes, modifiedMs: file.modifiedMs, takesWhole: true };
    yield* linesInside(lines, window, how).bytes;
  }

  /** Lines that have no end yet. */
  *rest(): Generator<Buffer, void, undefined> {
    for (const cutter of this.cutters.values())
      for (const line of cutter.end()) yield Buffer.concat([line, Buffer.of(LF)]);
  }

  private async *lines(bytes: AsyncIterable<Buffer>, cutter: LineCutter, beginsInside: boolean) {
    let isInside = beginsInside;
    for await (const piece of bytes) {
      const whole = [...cutter.push(piece)];
      // It begins in the middle of a line.
      if (isInside && whole.shift()) isInside = false;
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
  const places = new Map(listing.files.map(({ inode, sizeBytes }) => [inode, sizeBytes]));
  for (const file of shown) places.set(file.inode, endOf(file));
  const boundary = context.boundary();
  const known = [...places].map(([inode, offset]) => `${inode} ${offset}`);
  const verb = follow ? 'follow-files' : 'newest-files';
  const output = await context.begin(verb, plan.globs, `${[boundary, ...known].join('\n')}\n`);
  const followed = new FilesFollowed(plan, shown, context);
  const read = async function* (): AsyncGenerator<Buffer, void, undefined> {
    try {
      for await (const part of readParts(output, boundary)) yield* followed.read(part);
      yield* followed.rest();
    } finally {
      output.destroy();
    }
  };
  const leftOut: readonly LogNote[] =
    shown.some((file) => endOf(file) > 0) || mine.length > shown.length
      ? [{ code: 'older_left_out', text: `these are the ends of the ${shown.length} newest of ${mine.length} files` }]
      : [];
  return { name: plan.name, stream: streamOf(read(), output), notes: () => [...notes, ...leftOut] };
}
