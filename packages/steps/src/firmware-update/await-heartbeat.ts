/** Waiting for a sign of life of EVerest: the leader stores each heartbeat within two seconds. */
import { setTimeout as pause } from 'node:timers/promises';
import { readStation } from '@khumbu/operations/stations/station-state';
import type { StepDeps } from './step-deps.js';

export interface HeartbeatWait {
  /** On the depot's monotonic clock. */
  readonly since: number;
  readonly withinMs: number;
  readonly lookMs: number;
}

/** Whether a heartbeat is stored within the time that was heard after `since`. */
export async function awaitHeartbeat(
  store: StepDeps['store'],
  station: string,
  { since, withinMs, lookMs }: HeartbeatWait,
  signal: AbortSignal,
): Promise<boolean> {
  const until = performance.now() + withinMs;
  for (;;) {
    const { heartbeat } = await readStation(store, station);
    // -1: a boot was noticed whose first heartbeat is still to come.
    if (heartbeat && heartbeat.id >= 0 && (heartbeat.steadyAt ?? 0) > since) return true;
    if (performance.now() >= until) return false;
    await pause(lookMs, undefined, { signal });
  }
}
