/** Values as people read them. Pure. */
import { plain } from './terminal.js';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Decimal, as disks and networks count: `1.2 MB`. */
export function bytesText(bytes: number): string {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return step === 0 ? `${bytes} B` : `${(bytes / 1000 ** step).toFixed(1)} ${UNITS[step]}`;
}

/** `45 s`, `3 min`, `5 h`, `2 d`. */
export function durationText(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** How long ago a date was; empty: there is none. */
export const agoText = (date: string | undefined, nowMs: number): string =>
  date === undefined ? '' : durationText(Math.max(0, (nowMs - Date.parse(date)) / 1000));

/** Columns as wide as they have to be; all cells without control characters. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map(plain));
  const widths = head.map((_none, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
