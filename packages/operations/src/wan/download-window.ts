/**
 * Times of day at a depot, right on the days on which its clock is changed. A time that the clock shows twice counts when it
 * is shown first; one that is skipped counts when it is skipped. Pure. Dates are milliseconds since 1970.
 */
import { Temporal } from 'temporal-polyfill';

/** `end` before or at `begin`: of the next day. */
export interface DailyWindow {
  readonly begin: string;
  readonly end: string;
}

/** `until`: when that changes; absent: never. */
export type WindowState =
  | { readonly open: true; readonly until?: number }
  | { readonly open: false; readonly until: number };

/** Of the time zones that Node knows. */
export function isTimeZone(name: string): boolean {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** `texts`: as `22:00-06:00`, checked before. */
export const readWindows = (texts: readonly string[]): DailyWindow[] =>
  texts.map((text) => {
    const [begin = '', end = ''] = text.split('-');
    return { begin, end: end === '24:00' ? '00:00' : end };
  });

/** The first moment of this day at which the clock shows the time or, where that is skipped, a later one. */
function momentOf(day: Temporal.PlainDate, time: string, timeZone: string): number {
  const wanted = day.toPlainDateTime(Temporal.PlainTime.from(time));
  const earlier = wanted.toZonedDateTime(timeZone, { disambiguation: 'earlier' });
  const isShown = earlier.toPlainDateTime().equals(wanted);
  // The clock is before the gap: its next change is the gap.
  const moment = isShown ? earlier : earlier.getTimeZoneTransition('next');
  return (moment ?? earlier).epochMilliseconds;
}

/** The last moment up to now at which the clock showed this time of day, as `02:30`. */
export function lastDailyMoment(time: string, timeZone: string, now: number): number {
  const today = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timeZone).toPlainDate();
  const moments = [1, 0, -1, -2].map((days) => momentOf(today.add({ days }), time, timeZone));
  return Math.max(...moments.filter((moment) => moment <= now));
}

interface Interval {
  readonly begin: number;
  readonly end: number;
}

/** How many days are looked at before and after today: a time zone may leave out a day. */
const DAYS = { before: 2, after: 4 } as const;

function intervalsAround(windows: readonly DailyWindow[], timeZone: string, today: Temporal.PlainDate): Interval[] {
  const intervals: Interval[] = [];
  for (let days = -DAYS.before; days <= DAYS.after; days++) {
    const day = today.add({ days });
    for (const { begin, end } of windows) {
      const lastDay = end <= begin ? day.add({ days: 1 }) : day;
      const interval = { begin: momentOf(day, begin, timeZone), end: momentOf(lastDay, end, timeZone) };
      // Both its ends were skipped.
      if (interval.end > interval.begin) intervals.push(interval);
    }
  }
  return intervals.toSorted((a, b) => a.begin - b.begin);
}

/** Whether images are fetched at this date. */
export function windowAt(windows: readonly DailyWindow[], timeZone: string, now: number): WindowState {
  if (windows.length === 0) return { open: true };
  const today = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timeZone).toPlainDate();
  const intervals = intervalsAround(windows, timeZone, today);
  let until = now;
  for (const { begin, end } of intervals) if (begin <= until && end > until) until = end;
  if (until === now) {
    const next = intervals.find(({ begin }) => begin > now);
    return { open: false, until: next?.begin ?? now };
  }
  // What follows one after the other as far as we look has no end.
  return until >= momentOf(today.add({ days: DAYS.after }), '00:00', timeZone) ? { open: true } : { open: true, until };
}

export interface Month {
  /** As `2026-11`. */
  readonly name: string;
  /** When the next one begins. */
  readonly endsAt: number;
}

/** The month at the depot at this date. */
export function monthAt(timeZone: string, now: number): Month {
  const today = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timeZone).toPlainDate();
  const next = today.with({ day: 1 }).add({ months: 1 });
  return { name: today.toPlainYearMonth().toString(), endsAt: momentOf(next, '00:00', timeZone) };
}
