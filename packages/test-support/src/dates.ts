/** RFC 3339 in UTC, with milliseconds; `at`: milliseconds since 1970. */
export const iso = (at: number): string => new Date(at).toISOString();
