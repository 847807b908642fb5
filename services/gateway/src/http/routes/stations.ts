import type { Intake } from '@khumbu/intake/intake';
import { MOST_LABELS } from '@khumbu/intake/set-groups';
import { StationParams, StationsQuery } from '@khumbu/rest-contract/parameters';
import { StationGroupsOrderSchema, StationPageSchema, StationSchema } from '@khumbu/rest-contract/stations';
import { ref } from '../contract-schemas.js';
import type { EventLoopTurn } from '../event-loop-turn.js';
import { listStations } from '../finding/list-queries.js';
import type { Inventory } from '../inventory.js';
import { sendPage } from '../pages.js';
import { Problem } from '../problems.js';
import { answers, describeRoute, type RestApp, WITH_BODY } from '../routing.js';
import type { Audit } from '../submit-operation.js';
import { storing } from './cancel.js';

export interface StationRouteDeps {
  readonly inventory: Inventory;
  readonly intake: Pick<Intake, 'setGroups'>;
  readonly audit: Audit;
  readonly eventLoopTurn: EventLoopTurn;
}

/** `/v1/stations`: who is there, and what is being done with them. */
export function stationRoutes(app: RestApp, { inventory, intake, audit, eventLoopTurn }: StationRouteDeps): void {
  app.get(
    '/stations',
    describeRoute({
      id: 'listStations',
      tag: 'stations',
      scope: 'read',
      summary: 'All stations',
      description:
        'Every station that was heard or is configured, with what is under way at each; those that fit a filter, in an order. A cursor goes with the parameters it was given for.',
      problems: ['CURSOR_INVALID'],
      success: answers(200, 'A page of stations.', ref(StationPageSchema)),
      takes: { querystring: StationsQuery },
    }),
    async ({ query }, reply) => sendPage(reply, await listStations(inventory, query), eventLoopTurn),
  );

  app.get(
    '/stations/:stationId',
    describeRoute({
      id: 'getStation',
      tag: 'stations',
      scope: 'read',
      summary: 'One station',
      description: 'What is known of a station, whether it is there, and what is under way.',
      problems: ['STATION_UNKNOWN'],
      success: answers(200, 'The station.', ref(StationSchema)),
      takes: { params: StationParams },
    }),
    ({ params }) => inventory.station(params.stationId),
  );

  app.patch(
    '/stations/:stationId',
    describeRoute({
      id: 'setStationGroups',
      tag: 'stations',
      scope: 'admin',
      summary: 'Set the type and labels of a station',
      description:
        'By them filters and bulk orders find it. They win over those of the stations file, label by label, and are kept in the depot. What is not named stays. Safe to repeat.',
      problems: [...WITH_BODY.filter((code) => code !== 'IDEMPOTENCY_KEY_REUSED'), 'STATION_UNKNOWN'],
      success: answers(200, 'The station as it is now.', ref(StationSchema)),
      takes: { params: StationParams, body: ref(StationGroupsOrderSchema) },
    }),
    async (request) => {
      const { stationId } = request.params;
      await inventory.requireStation(stationId);
      if (!(await storing(intake.setGroups(stationId, request.body)))) {
        const detail = `labels would be more than ${MOST_LABELS}`;
        throw new Problem('BODY_INVALID', detail, { errors: [{ detail, pointer: '#/labels' }] });
      }
      const { type, labels } = request.body;
      audit(request, 'set_station_groups', stationId, { type, labels: labels && JSON.stringify(labels) });
      return inventory.station(stationId);
    },
  );
}
