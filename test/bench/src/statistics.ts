/** What becomes of a row's repeated figures. Pure. */
import type { Benchmark, Measured, Row } from './row.js';

/** The value below which this share (0 to 1) of the values lies, between two of them where need be. Throws for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  if (below === undefined || above === undefined) throw new RangeError('no values');
  return below + (above - below) * (at - Math.floor(at));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Half the distance between the 10th and the 90th percentile, relative to the median; `null` for a median of 0. */
export function spread(values: readonly number[]): number | null {
  const middle = median(values);
  return middle === 0 ? null : Math.abs((quantile(values, 0.9) - quantile(values, 0.1)) / 2 / middle);
}

const isFigure = (value: number): boolean => Number.isFinite(value) && value > 0;

/** Why the figures of a row cannot stand; `undefined`: they can. Nothing that is measured here is ever 0. */
function objection(baselineName: string, { ours, baseline = [] }: Measured): string | undefined {
  if (ours.length === 0) return 'not measured';
  if (!ours.every(isFigure)) return `not a figure: ${ours.find((value) => !isFigure(value))}`;
  if (baselineName === '-') return undefined;
  if (baseline.length === 0) return 'the baseline was not measured';
  if (!baseline.every(isFigure)) return `the baseline is not a figure: ${baseline.find((value) => !isFigure(value))}`;
  return undefined;
}

/** The row of what was measured, or of why it was not. */
export function toRow(
  { name, unit, baselineName }: Benchmark['rows'][number],
  measured: Measured | { readonly why: string },
): Row {
  const nothing = { name, unit, ours: null, baseline: null, baselineName, ratio: null, n: 0, spread: null };
  if ('why' in measured) return { ...nothing, why: measured.why };
  const why = objection(baselineName, measured);
  const isOursGood = measured.ours.length > 0 && measured.ours.every(isFigure);
  if (!isOursGood) return { ...nothing, why: why ?? 'not measured' };
  const { ours, baseline = [] } = measured;
  const figures = { ...nothing, ours: median(ours), n: ours.length, spread: spread(ours) };
  if (why !== undefined) return { ...figures, why };
  if (baselineName === '-') return figures;
  return { ...figures, baseline: median(baseline), ratio: median(ours) / median(baseline) };
}
