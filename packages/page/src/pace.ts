/** How fast a transfer is and how long it takes still, from what was told of it. Pure. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly bytes: number;
}

export interface Pace {
  readonly samples: readonly Sample[];
}

const WINDOW_MS = 15_000;

/** Samples of the last seconds; those of an earlier try, which had more bytes, do not count. */
export function withSample({ samples }: Pace, sample: Sample): Pace {
  const isNewTry = (samples.at(-1)?.bytes ?? 0) > sample.bytes;
  const kept = isNewTry ? [] : samples.filter(({ at }) => at > sample.at - WINDOW_MS);
  return { samples: [...kept, sample] };
}

/** Bytes per second; `undefined`: not known yet. */
export function rateOf({ samples }: Pace): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.at <= first.at) return undefined;
  return ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
}

/** Seconds until all is there; `undefined`: not known. */
export function secondsLeft(pace: Pace, totalBytes: number | undefined): number | undefined {
  const rate = rateOf(pace);
  const last = pace.samples.at(-1);
  if (totalBytes === undefined || !last || !rate || rate <= 0) return undefined;
  return Math.max(0, totalBytes - last.bytes) / rate;
}
