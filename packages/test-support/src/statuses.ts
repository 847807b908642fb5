/** What every judge of heard statuses needs: a status may be told again, directly after itself. */

/** The names in their order, without those that repeat the one before. */
export const withoutRepeats = (names: readonly string[]): string[] =>
  names.filter((name, index) => name !== names[index - 1]);
