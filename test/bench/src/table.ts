/** The table for people. Pure. */
import type { Benchmark, Row } from './row.js';

type Spec = Benchmark['rows'][number];

/** Three digits that count, without an exponent. */
export function figure(value: number | null): string {
  if (value === null) return '-';
  if (Math.abs(value) >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

const met = (spec: Spec, row: Row): string => {
  if (row.why !== undefined) return 'not measured';
  return spec.meets(row) ? 'yes' : 'NO';
};

const HEAD = ['name', 'unit', 'ours', 'baseline', 'ratio', 'spread', 'n', 'wanted', 'met', 'baseline is'];
/** Columns of figures; the others begin at the left. */
const RIGHT = new Set([2, 3, 4, 5, 6]);

export function renderTable(rows: readonly { readonly spec: Spec; readonly row: Row }[]): string {
  const cells = rows.map(({ spec, row }) => [
    row.name,
    row.unit,
    figure(row.ours),
    figure(row.baseline),
    figure(row.ratio),
    row.spread === null ? '-' : `${Math.round(row.spread * 100)}%`,
    String(row.n),
    spec.wanted,
    met(spec, row),
    row.baselineName,
  ]);
  const widths = HEAD.map((title, column) => Math.max(title.length, ...cells.map((line) => line[column]?.length ?? 0)));
  const draw = (line: readonly string[]): string =>
    line
      .map((cell, column) =>
        RIGHT.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  const reasons = rows.flatMap(({ row }) => (row.why === undefined ? [] : [`${row.name}: not measured: ${row.why}`]));
  return [draw(HEAD), draw(widths.map((width) => '-'.repeat(width))), ...cells.map(draw), ...reasons].join('\n');
}
