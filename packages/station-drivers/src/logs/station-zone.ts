/** Which time it was where a clock shows a local one. Pure. */

export interface StationZone {
  /** Of the station's clock to UTC, now. */
  readonly zoneMinutes: number;
  /** Its name in the database of time zones, as `Europe/Berlin`; absent: it is not known, and `zoneMinutes` counts at all times. */
  readonly zone?: string | undefined;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** All changes of clocks are at whole quarters of an hour. */
const QUARTER_MS = 15 * MINUTE_MS;

function offsetsOf(zone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' });
  return (ms) => {
    const name = format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')?.value ?? '';
    const [, sign, hours, minutes, seconds = 0] = /([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(name) ?? [];
    if (sign === undefined) return 0;
    return (sign === '-' ? -1 : 1) * ((Number(hours) * 60 + Number(minutes)) * MINUTE_MS + Number(seconds) * 1000);
  };
}

/** Whether the zone is one that we know, and says of now what the station says. */
export function isZone(zone: string, ms: number, minutes: number): boolean {
  try {
    return offsetsOf(zone)(ms) === minutes * MINUTE_MS;
  } catch {
    return false;
  }
}

/** The moments at which the clock shows this local time, in their order. One that is left out by the clock is taken as if it were not. */
function momentsOf(local: number, offsetAt: (ms: number) => number): readonly number[] {
  const [before, after] = [offsetAt(local - DAY_MS), offsetAt(local + DAY_MS)];
  const moments = [...new Set([local - before, local - after])].filter((ms) => offsetAt(ms) === local - ms);
  return moments.length === 0 ? [local - before] : moments.toSorted((a, b) => a - b);
}

/**
 * Reads local times of one log, in turn, as if they were UTC: milliseconds since 1970. Of an hour that comes twice the second one is meant
 * where the first would go back.
 */
export function createLocalTimes({ zone, zoneMinutes }: StationZone): (local: number) => number {
  if (zone === undefined) return (local) => local - zoneMinutes * MINUTE_MS;
  const offsetAt = offsetsOf(zone);
  let quarter = Number.NaN;
  let offsets: readonly number[] = [];
  let last = Number.NEGATIVE_INFINITY;
  return (local) => {
    const begin = Math.floor(local / QUARTER_MS) * QUARTER_MS;
    if (begin !== quarter) {
      quarter = begin;
      offsets = momentsOf(begin, offsetAt).map((ms) => begin - ms);
    }
    const moments = offsets.map((offset) => local - offset);
    last = moments.find((ms) => ms >= last - MINUTE_MS) ?? moments[0] ?? local;
    return last;
  };
}
