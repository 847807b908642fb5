/** Who reads at the same time, and who makes room for one more: places are few, and each reads at its own pace. */

/** So many bytes in so many milliseconds. */
export interface Pace {
  readonly bytes: number;
  readonly ms: number;
}

/** About 110 kbit/s. A station on a worse line than that keeps its place while no other reader needs it. */
export const LEAST_PACE: Pace = { bytes: 4 * 1024 * 1024, ms: 300_000 };

export interface Reader {
  /** It has taken so many bytes more. */
  readonly took: (bytes: number) => void;
  readonly leave: () => void;
}

interface Place {
  /** Since when, and of how many bytes, its pace is measured. */
  since: number;
  bytes: number;
  readonly cutOff: () => void;
}

/** `admit`: `undefined` where all places are taken by readers of at least that pace. One that makes room is cut off by its `cutOff`. */
export function createReaders(most: number, pace: Pace) {
  const places = new Set<Place>();

  /** Who has been slow for the longest time. */
  const slowest = (): Place | undefined => {
    const latest = performance.now() - pace.ms;
    let found: Place | undefined;
    for (const place of places) if (place.since <= latest && place.since < (found?.since ?? Infinity)) found = place;
    return found;
  };

  return {
    admit(cutOff: () => void): Reader | undefined {
      if (places.size >= most) {
        const slow = slowest();
        if (!slow) return undefined;
        places.delete(slow);
        slow.cutOff();
      }
      const place: Place = { since: performance.now(), bytes: 0, cutOff };
      places.add(place);
      return {
        took(bytes) {
          place.bytes += bytes;
          if (place.bytes < pace.bytes) return;
          place.since = performance.now();
          place.bytes = 0;
        },
        leave: () => void places.delete(place),
      };
    },
  };
}
