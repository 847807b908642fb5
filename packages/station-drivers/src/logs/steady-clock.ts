/**
 * Which records are in a window where the clock was set back. Pure. Wall time alone loses what was written after a step to before the
 * window: such a record counts by the clock as it would have gone on.
 */
import { isInside, type LogWindow } from './log-window.js';

/** In the unit of the clock that is watched. */
export interface StepBack {
  readonly from: number;
  readonly to: number;
  /** Time that had passed, by the clock that nobody sets. */
  readonly atMonotonic: number;
  /** Whether a record before it has a later time than one behind it. */
  readonly overlaps: boolean;
}

/** So many steps are told, with their times. */
const MAX_STEPS = 20;

/** Of records before the window that count, for people; `''`: there are none. */
export const carriedText = (count: number): string =>
  count === 0 ? '' : `; ${count} records behind it are there although their times are before the window`;

export const LEFT_AHEAD = 'records before the clock was set back have times after the window: they are left out';

interface SteadyClockOptions {
  /** Inclusive bounds, in its unit. */
  readonly window: LogWindow;
  /** Less is no step: threads that write to one file, a message of another process that overtakes. */
  readonly step: number;
  /** Beyond it is no clock that was right: such a time says nothing of the records behind it. Minus infinity: none counts by it. */
  readonly furthest: number;
  /** How far the clock had come before the first record, if something was written before. */
  readonly before?: number | undefined;
}

/** Watches the records of one log, in the order they were written. */
export class SteadyClock {
  /** The first few that touch the window. */
  readonly steps: StepBack[] = [];
  stepCount = 0;
  /** How many records count although their times are before the window. */
  carried = 0;
  /** Whether records are left out whose times are after the window, and behind which a step leads into it. */
  leavesAhead = false;
  private readonly window: LogWindow;
  private readonly step: number;
  private readonly furthest: number;
  private last = Number.NEGATIVE_INFINITY;
  private monotonic = Number.NEGATIVE_INFINITY;
  private monotonicOfStep = Number.NEGATIVE_INFINITY;
  /** The clock, had it not been set back. */
  private high: number;
  private isBehind = false;

  constructor({ window, step, furthest, before = Number.NEGATIVE_INFINITY }: SteadyClockOptions) {
    this.window = window;
    this.step = step;
    this.furthest = furthest;
    this.high = before;
  }

  /** How far it would have come with the last record; minus infinity: there was none, or it was no clock that was right. */
  get reached(): number {
    return this.high > this.furthest ? Number.NEGATIVE_INFINITY : this.high;
  }

  /** Whether a record counts. `monotonic` begins anew with each boot. */
  takes(time: number, monotonic: number): boolean {
    const { window, step, furthest } = this;
    // In files the jump to the right time seems to have passed, and would be on top of it for ever.
    const isSetRight = this.isBehind && time >= this.high;
    const passed = this.monotonic === Number.NEGATIVE_INFINITY ? 0 : Math.max(0, monotonic - this.monotonic);
    const steady = this.high + passed;
    const isBehind = !isSetRight && steady - time > step;
    if (isBehind && (!this.isBehind || time < this.last - step)) this.stepBack(time, monotonic, steady);
    // What comes newest first is no clock that was set back.
    const isReversed = this.isBehind && time < this.last - step && this.monotonic === this.monotonicOfStep;
    if (isBehind && time < this.last - step) this.monotonicOfStep = monotonic;
    this.isBehind = isBehind && !isReversed && steady <= furthest && (this.isBehind || steady >= window.oldest);
    this.high = this.isBehind ? steady : time;
    this.last = time;
    this.monotonic = monotonic;
    if (isInside(window, time)) return true;
    if (!this.isBehind || time > window.latest || !isInside(window, steady)) return false;
    this.carried += 1;
    return true;
  }

  private stepBack(to: number, atMonotonic: number, steady: number): void {
    // Before the first record: whoever knows what was written before tells it.
    if (this.last === Number.NEGATIVE_INFINITY) return;
    const { window } = this;
    const overlaps = to < this.last - this.step;
    const from = overlaps ? this.last : steady;
    if (from < window.oldest || to > window.latest) return;
    this.stepCount += 1;
    this.leavesAhead ||= this.last > window.latest && to >= window.oldest;
    if (this.steps.length < MAX_STEPS) this.steps.push({ from, to, atMonotonic, overlaps });
  }
}
