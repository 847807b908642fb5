import { PageQuery, StationParams } from '@khumbu/rest-contract/parameters';
import { StationPageSchema, StationSchema } from '@khumbu/rest-contract/stations';
import { ref } from '../contract-schemas.js';
import type { EventLoopTurn } from '../event-loop-turn.js';
import type { Inventory } from '../inventory.js';
import { sendPage } from '../pages.js';
import { answers, describeRoute, type RestApp } from '../routing.js';

/** `/v1/stations`: who is there, and what is being done with them. */
export function stationRoutes(app: RestApp, inventory: Inventory, eventLoopTurn: EventLoopTurn): void {
  app.get(
    '/stations',
    describeRoute({
      id: 'listStations',
      tag: 'stations',
      scope: 'read',
      summary: 'All stations',
      description: 'Every station that was heard or is configured, by name, with what is under way at each.',
      problems: ['CURSOR_INVALID'],
      success: answers(200, 'A page of stations.', ref(StationPageSchema)),
      takes: { querystring: PageQuery },
    }),
    async ({ query }, reply) => sendPage(reply, await inventory.stations(query), eventLoopTurn),
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
}
