/** How values are compared. Pure. */

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const RELATIVE = /^now(?:([+-])(\d{1,6})([smhdw]))?$/;
const DATE = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/;

/**
 * Milliseconds since 1970 of a date (RFC 3339, or a day, which begins at midnight UTC) or of a time that is reckoned from
 * now. `undefined`: it is neither.
 */
export function readMoment(text: string, now: number): number | undefined {
  const [isRelative, sign, count, unit = ''] = RELATIVE.exec(text) ?? [];
  if (isRelative !== undefined) {
    const distance = Number(count ?? 0) * (UNIT_MS[unit] ?? 0);
    return sign === '-' ? now - distance : now + distance;
  }
  const at = DATE.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const PIECES = /\d+|[^\d]+/g;
const isNumber = (piece: string): boolean => /^\d/.test(piece);
/** Digits of any length, as numbers. */
const compareDigits = (a: string, b: string): number => {
  const [left, right] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return left.length - right.length || compareText(left, right);
};
/** What stands behind `-` or `~` comes before: 2.1-rc1 is older than 2.1. SemVer 2.0.0, 11; Debian's `~`. */
const restOf = (piece: string | undefined): number => (piece === undefined ? 0 : /^[-~]/.test(piece) ? -1 : 1);

/** Negative: the first one is older. Numbers in versions count as numbers: 2.9 is older than 2.10. */
export function compareVersions(a: string, b: string): number {
  const left = a.match(PIECES) ?? [];
  const right = b.match(PIECES) ?? [];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const [one, other] = [left[at], right[at]];
    if (one === undefined || other === undefined) return restOf(one) - restOf(other);
    const isOrderOfNumbers = isNumber(one) && isNumber(other);
    // A dot goes on where the other one has ended in a suffix.
    const order = isOrderOfNumbers ? compareDigits(one, other) : restOf(one) - restOf(other) || compareText(one, other);
    if (order !== 0) return order;
  }
  return 0;
}

/** `*`: any characters, `?`: one. In time that is proportional to both lengths at most, whatever the pattern. */
export function matchesGlob(pattern: string, text: string): boolean {
  let [inPattern, inText] = [0, 0];
  /** Where to go on if what followed the last star does not fit. */
  let star: { readonly pattern: number; text: number } | undefined;
  while (inText < text.length) {
    const character = pattern[inPattern];
    if (character === '*') star = { pattern: ++inPattern, text: inText };
    else if (character === '?' || (character !== undefined && character === text[inText])) {
      inPattern += 1;
      inText += 1;
    } else if (star) {
      star.text += 1;
      [inPattern, inText] = [star.pattern, star.text];
    } else return false;
  }
  while (pattern[inPattern] === '*') inPattern += 1;
  return inPattern === pattern.length;
}
