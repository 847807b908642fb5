/**
 * Dates from outside, and dates we show. A CSMS writes `9999-12-31T23:59:59.9999999Z` for "never" and `0001-01-01T00:00:00Z`
 * for "not set" (.NET), so the ends of what can be meant are written down: no charger has lived before 2000, and none will
 * be asked for anything after 2100. Pure. All in milliseconds since 1970.
 */

export const EARLIEST_DATE = Date.UTC(2000, 0, 1);
export const LATEST_DATE = Date.UTC(2100, 0, 1);

/** A date that something is to happen at: earlier ones have passed, later ones are the last we know. `text`: RFC 3339. */
export const plannedDate = (text: string): number => Math.min(LATEST_DATE, Math.max(EARLIEST_DATE, Date.parse(text)));

/** What RFC 3339 has digits for. */
const FIRST_SHOWN = Date.parse('0000-01-01T00:00:00Z');
const LAST_SHOWN = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** As RFC 3339 (5.6) in UTC, always with four digits of the year; what has more is the end of what has four. */
export const rfc3339 = (ms: number): string => new Date(Math.min(LAST_SHOWN, Math.max(FIRST_SHOWN, ms))).toISOString();
