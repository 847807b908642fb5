/** Clocks: certificates, windows and deadlines hang on them. */
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';
import type { Sight } from '../sight.js';

const { ok, warning, wrong } = about('clock');
/** Before it this version was not there: a clock that says so was never set. */
const EARLIEST = Date.UTC(2026, 10, 1);
const TOLERATED_MS = 2000;
const REMEDY = 'run a time service: apt-get install -y chrony';

/** `offsets`: other clocks against ours in milliseconds, by whose they are. Pure. */
export function judgeClock(
  nowMs: number,
  offsets: Readonly<Record<string, number | undefined>>,
  isSynchronized: boolean | undefined,
): Finding[] {
  if (nowMs < EARLIEST) return [wrong(`the clock says ${new Date(nowMs).toISOString()}: it was never set`, REMEDY)];
  const apart = Object.entries(offsets).flatMap(([whose, offset]) =>
    offset === undefined || Math.abs(offset) <= TOLERATED_MS
      ? []
      : [
          warning(
            `the clock of ${whose} is ${(offset / 1000).toFixed(1)} s ${offset > 0 ? 'ahead' : 'behind'}`,
            REMEDY,
          ),
        ],
  );
  const alone = isSynchronized === false ? [warning('no time service keeps the clock of this machine', REMEDY)] : [];
  const found = [...apart, ...alone];
  return found.length > 0 ? found : [ok(new Date(nowMs).toISOString())];
}

export async function lookAtClock({ kind, gateway, url }: Place, sight: Sight): Promise<Finding[]> {
  const redis = gateway && (await sight.redis(gateway.REDIS_URL).catch(() => undefined));
  const live = await sight.get(`${url}/livez`).catch(() => undefined);
  const offsets = { Redis: redis?.clockOffsetMs, 'the gateway': live?.clockOffsetMs };
  return judgeClock(sight.now(), offsets, kind === 'remote' ? undefined : await sight.isClockSynchronized());
}
