/** The last MQTT frames of all stations, in memory that has a bound. */

export interface Frame {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly direction: 'from_station' | 'to_station';
  readonly topic: string;
  readonly qos: number;
  /** Of the whole payload. */
  readonly sizeBytes: number;
  /** The beginning of the payload, a character a byte: such a text pins no other memory. */
  readonly payload: string;
  /** The broker delivered it again. */
  readonly isAgain?: boolean;
  /** Of one to the station: whether the broker knew of a subscriber. */
  readonly isHeard?: boolean;
}

/** One frame, or the last of several that say the same all the time. */
export interface KeptFrame extends Frame {
  /** How many they are. */
  readonly count: number;
  /** When the first of them came. */
  readonly firstAt: number;
}

export interface RingLimits {
  readonly stationFrames: number;
  readonly stationBytes: number;
  readonly bytes: number;
  readonly ageMs: number;
}

const LIMITS: RingLimits = {
  stationFrames: 100,
  stationBytes: 128 * 1024,
  bytes: 16 * 1024 * 1024,
  ageMs: 15 * 60_000,
};

/** What an entry takes beside its texts, roughly. */
const ENTRY_BYTES = 400;

interface Entry {
  readonly of: StationEntries;
  readonly frame: KeptFrame;
  /** Monotonic. */
  readonly addedAt: number;
  readonly bytes: number;
}

interface StationEntries {
  readonly station: string;
  /** Oldest first. */
  readonly entries: Set<Entry>;
  /** By topic: those that come all the time. */
  readonly pulses: Map<string, Entry>;
  bytes: number;
  /** When the newest frame came that is not here any more; monotonic. */
  lostAt: number;
}

export interface FrameRing {
  /** `isPulse`: it says the same all the time, and takes the place of the one before on its topic. */
  readonly add: (station: string, frame: Frame, isPulse: boolean) => void;
  /** A frame of this station has come that is not taken down. */
  readonly miss: (station: string) => void;
  /** Oldest first. */
  readonly of: (station: string) => readonly KeptFrame[];
  /** How far back none of its frames is missing; milliseconds, and never more than frames are kept for. */
  readonly wholeForMs: (station: string) => number;
  readonly clear: () => void;
  readonly size: () => { readonly stations: number; readonly frames: number; readonly bytes: number };
}

/** `elapsed`: a monotonic time in milliseconds. */
export function createFrameRing(limits = LIMITS, elapsed: () => number = () => performance.now()): FrameRing {
  /** Of all stations, oldest first. */
  const all = new Set<Entry>();
  const stations = new Map<string, StationEntries>();
  let bytes = 0;
  /** The same for all stations that have none: later than it was for most, so that nothing is kept of each. */
  let lostAt = Number.NEGATIVE_INFINITY;

  const takeOut = (entry: Entry): void => {
    const { of, frame } = entry;
    all.delete(entry);
    of.entries.delete(entry);
    if (of.pulses.get(frame.topic) === entry) of.pulses.delete(frame.topic);
    of.bytes -= entry.bytes;
    bytes -= entry.bytes;
  };

  const lose = (entry: Entry): void => {
    const { of, addedAt } = entry;
    takeOut(entry);
    of.lostAt = Math.max(of.lostAt, addedAt);
    if (of.entries.size > 0) return;
    stations.delete(of.station);
    lostAt = Math.max(lostAt, of.lostAt);
  };

  const oldestOf = (entries: ReadonlySet<Entry>): Entry | undefined => entries.values().next().value;

  const trim = (of: StationEntries): void => {
    const loseOldest = (entries: ReadonlySet<Entry>): void => {
      const oldest = oldestOf(entries);
      if (oldest) lose(oldest);
    };
    while (of.entries.size > limits.stationFrames || of.bytes > limits.stationBytes) loseOldest(of.entries);
    while (bytes > limits.bytes) loseOldest(all);
    const since = elapsed() - limits.ageMs;
    while ((oldestOf(all)?.addedAt ?? since) < since) loseOldest(all);
  };

  return {
    add(station, frame, isPulse) {
      const of = stations.get(station) ?? { station, entries: new Set(), pulses: new Map(), bytes: 0, lostAt };
      stations.set(station, of);
      const before = isPulse ? of.pulses.get(frame.topic) : undefined;
      if (before) takeOut(before);
      const { count = 0, firstAt = frame.at } = before?.frame ?? {};
      const size = ENTRY_BYTES + frame.payload.length + frame.topic.length;
      const entry = { of, frame: { ...frame, count: count + 1, firstAt }, addedAt: elapsed(), bytes: size };
      of.entries.add(entry);
      if (isPulse) of.pulses.set(frame.topic, entry);
      all.add(entry);
      of.bytes += size;
      bytes += size;
      trim(of);
    },
    miss(station) {
      const of = stations.get(station);
      if (of) of.lostAt = elapsed();
      else lostAt = elapsed();
    },
    of(station) {
      const since = elapsed() - limits.ageMs;
      const entries = [...(stations.get(station)?.entries ?? [])];
      return entries.filter(({ addedAt }) => addedAt >= since).map(({ frame }) => frame);
    },
    wholeForMs(station) {
      const lastLostAt = stations.get(station)?.lostAt ?? lostAt;
      // Several may have come in one millisecond.
      return Math.max(0, Math.min(limits.ageMs, elapsed() - lastLostAt - 1));
    },
    clear() {
      all.clear();
      stations.clear();
      bytes = 0;
      lostAt = Number.NEGATIVE_INFINITY;
    },
    size: () => ({ stations: stations.size, frames: all.size, bytes }),
  };
}
