/** The station's clock before its logs are opened: all that it writes later has a time from then on, unless it is set back. */
import { unlessAborted } from '@khumbu/shared/runtime/abort';
import type { StationDriver } from '@khumbu/station-drivers/port';

/**
 * Milliseconds since 1970; `undefined`: it does not tell, and `onError` hears why. A station that is lost is told of by whoever
 * opens its logs. Rejects with the signal's reason.
 */
export async function stationClock(
  driver: Pick<StationDriver, 'readClock'>,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<number | undefined> {
  try {
    const time = (await unlessAborted(driver.readClock(signal), signal)).getTime();
    if (Number.isFinite(time)) return time;
    throw new TypeError('the station tells no time');
  } catch (error) {
    signal.throwIfAborted();
    onError(error);
    return undefined;
  }
}
