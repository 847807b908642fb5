/** Let time pass for the whole depot without waiting for it. */
import type { House } from './house.js';

/**
 * So many milliseconds more on the clock that everything lasting a while is counted in: deadlines, pauses, reservations.
 * Dates are not moved.
 */
export async function passTime(house: House, ms: number): Promise<void> {
  await house.redis.incrby('khumbu:clock', ms);
}
