/** EVerest's supervision of us: the `system/CommunicationFault` error, raised and cleared by `communication_check`. */

export type FaultSubType = 'Initial communication check' | 'Bridge to implementation connection lost';

export interface CommunicationFault {
  readonly subType: FaultSubType;
  /** Unix time in milliseconds. */
  readonly raisedAtMs: number;
  clearedAtMs?: number;
}

/**
 * Raised at once, until the first message; raised again after `periodS` seconds of silence. A period of 0 or less
 * supervises nothing. `onFault` gets each fault when it is raised and, as the same object, when it is cleared.
 */
export function superviseCommunication(
  periodS: number,
  nowMs: () => number,
  onFault: (fault: CommunicationFault) => void,
) {
  let fault: CommunicationFault | undefined;
  let timer: NodeJS.Timeout | undefined;
  let ended = periodS <= 0;
  const raise = (subType: FaultSubType): void => {
    if (fault) return;
    fault = { subType, raisedAtMs: nowMs() };
    onFault(fault);
  };
  const clear = (): void => {
    if (!fault) return;
    fault.clearedAtMs = nowMs();
    onFault(fault);
    fault = undefined;
  };
  if (!ended) raise('Initial communication check');
  return {
    /** A valid message arrived. `false` ends the supervision for the rest of this process life. */
    heard(value: boolean): void {
      if (ended) return;
      clear();
      clearTimeout(timer);
      if (value) timer = setTimeout(raise, periodS * 1000, 'Bridge to implementation connection lost');
      else ended = true;
    },
    close(): void {
      ended = true;
      clearTimeout(timer);
    },
  };
}
