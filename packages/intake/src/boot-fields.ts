import type { Moment } from '@khumbu/operations/clock/depot-clock';
import {
  lastAliveAt,
  NO_RESET_ALLOWED,
  STATION_FIELDS,
  type StationState,
} from '@khumbu/operations/stations/station-state';
import type { BootReason } from '@khumbu/shared/contract/schemas';

/** What is stored about a boot that has begun. `asked`: EVerest has asked for its reason. */
export const bootFields = (
  state: StationState,
  reason: BootReason,
  { begins, asked }: { readonly begins: boolean; readonly asked: boolean },
  now: Moment,
): Record<string, string | undefined> => {
  const bootEpoch = state.bootEpoch + (begins ? 1 : 0);
  const aliveAt = begins ? lastAliveAt(state) : state.bootReason?.aliveAt;
  return {
    [STATION_FIELDS.bootEpoch]: String(bootEpoch),
    [STATION_FIELDS.bootReason]: JSON.stringify({
      bootEpoch,
      reason,
      asked,
      ...(aliveAt === undefined ? {} : { aliveAt }),
    }),
    ...(begins
      ? {
          ...NO_RESET_ALLOWED,
          [STATION_FIELDS.restartExpected]: undefined,
          [STATION_FIELDS.heartbeat]: JSON.stringify({ id: -1, at: now.wall, steadyAt: now.monotonic }),
        }
      : {}),
  };
};
