/**
 * The export format of journalctl to lines of text, byte by byte. Records of the usual kind never become objects or strings: a
 * journal has millions. Whatever is not usual goes through the reader of `journal-export.ts`, so that both say the same.
 */
import {
  BOOT,
  FIELDS,
  fieldAt,
  IDENTIFIER,
  MESSAGE,
  MONOTONIC,
  NAME_BYTES,
  NONE,
  PRIORITY,
  REALTIME,
  SHORTEST_LINE,
  UNIT,
} from './export-fields.js';
import { createExportReader } from './journal-export.js';
import { type JournalRecord, microsText, PRIORITIES, type RecordLines } from './journal-record.js';

const LF = 0x0a;
const DOT = 0x2e;
const SPACE = 0x20;
/** Digits that every number can hold exactly. */
const MOST_DIGITS = 15;
const MOST_MICROS_DIGITS = 16;
/** The numbers of microseconds after a second, and zeros in front of a short one. */
const MICROS_DIGITS = 6;
const BOOT_LENGTH = 32;
const OUT_BYTES = 128 * 1024;
const FIRST_INPUT_BYTES = 128 * 1024;
/** One that is longer is read as it comes: it would be begun anew with each piece. */
const USUAL_BYTES = 32 * 1024;
/** Of a line, beside what is copied from the record: times, spaces, the word of the priority. */
const EXTRA_BYTES = 128;

const INCOMPLETE = 0;
const UNUSUAL = -1;

const PRIORITY_BYTES = PRIORITIES.map((word) => Buffer.from(` ${word} `, 'latin1'));
const ASIDE = Buffer.from('-', 'latin1');

export interface ExportLinesInput {
  /** Further fields of each record; with any, every record is read the slow way. */
  readonly fields: readonly string[];
  readonly lines: RecordLines;
  /** The line, or lines, of a record that was read the slow way; as Latin-1. */
  readonly lineOf: (record: JournalRecord) => string;
  readonly maxLineBytes: number;
}

/** Lines come out in the order of the records. Throws `LOGS_UNAVAILABLE` for another format. */
export class ExportLines {
  private readonly input: ExportLinesInput;
  private readonly slow: ReturnType<typeof createExportReader>;
  private readonly isAlwaysSlow: boolean;
  private isSlow: boolean;
  private held = Buffer.allocUnsafeSlow(FIRST_INPUT_BYTES);
  private heldBytes = 0;
  private out = Buffer.allocUnsafeSlow(OUT_BYTES);
  private used = 0;
  private full: Buffer[] = [];
  /** Where the value of each field begins in the record that is read, and where it ends; -1: it has none. */
  private readonly from = new Int32Array(FIELDS);
  private readonly to = new Int32Array(FIELDS);
  /** The second of the last record, and its text up to the dot. */
  private second = -1;
  private readonly secondText = Buffer.alloc(20);

  constructor(input: ExportLinesInput) {
    this.input = input;
    this.isAlwaysSlow = input.fields.length > 0;
    this.isSlow = this.isAlwaysSlow;
    this.slow = createExportReader(input.fields, (record) => this.write(input.lineOf(record)));
  }

  /** Whole lines that `piece` has made. The piece may be used again. */
  push(piece: Buffer): readonly Buffer[] {
    this.hold(piece);
    let at = 0;
    while (at < this.heldBytes) {
      if (this.isSlow) {
        at = this.readSlowly(at);
        continue;
      }
      const next = this.readRecord(at);
      if (next > 0) at = next;
      else if (next === UNUSUAL || this.heldBytes - at > USUAL_BYTES) this.isSlow = true;
      else break;
    }
    this.held.copyWithin(0, at, this.heldBytes);
    this.heldBytes -= at;
    const full = this.full;
    this.full = [];
    return full;
  }

  /** What is left; whether it ended where a record ends. */
  end(): { readonly last: readonly Buffer[]; readonly isWhole: boolean } {
    if (this.heldBytes > 0) this.slow.push(this.held.subarray(0, this.heldBytes));
    const isWhole = this.slow.end();
    this.flush();
    return { last: this.full, isWhole };
  }

  private hold(piece: Buffer): void {
    const size = this.heldBytes + piece.length;
    if (size > this.held.length) {
      const larger = Buffer.allocUnsafeSlow(2 * size);
      this.held.copy(larger, 0, 0, this.heldBytes);
      this.held = larger;
    }
    piece.copy(this.held, this.heldBytes);
    this.heldBytes = size;
  }

  /** To the end of a record, or of what there is. */
  private readSlowly(from: number): number {
    if (this.isAlwaysSlow) {
      this.slow.push(this.held.subarray(from, this.heldBytes));
      return this.heldBytes;
    }
    let at = from;
    while (at < this.heldBytes) {
      const newline = this.held.indexOf(LF, at);
      const line = newline === -1 || newline >= this.heldBytes ? this.heldBytes : newline + 1;
      const next = this.slow.missing > 0 ? Math.min(this.heldBytes, at + this.slow.missing) : line;
      this.slow.push(this.held.subarray(at, next));
      at = next;
      if (this.slow.isBetween) {
        this.isSlow = false;
        break;
      }
    }
    return at;
  }

  /** Where the next record begins; or `INCOMPLETE`, or `UNUSUAL`. */
  private readRecord(start: number): number {
    const { held, heldBytes: end, from, to } = this;
    from.fill(-1);
    let at = start;
    for (;;) {
      if (at >= end) return INCOMPLETE;
      if (held[at] === LF) break;
      // Behind the end stands what was read before.
      if (end - at < SHORTEST_LINE) return INCOMPLETE;
      const field = fieldAt(held, at);
      if (field === NONE) return UNUSUAL;
      const name = NAME_BYTES[field] as Buffer;
      if (at + name.length > end) return INCOMPLETE;
      for (let n = 0; n < name.length; n += 1) if (held[at + n] !== name[n]) return UNUSUAL;
      // Of a field that comes twice both count.
      if (from[field] !== -1) return UNUSUAL;
      const newline = held.indexOf(LF, at + name.length);
      if (newline === -1 || newline >= end) return INCOMPLETE;
      from[field] = at + name.length;
      to[field] = newline;
      at = newline + 1;
    }
    return this.writeRecord() ? at + 1 : UNUSUAL;
  }

  private digits(field: number, most: number): number {
    const { held, from, to } = this;
    const [first, last] = [from[field] as number, to[field] as number];
    if (first === -1 || last === first || last - first > most) return -1;
    let value = 0;
    for (let at = first; at < last; at += 1) {
      const digit = (held[at] as number) - 0x30;
      if (digit < 0 || digit > 9) return -1;
      value = value * 10 + digit;
    }
    return value;
  }

  /** Whether it was a usual one; then its line is written, if it is in the window. */
  private writeRecord(): boolean {
    const { from, to, held } = this;
    const micros = this.digits(REALTIME, MOST_MICROS_DIGITS);
    const sinceBoot = this.digits(MONOTONIC, MOST_DIGITS);
    if (micros < 0 || sinceBoot < 0 || (to[BOOT] as number) - (from[BOOT] as number) !== BOOT_LENGTH) return false;
    if (from[BOOT] === -1 || from[MESSAGE] === -1) return false;
    const priority = from[PRIORITY] === -1 ? 6 : (held[from[PRIORITY] as number] as number) - 0x30;
    if (priority < 0 || priority > 7 || (from[PRIORITY] !== -1 && to[PRIORITY] !== (from[PRIORITY] as number) + 1))
      return false;
    // A text between two line ends can hold any other control character.
    for (const field of [BOOT, UNIT, IDENTIFIER, MESSAGE]) if (!this.isPlain(field)) return false;
    const size = this.sizeOf(UNIT) + this.sizeOf(IDENTIFIER) + this.sizeOf(MESSAGE) + EXTRA_BYTES;
    if (size > this.input.maxLineBytes || !this.seeSecond(micros)) return false;
    if (!this.input.lines.takes(micros, sinceBoot)) return true;
    this.makeRoom(size);
    this.copy(this.secondText, 0, this.secondText.length);
    this.copy(held, (to[REALTIME] as number) - MICROS_DIGITS, to[REALTIME] as number);
    this.put(0x5a);
    this.put(SPACE);
    this.copyField(BOOT);
    this.put(SPACE);
    this.copySeconds();
    this.put(SPACE);
    this.copyField(UNIT);
    const word = PRIORITY_BYTES[priority] as Buffer;
    this.copy(word, 0, word.length);
    this.copyField(IDENTIFIER);
    this.put(0x3a);
    this.put(SPACE);
    this.copy(held, from[MESSAGE] as number, to[MESSAGE] as number);
    this.put(LF);
    return true;
  }

  private sizeOf(field: number): number {
    return this.from[field] === -1 ? 0 : (this.to[field] as number) - (this.from[field] as number);
  }

  private isPlain(field: number): boolean {
    const { held, from, to } = this;
    for (let at = from[field] as number, last = at === -1 ? -1 : (to[field] as number); at < last; at += 1) {
      const byte = held[at] as number;
      if ((byte < SPACE && byte !== 0x09) || byte === 0x7f) return false;
    }
    return true;
  }

  /** Sets the text of the second; whether it is one of four digits of a year and enough digits of microseconds. */
  private seeSecond(micros: number): boolean {
    const second = Math.floor(micros / 1e6);
    if (second === this.second) return true;
    if (this.sizeOf(REALTIME) <= MICROS_DIGITS) return false;
    const text = microsText(micros);
    if (text.length !== this.secondText.length + MICROS_DIGITS + 1) return false;
    this.secondText.write(text, 0, this.secondText.length, 'latin1');
    this.second = second;
    return true;
  }

  /** Seconds since the boot with six digits behind the dot. */
  private copySeconds(): void {
    const [first, last] = [this.from[MONOTONIC] as number, this.to[MONOTONIC] as number];
    const dot = last - MICROS_DIGITS;
    if (dot > first) this.copy(this.held, first, dot);
    else this.put(0x30);
    this.put(DOT);
    for (let zero = dot; zero < first; zero += 1) this.put(0x30);
    this.copy(this.held, Math.max(first, dot), last);
  }

  private copyField(field: number): void {
    if (this.sizeOf(field) === 0) this.copy(ASIDE, 0, ASIDE.length);
    else this.copy(this.held, this.from[field] as number, this.to[field] as number);
  }

  private put(byte: number): void {
    this.out[this.used] = byte;
    this.used += 1;
  }

  /** Most are too short for a call into native code to be worth it. */
  private copy(bytes: Buffer, first: number, last: number): void {
    const { out } = this;
    let { used } = this;
    for (let at = first; at < last; at += 1, used += 1) out[used] = bytes[at] as number;
    this.used = used;
  }

  private makeRoom(size: number): void {
    if (this.used + size <= this.out.length) return;
    this.flush();
    this.out = Buffer.allocUnsafeSlow(Math.max(OUT_BYTES, size));
    this.used = 0;
  }

  private flush(): void {
    if (this.used > 0) this.full.push(this.out.subarray(0, this.used));
    this.out = this.out.subarray(this.used);
    this.used = 0;
  }

  private write(line: string): void {
    this.makeRoom(line.length);
    this.used += this.out.write(line, this.used, 'latin1');
  }
}
