/** How fast something goes, and how long it will take. Pure but for what it remembers. */

/** Long enough to smooth parts and pieces, short enough to follow a line that gets slower. */
const WINDOW_MS = 20_000;
/** Below it a rate says nothing. */
const LEAST_MS = 900;

export interface Pace {
  /** Bytes a second over the last 20 seconds. */
  readonly bytesPerS?: number;
  /** Seconds until all is there at this rate, rounded up. */
  readonly remainingS?: number;
}

/** Call it with each word that is told. A count that falls back, or a clock that does, begins anew. */
export function createPace(): (at: number, bytes: number, totalBytes?: number) => Pace {
  let points: { readonly at: number; readonly bytes: number }[] = [];
  return (at, bytes, totalBytes) => {
    const last = points.at(-1);
    if (last && (bytes < last.bytes || at < last.at)) points = [];
    points.push({ at, bytes });
    while (points.length > 2 && at - (points[1]?.at ?? at) >= WINDOW_MS) points.shift();
    const first = points[0] ?? { at, bytes };
    const tookMs = at - first.at;
    if (tookMs < LEAST_MS) return {};
    const bytesPerS = Math.round(((bytes - first.bytes) * 1000) / tookMs);
    if (totalBytes === undefined || bytesPerS === 0) return { bytesPerS };
    return { bytesPerS, remainingS: Math.ceil(Math.max(0, totalBytes - bytes) / bytesPerS) };
  };
}
