/** The lines of a file that are inside a window. A line without a time belongs to the record before it. */
import type { LogNote } from '../port.js';
import type { LogWindow } from './log-window.js';
import { createTimeReader, type TimeContext } from './record-times.js';
import { SteadyClock, type StepBack } from './steady-clock.js';

export interface FileContext extends TimeContext {
  /** Whether the file counts where its records have no times. */
  readonly takesWhole: boolean;
  /** How far the clock had come where the file before it of the same log ends, in milliseconds. */
  readonly before?: number | undefined;
  /** How far a clock that was right can have come. Absent: each record counts by its own time, as those of several logs in turn. */
  readonly furthest?: number;
}

/** So much of a line is held at once. */
export const MAX_LINE_BYTES = 1024 * 1024;
/** Lines before the first time, as the head of an HTML file; a file that has none in so much has no times. */
const MAX_HEAD_BYTES = 256 * 1024;
/** Threads that write to one file are less apart. */
const STEP_MS = 1000;
/** A time stands at the beginning of a line. */
const MAX_TIME_BYTES = 4200;

const LF = 0x0a;

export interface LinesSeen {
  /** Whether any line told a time. */
  readonly hasTimes: boolean;
  /** Whether any time named no zone. */
  readonly hasLocalTimes: boolean;
  /** In milliseconds. */
  readonly clock: SteadyClock;
  /** The first few steps back that touch the window. */
  readonly steps: readonly StepBack[];
  /** Of the first record that counts, in their order, and the newest time of them. */
  readonly first: number;
  readonly newest: number;
}

const FIRST_HELD_BYTES = 256;
/** Of a line that was long the room is given back. */
const MOST_KEPT_BYTES = 64 * 1024;

/** Where the rest of a line was dropped. */
export const LINE_CUT: LogNote = { code: 'line_cut', text: 'a line was too long: its rest is left out' };

interface LineCutterOptions {
  /**
   * A longer line ends where it is cut, and its rest is left out: a secret may go on there that nothing gives away any more. By
   * default it comes in pieces, of which the last one alone has a line end: together they are what was there.
   */
  readonly dropsRest?: boolean;
}

/** Cuts bytes into lines with their ends, or pieces of them, each of at most `MAX_LINE_BYTES`. */
export class LineCutter {
  /** The line that has no end yet, as a copy: a few bytes would keep the whole piece that they came with. */
  private held: Buffer = Buffer.alloc(0);
  private size = 0;
  private readonly dropsRest: boolean;
  private skips = false;
  isCut = false;

  constructor({ dropsRest = false }: LineCutterOptions = {}) {
    this.dropsRest = dropsRest;
  }

  /** Of a line that has no end yet. */
  get heldBytes(): number {
    return this.size;
  }

  /** The room that they take. */
  get roomBytes(): number {
    return this.size === 0 ? 0 : this.held.length;
  }

  /** Whether what comes next is left out, up to the end of the line. */
  get isSkipping(): boolean {
    return this.skips;
  }

  *push(piece: Buffer): Generator<Buffer, void, undefined> {
    for (let from = 0; from < piece.length; ) {
      if (this.skips) {
        const begin = piece.indexOf(LF, from) + 1;
        if (begin === 0) return;
        this.skips = false;
        from = begin;
        continue;
      }
      const end = piece.indexOf(LF, from) + 1 || piece.length;
      const isTooLong = end - from > MAX_LINE_BYTES - this.size;
      const part = piece.subarray(from, isTooLong ? from + MAX_LINE_BYTES - this.size : end);
      from += part.length;
      if (!isTooLong && part.at(-1) !== LF) {
        this.hold(part);
        continue;
      }
      const isEnded = isTooLong && this.dropsRest;
      if (isEnded) this.cutHere();
      yield this.take(part, ...(isEnded ? [Buffer.of(LF)] : []));
    }
  }

  /** The last line, which has no end. */
  *end(): Generator<Buffer, void, undefined> {
    if (this.size > 0) yield this.take();
  }

  /** What is held, as a line of its own: what comes next goes on with it, or is left out. */
  *cut(): Generator<Buffer, void, undefined> {
    if (this.size === 0) return;
    this.cutHere();
    yield this.take(Buffer.of(LF));
  }

  /** Leaves out the line that it is in: what is held of it, and what comes, up to its end. */
  skipLine(): void {
    this.size = 0;
    this.skips = true;
  }

  /** Gives back the room that it does not need until more comes. */
  giveBack(): void {
    const { held, size } = this;
    if (held.length <= Math.max(FIRST_HELD_BYTES, size)) return;
    // One of its own: a small one would keep a whole slab of the pool.
    this.held = Buffer.allocUnsafeSlow(size);
    held.copy(this.held, 0, 0, size);
  }

  private cutHere(): void {
    this.isCut = true;
    this.skips = this.dropsRest;
  }

  private hold(part: Buffer): void {
    const size = this.size + part.length;
    if (size > this.held.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_HELD_BYTES, 2 * size));
      this.held.copy(larger, 0, 0, this.size);
      this.held = larger;
    }
    part.copy(this.held, this.size);
    this.size = size;
  }

  private take(...last: readonly Buffer[]): Buffer {
    const [first] = last;
    const line =
      this.size === 0 && last.length === 1 && first
        ? first
        : Buffer.concat([this.held.subarray(0, this.size), ...last]);
    this.size = 0;
    if (this.held.length > MOST_KEPT_BYTES) this.held = Buffer.alloc(0);
    return line;
  }
}

/** Judges lines in turn. */
class LineJudge implements LinesSeen {
  hasTimes = false;
  hasLocalTimes = false;
  first = Number.POSITIVE_INFINITY;
  newest = Number.NEGATIVE_INFINITY;
  readonly clock: SteadyClock;
  private previous = Number.POSITIVE_INFINITY;
  /** Time that has passed, as far as the clock ran on. */
  private passed = 0;
  private head: Buffer[] = [];
  private headBytes = 0;
  private isKept = false;
  private isMidLine = false;
  /** What goes on with a line that was left out is left out with it. */
  private isLeftOut = false;
  private readonly timeOf: (line: string) => number | undefined;
  private readonly takesWhole: boolean;

  constructor(window: LogWindow, context: FileContext) {
    this.clock = new SteadyClock({
      window,
      step: STEP_MS,
      before: context.before,
      furthest: context.furthest ?? Number.NEGATIVE_INFINITY,
    });
    this.takesWhole = context.takesWhole;
    this.timeOf = createTimeReader(context, () => {
      this.hasLocalTimes = true;
    });
  }

  get steps(): readonly StepBack[] {
    return this.clock.steps;
  }

  /** What is to be given on, now that this line, or piece of one, is known. */
  judge(line: Buffer): readonly Buffer[] {
    const isRest = this.isMidLine;
    this.isMidLine = line.at(-1) !== LF;
    if (isRest && this.isLeftOut) return [];
    const ms = isRest ? undefined : this.timeOf(line.toString('latin1', 0, Math.min(line.length, MAX_TIME_BYTES)));
    if (ms !== undefined) this.isKept = this.see(ms);
    else if (!this.hasTimes && !this.isKept) {
      this.head.push(line);
      this.headBytes += line.length;
      this.isLeftOut = false;
      if (this.headBytes <= MAX_HEAD_BYTES) return [];
      // It counts as a whole, whatever comes: or not at all.
      this.isKept = this.takesWhole;
      this.isLeftOut = !this.isKept;
      const head = this.takeHead();
      return this.isKept ? head : [];
    }
    this.isLeftOut = !this.isKept;
    return this.isKept ? [...this.takeHead(), line] : [];
  }

  /** What was held back, where no line told a time. */
  rest(): readonly Buffer[] {
    return this.hasTimes || !this.takesWhole ? [] : this.takeHead();
  }

  private takeHead(): readonly Buffer[] {
    const { head } = this;
    if (head.length > 0) {
      this.head = [];
      this.headBytes = 0;
    }
    return head;
  }

  private see(ms: number): boolean {
    this.hasTimes = true;
    this.passed += Math.max(0, ms - this.previous);
    this.previous = ms;
    if (!this.clock.takes(ms, this.passed)) return false;
    if (this.first === Number.POSITIVE_INFINITY) this.first = ms;
    this.newest = Math.max(this.newest, ms);
    return true;
  }
}

/**
 * Keeps what is inside the window. Where no line tells a time, everything: the caller has judged the file as a whole. `seen` is
 * complete once the bytes have ended.
 */
export function linesInside(bytes: AsyncIterable<Buffer>, window: LogWindow, context: FileContext) {
  const cutter = new LineCutter();
  const judge = new LineJudge(window, context);
  const inside = async function* (): AsyncGenerator<Buffer, void, undefined> {
    for await (const piece of bytes) {
      const kept: Buffer[] = [];
      for (const line of cutter.push(piece)) kept.push(...judge.judge(line));
      if (kept.length > 0) yield Buffer.concat(kept);
    }
    const kept = [...[...cutter.end()].flatMap((line) => judge.judge(line)), ...judge.rest()];
    if (kept.length > 0) yield Buffer.concat(kept);
  };
  const seen: LinesSeen = judge;
  return { bytes: inside(), seen };
}
