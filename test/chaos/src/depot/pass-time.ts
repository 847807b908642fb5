/** Let time pass for the whole depot without waiting for it. */
import { keysFor } from '@khumbu/operations/records/keys';
import { awaitUntil } from '@khumbu/test-support/events';
import type { Depot } from './depot.js';

/** Every process reads the clock once a second; when it has cannot be seen. */
const READ_BY_ALL_MS = 5000;

/**
 * So many milliseconds more on the clock that everything lasting a while is counted in: deadlines, pauses, reservations.
 * Resolves when every process has read it. Dates are not moved.
 */
export async function passTime(depot: Depot, ms: number): Promise<void> {
  await depot.redis.incrby(keysFor('khumbu').clock, ms);
  const passed = performance.now();
  await awaitUntil(
    () => performance.now() - passed > READ_BY_ALL_MS,
    2 * READ_BY_ALL_MS,
    'the clock to be read by all',
  );
}
