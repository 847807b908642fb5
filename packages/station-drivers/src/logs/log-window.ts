/** Inclusive bounds in milliseconds since 1970; infinite: open. */
export interface LogWindow {
  readonly oldest: number;
  readonly latest: number;
}

export const windowOf = (query: { readonly oldest?: Date; readonly latest?: Date }): LogWindow => ({
  oldest: query.oldest?.getTime() ?? Number.NEGATIVE_INFINITY,
  latest: query.latest?.getTime() ?? Number.POSITIVE_INFINITY,
});

/** `time` is in the unit of the bounds. */
export const isInside = ({ oldest, latest }: LogWindow, time: number): boolean => time >= oldest && time <= latest;
