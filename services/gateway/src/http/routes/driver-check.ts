import type { Intake } from '@khumbu/intake/intake';
import { type LookAsker, readLook, type StoredLook } from '@khumbu/operations/driver-checks/driver-checks';
import type { Keys } from '@khumbu/operations/records/keys';
import { DriverCheckSchema, type DriverCheckView } from '@khumbu/rest-contract/driver-check';
import { StationParams } from '@khumbu/rest-contract/parameters';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { Redis } from 'ioredis';
import { ref } from '../contract-schemas.js';
import { type Inventory, reading } from '../inventory.js';
import { Problem } from '../problems.js';
import { answers, describeRoute, type RestApp, WITH_ANY_BODY } from '../routing.js';

export interface DriverCheckRouteDeps {
  readonly inventory: Inventory;
  /** For reading alone. */
  readonly redis: Redis;
  readonly keys: Keys;
  readonly looks: LookAsker;
  readonly intake: Pick<Intake, 'isAbandoned'>;
}

type Result = NonNullable<DriverCheckView['result']>;

const seconds = (ms: number): number => Math.floor(ms / 1000);

function viewOf(stationId: string, look: StoredLook<Result> | undefined): DriverCheckView {
  if (!look) return { stationId, state: 'never' };
  const { running, askedAt, checkedAt, ageMs, result } = look;
  const isDone = checkedAt !== undefined && checkedAt >= askedAt;
  return {
    stationId,
    state: running ? 'running' : isDone ? 'done' : 'lost',
    askedAt: rfc3339(askedAt),
    ...(checkedAt === undefined ? {} : { checkedAt: rfc3339(checkedAt) }),
    ...(ageMs === undefined ? {} : { ageS: seconds(ageMs) }),
    ...(result === undefined ? {} : { result }),
  };
}

/** `/v1/stations/{stationId}/driver-check`: look at a station before it is used. The gateway talks to no station: a worker does. */
export function driverCheckRoutes(app: RestApp, deps: DriverCheckRouteDeps): void {
  const { inventory, redis, keys, looks, intake } = deps;
  const view = reading(async (station: string) => viewOf(station, await readLook<Result>(redis, keys, station)));
  const ask = reading((station: string) => looks.ask(station));

  app.get(
    '/stations/:stationId/driver-check',
    describeRoute({
      id: 'getDriverCheck',
      tag: 'stations',
      scope: 'read',
      summary: 'Could it be acted upon?',
      description:
        'The last look at the station before use, with its age: for each verb whether it could be done, and what is missing. Asking looks at nothing.',
      problems: ['STATION_UNKNOWN'],
      success: answers(200, 'The last look.', ref(DriverCheckSchema)),
      takes: { params: StationParams },
    }),
    async ({ params: { stationId } }) => {
      await inventory.requireStation(stationId);
      return view(stationId);
    },
  );

  app.post(
    '/stations/:stationId/driver-check',
    describeRoute({
      id: 'checkDriver',
      tag: 'stations',
      scope: 'operate',
      summary: 'Look whether it could be acted upon',
      description:
        'A worker looks at the station; nothing is changed there. While one look is under way, asking again asks for no other. `GET` at `Location` tells the result.',
      problems: [...WITH_ANY_BODY, 'STATION_UNKNOWN', 'STATION_NOT_CONFIGURED', 'WORKERS_GONE'],
      success: answers(202, 'Asked for: to be followed at Location.', ref(DriverCheckSchema)),
      takes: { params: StationParams },
    }),
    async ({ params: { stationId } }, reply) => {
      await inventory.requireStation(stationId);
      if (!inventory.isServed(stationId)) throw new Problem('STATION_NOT_CONFIGURED');
      // What it needs is done by the workers that act on stations at once.
      if (intake.isAbandoned('system-control')) throw new Problem('WORKERS_GONE');
      await ask(stationId);
      reply.status(202).header('location', `/v1/stations/${encodeURIComponent(stationId)}/driver-check`);
      return view(stationId);
    },
  );
}
