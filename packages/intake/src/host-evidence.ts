/**
 * What the host of a station testifies about its boot, when EVerest asks why it started: a worker looks, while the question
 * waits outside of its queue. Only real stations have a host that knows more than the depot does.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { ObservedHost } from '@khumbu/operations/stations/observed-host';
import { readStation } from '@khumbu/operations/stations/station-state';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { IntakeDeps } from './intake-deps.js';

/** EVerest's OCPP side starts no sooner than the answer is there. */
const PATIENCE_MS = 4000;
const LOOK_MS = 100;
const MOST_WAITING = 64;

export function createHostEvidence({ store, redis, profileOf, log }: IntakeDeps) {
  /** Questions of one start share a look. */
  const waiting = new Map<string, Promise<ObservedHost | undefined>>();

  const awaitLook = async (station: string): Promise<ObservedHost | undefined> => {
    const before = await readStation(store, station);
    // The depot knows why.
    if (before.restartExpected) return undefined;
    await redis.publish(store.keys.notifications, `observe ${station}`);
    for (const end = performance.now() + PATIENCE_MS; performance.now() < end; ) {
      await pause(LOOK_MS);
      const { observed } = await readStation(store, station);
      if (observed && observed.steadyAt !== before.observed?.steadyAt) return observed;
    }
    return undefined;
  };

  /**
   * `undefined`: no host is asked, and the question keeps its place among what came with it. Resolves with nothing where nothing
   * is known by the host in time. Never rejects.
   */
  return (station: string): Promise<ObservedHost | undefined> | undefined => {
    if (!profileOf(station)?.driverEntry) return undefined;
    const shared = waiting.get(station);
    if (shared || waiting.size >= MOST_WAITING) return shared;
    const look = awaitLook(station)
      .catch((error: unknown) => {
        log.debug({ station, reason: describeError(error) }, 'the host was not asked about its boot');
        return undefined;
      })
      .finally(() => waiting.delete(station));
    waiting.set(station, look);
    return look;
  };
}
