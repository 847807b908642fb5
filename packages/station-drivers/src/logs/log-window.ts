/** Inclusive bounds in milliseconds since 1970; infinite: open. */
export interface LogWindow {
  readonly oldest: number;
  readonly latest: number;
}

export const windowOf = (query: { readonly oldest?: Date; readonly latest?: Date }): LogWindow => ({
  oldest: query.oldest?.getTime() ?? Number.NEGATIVE_INFINITY,
  latest: query.latest?.getTime() ?? Number.POSITIVE_INFINITY,
});

/** `ms`: cut to whole milliseconds. */
export const isInside = ({ oldest, latest }: LogWindow, ms: number): boolean => ms >= oldest && ms <= latest;
