/**
 * The JSON of journalctl, one record a line: a value is text, null (too long, without --all), a list of bytes (no plain text), or a list
 * of such values (a field that comes more than once).
 */

import { createRecordMaker } from './journal-export.js';
import type { JournalRecord } from './journal-record.js';

const bytesOfText = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

const isByte = (value: unknown): value is number => typeof value === 'number';

function valuesOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [bytesOfText(value)];
  if (!Array.isArray(value)) return [];
  const values: readonly unknown[] = value;
  return values.length > 0 && values.every(isByte)
    ? [Buffer.from(values).toString('latin1')]
    : values.flatMap(valuesOf);
}

/** A line without its end. `undefined`: it is no record. */
export function readJsonRecord(line: string, wanted: readonly string[]): JournalRecord | undefined {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return undefined;
  const maker = createRecordMaker(wanted);
  for (const [name, value] of Object.entries(entry)) for (const text of valuesOf(value)) maker.add(name, text);
  return maker.take();
}
