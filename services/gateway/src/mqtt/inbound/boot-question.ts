/** The evidence for the boot in which a question came: of that moment, and what has come since. */
import { type BootSign, signWaitMs } from '@khumbu/intake/decide-boot-reason';
import type { Liveness } from '@khumbu/intake/get-boot-reason';
import { type BootMark, bootSince, markBoot } from '../liveness/boot-mark.js';
import type { BootSigns } from '../liveness/boot-signs.js';
import { heartbeatPeriodMs, type Presence } from '../liveness/presence.js';
import type { Station } from '../liveness/station.js';
import type { Incoming } from '../session/incoming.js';

/** Pure. */
function livenessOf(presence: Presence, now: number): Liveness {
  const { heartbeatId, heartbeatAt, countBeganAt, begunAt = heartbeatAt, beaconAt } = presence;
  const since = (at: number | undefined): number | undefined => (at === undefined ? undefined : now - at);
  return {
    silentMs: since(heartbeatAt),
    heartbeatPeriodMs: heartbeatPeriodMs(presence),
    awaitsHeartbeat: heartbeatId === -1,
    begunMs: since(begunAt),
    countAgeMs: since(countBeganAt),
    beaconHeard: beaconAt !== undefined && beaconAt > (heartbeatAt ?? 0),
  };
}

/** What has come since the mark; `undefined`: nothing that shows a boot. Pure. */
function signSince(mark: BootMark, entry: Station): BootSign | undefined {
  const since = bootSince(mark, entry);
  if (since !== 'unknown') return since === 'same' ? 'goes_on' : 'begins';
  return entry.presence.beaconAt === mark.presence.beaconAt ? undefined : 'beacon';
}

/** A question of the station has come now. */
export function bootQuestion(entry: Station, message: Incoming, signs: Pick<BootSigns, 'next'>) {
  const arrived = performance.now();
  const mark = markBoot(entry);
  const before = livenessOf(mark.presence, arrived);
  return {
    mark,
    /** As it was when the question came; whether its boot was counted since, as it is now. */
    liveness: (): Liveness => ({ ...before, isCounted: entry.bootsCounted !== mark.bootsCounted }),
    /** The next sign, for a question that was found open in this boot epoch; `undefined`: too many wait already. */
    awaitSign: async (bootEpoch: number): Promise<Liveness['sign']> => {
      const { silentMs = 0, heartbeatPeriodMs: periodMs = 0 } = before;
      const waitMs = signWaitMs(silentMs, periodMs, mark.presence.communication) - (performance.now() - arrived);
      const what = signSince(mark, entry) ?? (await signs.next(entry.station, Math.max(0, waitMs), message));
      return what && { what, bootEpoch };
    },
  };
}
