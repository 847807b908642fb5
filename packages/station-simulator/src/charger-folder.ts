/** The watch over simulated chargers that live in a folder, shared with the workers that act on them. */
import { watchCharger } from '@khumbu/station-drivers/simulated/charger-view';
import type { ChargerWatch } from './charger-watch.js';

/** Watch until the signal fires; `onProblem` gets a charger that cannot be watched (any more). */
export const chargersIn =
  (dataDir: string, signal: AbortSignal, onProblem: (error: unknown, station: string) => void) =>
  (station: string): ChargerWatch => ({
    onChange(cb) {
      watchCharger(dataDir, station, cb, signal).catch((error: unknown) => {
        if (!signal.aborted) onProblem(error, station);
      });
    },
  });
