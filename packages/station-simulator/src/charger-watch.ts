/** The simulated charger underneath a simulated EVerest: its reboots take EVerest down and bring it up again. */

export interface ChargerState {
  /** Changes with every boot of the charger. */
  readonly bootId: string;
  /** How often EVerest was started on it; rises when EVerest alone is restarted. */
  readonly everestStarts: number;
  /** The charger is down and will come up with another `bootId`. */
  readonly rebooting: boolean;
  /** EVerest alone is down. */
  readonly restarting?: boolean;
}

export interface ChargerWatch {
  /** `cb` gets the state now and after every change. */
  onChange(cb: (charger: ChargerState) => void): void;
}

export type EverestMove = 'stay' | 'go-down' | 'come-up' | 'restart';

/** EVerest cannot run there now. */
export const isAway = (charger: ChargerState | undefined): boolean =>
  charger !== undefined && (charger.rebooting || charger.restarting === true);

/** What a change of the charger does to EVerest on it. Pure. Several changes may come as one. */
export function followCharger(previous: ChargerState | undefined, current: ChargerState): EverestMove {
  if (isAway(current)) return isAway(previous) ? 'stay' : 'go-down';
  if (!previous) return 'stay';
  if (isAway(previous)) return 'come-up';
  const same = previous.bootId === current.bootId && previous.everestStarts === current.everestStarts;
  return same ? 'stay' : 'restart';
}
