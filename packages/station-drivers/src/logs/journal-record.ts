/** One record of a journal as one line of text. Pure. */
import type { LogWindow } from './log-window.js';
import { SteadyClock, type StepBack } from './steady-clock.js';

/** Texts hold bytes, as Latin-1. */
export interface JournalRecord {
  /** Microseconds since 1970, by the station's clock then. */
  readonly realtime: string;
  /** Microseconds since the boot. */
  readonly monotonic: string;
  readonly boot: string;
  readonly unit: string;
  readonly identifier: string;
  readonly pid: string;
  readonly priority: string;
  readonly message: string;
  /** Of `fields`, those that it has. */
  readonly more: readonly (readonly [name: string, value: string])[];
}

/** What is asked of journalctl beside times, boot and cursor, which it always gives. */
export const RECORD_FIELDS: readonly string[] = ['MESSAGE', 'PRIORITY', '_SYSTEMD_UNIT', 'UNIT', 'SYSLOG_IDENTIFIER'];

export const PRIORITIES: readonly string[] = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];

/** All but tabs, what can be seen, and the bytes of UTF-8. */
const CONTROL = /[^\t -~\u0080-\u00ff]/;
const CONTROLS = /[^\t -~\u0080-\u00ff]/g;

const escaped = (char: string): string => {
  if (char === '\n') return '\\n';
  if (char === '\r') return '\\r';
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
};

/** No line ends and no other control characters but tabs: `\n`, `\r`, `\x1b`. Other bytes stay as they are. */
const oneLine = (text: string): string => (CONTROL.test(text) ? text.replace(CONTROLS, escaped) : text);

/** A clock stands still between two ticks, and a message of another process may overtake: less is no step. */
const STEP_MICROS = 1_000_000;

/** Writes records as lines, those of a window alone, and sees when the clock goes back. */
export class RecordLines {
  private second = '';
  private secondText = '';
  readonly clock: SteadyClock;
  records = 0;
  /** Of the records that count. */
  first = Number.POSITIVE_INFINITY;
  newest = Number.NEGATIVE_INFINITY;
  /** Later ones were written after they were asked for. */
  private readonly endMonotonic: number;

  /**
   * `furthest`: how far a clock that was right can have come, in milliseconds. `before`: how far it had come when the boot began, in
   * microseconds.
   */
  constructor({ oldest, latest }: LogWindow, endMonotonic: number, furthest: number, before?: number) {
    const window = { oldest: oldest * 1000, latest: latest * 1000 + 999 };
    this.clock = new SteadyClock({ window, step: STEP_MICROS, furthest: furthest * 1000, before });
    this.endMonotonic = endMonotonic;
  }

  /** In microseconds. */
  get steps(): readonly StepBack[] {
    return this.clock.steps;
  }

  /** Whether a record of these times is in the window; it is counted then. */
  takes(micros: number, sinceBoot: number): boolean {
    if (sinceBoot > this.endMonotonic || !this.clock.takes(micros, sinceBoot)) return false;
    this.records += 1;
    if (micros < this.first) this.first = micros;
    if (micros > this.newest) this.newest = micros;
    return true;
  }

  /** `''`: it is not in the window, or its time cannot be read. */
  line(record: JournalRecord): string {
    const { realtime, monotonic } = record;
    const micros = Number(realtime);
    const sinceBoot = Number(monotonic);
    if (!Number.isSafeInteger(micros) || micros < 0 || !Number.isSafeInteger(sinceBoot)) return '';
    if (!this.takes(micros, sinceBoot)) return '';
    const unit = oneLine(record.unit) || '-';
    const priority = PRIORITIES[Number(record.priority || 6)] ?? '-';
    const identifier = oneLine(record.identifier) || '-';
    const who = record.pid === '' ? identifier : `${identifier}[${oneLine(record.pid)}]`;
    let text = `${this.timeOf(realtime, micros)} ${oneLine(record.boot)} ${this.sinceBootOf(monotonic)} ${unit} ${priority} ${who}: ${oneLine(record.message)}`;
    for (const [name, value] of record.more) text += ` ${name}=${oneLine(value)}`;
    return `${text}\n`;
  }

  /** RFC 3339 in UTC, with microseconds. */
  private timeOf(realtime: string, micros: number): string {
    const digits = realtime.padStart(7, '0');
    const second = digits.slice(0, -6);
    if (second !== this.second) {
      this.second = second;
      this.secondText = microsText(micros).slice(0, -8);
    }
    return `${this.secondText}.${digits.slice(-6)}Z`;
  }

  private sinceBootOf(monotonic: string): string {
    const digits = monotonic.padStart(7, '0');
    return `${digits.slice(0, -6)}.${digits.slice(-6)}`;
  }
}

/** RFC 3339 in UTC, with microseconds. */
export function microsText(micros: number): string {
  // The last time that a Date can be, for a clock beyond it.
  const date = new Date(Math.min(Math.floor(micros / 1000), 8.64e15));
  return `${date.toISOString().slice(0, -1)}${String(micros % 1000).padStart(3, '0')}Z`;
}
