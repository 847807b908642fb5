/**
 * When a line of a file was written, as far as it tells. Pure. Of EVerest: OCPP messages as `2026-11-29T08:00:00.000Z: ...` and as rows of
 * HTML, security events as lines of JSON, sessions as CSV and as rows of HTML (libocpp's ocpp_logging.cpp and EvseManager's SessionLog.cpp at
 * aa8113f); its console as `2026-11-29 08:00:00.000000 [INFO]`. Of others: RFC 3339, RFC 3164, seconds, milli- or microseconds since 1970.
 */
import { createLocalTimes, type StationZone } from './station-zone.js';

/** The zone is for times that name none. */
export interface TimeContext extends StationZone {
  /** When the file was written last: RFC 3164 names no year. */
  readonly modifiedMs: number;
}

interface Reading extends TimeContext {
  /** Of a time without a zone. */
  readonly fromLocal: (local: number) => number;
}

/** Milliseconds since 1970, cut; `undefined`: the line has no such time. */
type ReadTime = (line: string, reading: Reading) => number | undefined;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const RFC_3339 = String.raw`(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|[+-]\d\d:?\d\d)(?![0-9A-Za-z]))?`;
/** A bracket or a quote before it, a row of a table, a priority of syslog. */
const LINE_START = String.raw`^(?:<\d{1,3}>(?:1 )?|[["']|<tr class="[A-Za-z]{0,40}"> ?<td>)?`;

const AT_START = new RegExp(LINE_START + RFC_3339);
const IN_JSON = new RegExp(String.raw`^\{.{0,4000}?"(?:timestamp|@timestamp|time|ts)" ?: ?"${RFC_3339}"`);
const SYSLOG =
  /^(?:<\d{1,3}>)?(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? /;
const EPOCH = /^\[?([1-3]\d{9})(?:\.(\d{1,9})|(\d{3}|\d{6}))?(?=[\s:,;\]])/;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const minutesOf = (zone: string): number => {
  if (zone === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return zone.startsWith('-') ? -minutes : minutes;
};

const millis = (fraction = ''): number => Number(fraction.slice(0, 3).padEnd(3, '0'));

const rfc3339By =
  (pattern: RegExp): ReadTime =>
  (line, { fromLocal }) => {
    const found = pattern.exec(line);
    if (!found) return undefined;
    const [, year, month, day, hour, minute, second, fraction, zone] = found;
    const local = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
    const ms = local + millis(fraction);
    return zone === undefined ? fromLocal(ms) : ms - minutesOf(zone) * MINUTE_MS;
  };

const syslog: ReadTime = (line, { modifiedMs, zoneMinutes, fromLocal }) => {
  const found = SYSLOG.exec(line);
  if (!found) return undefined;
  const [, month = '', day, hour, minute, second, fraction] = found;
  const inYear = (year: number): number =>
    Date.UTC(year, MONTHS.indexOf(month), Number(day), Number(hour), Number(minute), Number(second)) + millis(fraction);
  const year = new Date(modifiedMs + zoneMinutes * MINUTE_MS).getUTCFullYear();
  // Not written after the last change of its file, but for a day of zones and clocks.
  const isThen = inYear(year) - zoneMinutes * MINUTE_MS <= modifiedMs + DAY_MS;
  return fromLocal(inYear(isThen ? year : year - 1));
};

const epoch: ReadTime = (line) => {
  const [whole, seconds, fraction, digits = ''] = EPOCH.exec(line) ?? [];
  if (whole === undefined) return undefined;
  return Number(seconds) * 1000 + (fraction === undefined ? millis(digits) : millis(fraction));
};

const FORMATS: readonly ReadTime[] = [rfc3339By(AT_START), rfc3339By(IN_JSON), syslog, epoch];

/**
 * Of one file: the first format in which a line tells a time is that of all of them, so that no value inside a record is taken for
 * one. `onLocal`: a time names no zone.
 */
export function createTimeReader(
  context: TimeContext,
  onLocal: () => void = () => {},
): (line: string) => number | undefined {
  let known: ReadTime | undefined;
  const localTimes = createLocalTimes(context);
  const fromLocal = (local: number): number => {
    onLocal();
    return localTimes(local);
  };
  const reading: Reading = { ...context, fromLocal };
  return (line) => {
    if (known) return known(line, reading);
    for (const format of FORMATS) {
      const ms = format(line, reading);
      if (ms === undefined) continue;
      known = format;
      return ms;
    }
    return undefined;
  };
}
