/** What is wrong with a filter, and where. */
export class FilterError extends Error {
  readonly code = 'FILTER_INVALID';

  /** `at`: index of the first character that does not fit, the length of the text where something is missing at its end. */
  constructor(
    /** Without the place. */
    readonly what: string,
    readonly at: number,
    /** How many characters do not fit. */
    readonly length: number,
    /** What could have stood there; empty where that cannot be listed. */
    readonly expected: readonly string[] = [],
  ) {
    super(`character ${at + 1}: ${what}`);
    this.name = 'FilterError';
  }
}
