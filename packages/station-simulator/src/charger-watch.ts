/** The simulated charger underneath a simulated EVerest: its reboots take EVerest down and bring it up again. */
import { type ChargerView, watchCharger } from '@khumbu/station-drivers/simulated/charger-view';

/** `cb` gets the state now and after every change. */
export type ChargerWatch = (cb: (charger: ChargerView) => void) => void;

/**
 * The watch over chargers that live in a folder, shared with the workers that act on them, until the signal fires.
 * `onProblem` gets a charger that cannot be watched (any more).
 */
export const chargersIn =
  (dataDir: string, signal: AbortSignal, onProblem: (error: unknown, station: string) => void) =>
  (station: string): ChargerWatch =>
  (cb) => {
    watchCharger(dataDir, station, cb, signal).catch((error: unknown) => {
      if (!signal.aborted) onProblem(error, station);
    });
  };

export type EverestMove = 'stay' | 'go-down' | 'come-up' | 'restart';

/** EVerest cannot run there now. */
export const isAway = (charger: ChargerView | undefined): boolean =>
  charger !== undefined && (charger.rebooting || charger.restarting);

/** What a change of the charger does to EVerest on it. Pure. Several changes may come as one. */
export function followCharger(previous: ChargerView | undefined, current: ChargerView): EverestMove {
  if (isAway(current)) return isAway(previous) ? 'stay' : 'go-down';
  if (!previous) return 'stay';
  if (isAway(previous)) return 'come-up';
  const same = previous.bootId === current.bootId && previous.everestStarts === current.everestStarts;
  return same ? 'stay' : 'restart';
}
