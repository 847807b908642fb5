/**
 * Keeps what hosts testify in the store: each is looked at once in each boot of EVerest, when somebody asks for it, and at a
 * slow pace, because a look over a mobile link costs some ten kilobytes. A host that cannot be reached is tried again after
 * pauses that grow. Of several workers one looks.
 */

import type { WorkerParts } from '@khumbu/operations/jobs/worker-service';
import { isDue, type ObservedHost } from '@khumbu/operations/stations/observed-host';
import { readStation, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { sleep } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import { repeatUntil } from '@khumbu/shared/runtime/retry-until';
import { noteEvidence } from '../observe.js';
import type { StepDeps } from './step-deps.js';

/** Stations looked at side by side. */
const AT_ONCE = 8;
/** How long one look holds the place of the others at most. */
const LOOK_MS = 120_000;
const FIRST_PAUSE_MS = 15_000;
const LONGEST_PAUSE_MS = 15 * 60_000;
/** How soon it is noticed that EVerest has started anew. */
const ROUND_MS = 3000;
/** How long another look is waited for by one that somebody asks for, and how often it is seen whether it is over. */
const TURN_MS = 10_000;
const TURN_LOOK_MS = 200;

export interface KeepObservedDeps extends StepDeps, Pick<WorkerParts, 'redis'> {
  readonly log: { debug(what: object, text: string): void };
  /** Between two looks at a host at rest; 0: only after boots, and when asked. */
  readonly everyMs: number;
}

interface Failure {
  readonly until: number;
  readonly pauseMs: number;
}

export function createKeepObserved({ store, redis, directory, driverOf, now, log, everyMs }: KeepObservedDeps) {
  const failures = new Map<string, Failure>();
  const { keys } = store;

  /** Stations with a real driver that want a look, in three looks at the store however many there are. */
  const due = async (): Promise<string[]> => {
    const stations = directory.configured().filter((station) => directory.profileOf(station)?.driverEntry);
    const pipeline = redis.pipeline();
    for (const station of stations)
      pipeline.hmget(keys.station(station), STATION_FIELDS.bootEpoch, STATION_FIELDS.observed);
    const rows = (await pipeline.exec()) ?? [];
    return stations.filter((station, at) => {
      const [epoch, text] = (rows[at]?.[1] ?? []) as (string | null)[];
      const observed = text ? (JSON.parse(text) as ObservedHost) : undefined;
      const isPausing = (failures.get(station)?.until ?? 0) > performance.now();
      return !isPausing && isDue(observed, Number(epoch ?? 0), now().monotonic, everyMs);
    });
  };

  /** Whether this look has the place of those at one station. One that was lost with its worker is free again by itself. */
  const takes = async (place: string, patienceMs: number, signal: AbortSignal): Promise<boolean> => {
    for (const end = performance.now() + patienceMs; ; await sleep(TURN_LOOK_MS, signal)) {
      if ((await redis.set(place, '1', 'PX', LOOK_MS, 'NX')) !== null) return true;
      if (signal.aborted || performance.now() >= end) return false;
    }
  };

  const look = async (station: string, signal: AbortSignal, patienceMs = TURN_MS): Promise<void> => {
    const profile = directory.profileOf(station);
    if (!profile?.driverEntry) return;
    const place = keys.observing(station);
    try {
      const before = await readStation(store, station);
      if (!(await takes(place, patienceMs, signal))) return;
      const { bootEpoch, observed: there } = await readStation(store, station);
      // Every worker hears who asks: one look is for all of them.
      if (there?.steadyAt !== before.observed?.steadyAt) return void (await redis.del(place));
      const asked = now();
      const evidence = await driverOf(profile).observe(signal);
      const { observed } = await readStation(store, station);
      await store.commit(noteEvidence(store.transaction(), station, { observed, bootEpoch }, evidence, asked));
      failures.delete(station);
      await redis.del(place);
    } catch (error) {
      if (signal.aborted) return;
      const pauseMs = Math.min((failures.get(station)?.pauseMs ?? FIRST_PAUSE_MS / 2) * 2, LONGEST_PAUSE_MS);
      failures.set(station, { pauseMs, until: performance.now() + pauseMs });
      log.debug({ station, reason: describeError(error) }, 'the host was not looked at');
      await redis.del(place).catch(() => undefined);
    }
  };

  const round = async (signal: AbortSignal): Promise<void> => {
    const waiting = await due();
    const lane = async (): Promise<void> => {
      for (let station = waiting.shift(); station !== undefined && !signal.aborted; station = waiting.shift())
        await look(station, signal, 0);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  };

  return {
    /** Look at one station now. Never rejects: what goes wrong is tried again in a round. */
    look,
    /** Look at all that want it. Rejects when the store does not answer. */
    round,
    /** Round after round until the signal fires. Never rejects. */
    run: (signal: AbortSignal): Promise<void> =>
      repeatUntil(
        signal,
        ROUND_MS,
        () => round(signal),
        (error) => log.debug({ reason: describeError(error) }, 'hosts were not looked at'),
      ),
  };
}
