/** The first of many in an order, without sorting all of them. Pure. */

export interface Placed {
  readonly key: number;
  readonly row: number;
}

/** Negative: the first one comes before. The higher key comes first, and of equal ones the higher row. */
export const comparePlaces = (a: Placed, b: Placed): number => b.key - a.key || b.row - a.row;

/** Keeps the first `count` of what is added. */
export function createFirstOf(count: number) {
  let kept: Placed[] = [];
  /** What comes behind this one is not among the first. */
  let bar: Placed | undefined;
  const cut = (): void => {
    kept.sort(comparePlaces);
    kept = kept.slice(0, count);
    if (kept.length === count) bar = kept.at(-1);
  };
  return {
    add(key: number, row: number): void {
      if (bar && (key < bar.key || (key === bar.key && row < bar.row))) return;
      kept.push({ key, row });
      if (kept.length >= 2 * count + 64) cut();
    },
    /** In order. */
    first(): readonly Placed[] {
      cut();
      return kept;
    },
  };
}
