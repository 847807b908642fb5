/**
 * One rule for whatever passes between Khumbu and EVerest: it belongs to the boot whose heartbeats were counted when it
 * passed, and it is known to have been that boot once a heartbeat goes on with the count. A count that begins anew is
 * another boot. Pure.
 */
import type { Station } from './station.js';

/** Where a station's boots and heartbeats stood when something passed. */
export type BootMark = Pick<Station, 'bootsNoticed' | 'bootsCounted' | 'presence'>;

export const markBoot = ({ bootsNoticed, bootsCounted, presence }: Station): BootMark => ({
  bootsNoticed,
  bootsCounted,
  presence,
});

/** `unknown`: nothing was heard since. */
export type BootSince = 'same' | 'another' | 'unknown';

/** Whether EVerest is still the process it was. */
export function bootSince(mark: BootMark, entry: Pick<Station, 'bootsNoticed' | 'presence'>): BootSince {
  if (entry.bootsNoticed !== mark.bootsNoticed) return 'another';
  return entry.presence.heartbeatAt === mark.presence.heartbeatAt ? 'unknown' : 'same';
}
