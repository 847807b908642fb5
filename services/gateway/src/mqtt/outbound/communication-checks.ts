/**
 * Publishes communication checks: `true` at a third of the time it tolerates, from a station's first heartbeat on, and
 * only while requests can be stored and statuses move. Never `false`: it would end the supervision for the rest of the
 * station's boot.
 */
import { CHANNELS } from '@khumbu/shared/contract/channels';
import { encode } from '@khumbu/shared/contract/codec';
import { channelTopic } from '@khumbu/shared/contract/topics';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Core } from '../core.js';
import { isAway } from '../liveness/presence.js';
import type { Station } from '../liveness/station.js';

const TICK_MS = 100;
/** EVerest's default, for a module whose period is not known. */
const DEFAULT_PERIOD_S = 5;
const CHECKS_PER_PERIOD = 3;

type Deps = Pick<Core, 'registry' | 'prefix' | 'publish' | 'log'> & {
  /** Requests can be stored and statuses move: what a check promises. */
  readonly keepsPromise: () => boolean;
};

/** Milliseconds between two checks, or `undefined` for a module that wants none. */
export function checkIntervalMs(station: Pick<Station, 'presence'>): number | undefined {
  const periodS = station.presence.communication?.communication_check_period_s ?? DEFAULT_PERIOD_S;
  return periodS > 0 ? (periodS * 1000) / CHECKS_PER_PERIOD : undefined;
}

export type CommunicationChecks = ReturnType<typeof createCommunicationChecks>;

export function createCommunicationChecks({ registry, prefix, publish, keepsPromise, log }: Deps) {
  const { qos } = CHANNELS.communication_check;
  const payload = encode('communication_check', true);

  const check = (station: Station, now: number): void => {
    const interval = checkIntervalMs(station);
    if (interval === undefined) return;
    station.checkDueAt = now + interval;
    publish(channelTopic(prefix, station, 'communication_check'), payload, qos).catch((error: unknown) => {
      if (!hasCode(error, 'MQTT_CLOSED')) log.debug({ reason: describeError(error) }, 'check not sent');
    });
  };

  const timer = setInterval(() => {
    if (!keepsPromise()) return;
    const now = performance.now();
    for (const station of registry.all()) {
      if (station.checkDueAt === undefined || isAway(station.presence, now)) continue;
      // A period that becomes known after the first check may be shorter.
      station.checkDueAt = Math.min(station.checkDueAt, now + (checkIntervalMs(station) ?? 0));
      if (station.checkDueAt <= now) check(station, now);
    }
  }, TICK_MS);

  return {
    /** EVerest has just been heard for the first time in a boot: it waits for the first check. */
    begin(station: Station): void {
      if (keepsPromise()) check(station, performance.now());
      else station.checkDueAt = performance.now();
    },
    /**
     * After a connect: a check to every station that was there, before anything else is done. No gateway listened for a
     * while, so that nothing was heard of it means nothing.
     */
    beginAll(): void {
      const now = performance.now();
      const serves = keepsPromise();
      for (const station of registry.all()) {
        if (serves && !station.presence.foundAway) check(station, now);
        else station.checkDueAt = now;
      }
    },
    stop: (): void => clearInterval(timer),
  };
}
