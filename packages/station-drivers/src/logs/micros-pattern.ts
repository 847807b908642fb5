/**
 * Times as text: which microseconds since 1970, written in decimal, may lie in a range, as an extended regular expression. Pure.
 * For `grep`, which compares no numbers: it spares a link what is far off, and the worker decides.
 */

/** Decimal numbers of one length, from `low` to `high`. */
function ofOneLength(low: string, high: string): readonly string[] {
  if (low === high) return [low];
  const [first = '', last = ''] = [low[0], high[0]];
  const rest = low.length - 1;
  if (rest === 0) return [`[${first}-${last}]`];
  if (first === last) return ofOneLength(low.slice(1), high.slice(1)).map((tail) => first + tail);
  const any = `[0-9]{${rest}}`;
  const between = Number(last) - Number(first) > 1 ? [`[${Number(first) + 1}-${Number(last) - 1}]${any}`] : [];
  return [
    ...ofOneLength(low.slice(1), '9'.repeat(rest)).map((tail) => first + tail),
    ...between,
    ...ofOneLength('0'.repeat(rest), high.slice(1)).map((tail) => last + tail),
  ];
}

function ofWholeNumbers(low: number, high: number): readonly string[] {
  const patterns: string[] = [];
  for (let from = low; from <= high; ) {
    const digits = String(from);
    const to = Math.min(high, 10 ** digits.length - 1);
    patterns.push(...ofOneLength(digits, String(to)));
    from = to + 1;
  }
  return patterns;
}

/** Inclusive bounds in milliseconds; it matches whole seconds, so somewhat more than asked. */
export function microsPattern(oldestMs: number, latestMs: number): string {
  const [from, to] = [Math.max(0, Math.floor(oldestMs / 1000)), Math.max(0, Math.floor(latestMs / 1000))];
  const withinFirst = from === 0 ? ['[0-9]{1,6}'] : [];
  const seconds = ofWholeNumbers(Math.max(1, from), to).map((pattern) => `${pattern}[0-9]{6}`);
  return `"__REALTIME_TIMESTAMP" ?: ?"(${[...withinFirst, ...seconds].join('|')})"`;
}
