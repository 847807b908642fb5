import { OperationPageSchema, OperationSchema } from '@khumbu/rest-contract/operations';
import {
  OperationParams,
  OperationsQuery,
  StationOperationParams,
  StationOperationsQuery,
  StationParams,
} from '@khumbu/rest-contract/parameters';
import { ref } from '../contract-schemas.js';
import type { EventLoopTurn } from '../event-loop-turn.js';
import { listOperations } from '../finding/list-queries.js';
import type { Inventory } from '../inventory.js';
import { sendPage } from '../pages.js';
import { RESOURCES, type ResourceKind } from '../resources.js';
import { answers, describeRoute, type RestApp } from '../routing.js';

/** `/v1/operations`: what was asked of stations, and what became of it. */
export function operationRoutes(app: RestApp, inventory: Inventory, eventLoopTurn: EventLoopTurn): void {
  app.get(
    '/operations',
    describeRoute({
      id: 'searchOperations',
      tag: 'operations',
      scope: 'read',
      summary: 'Search operations',
      description:
        'Open ones first, then ended ones; newest first in each part. A page may hold fewer than `limit` items and still have a `nextCursor`. A cursor goes with the parameters it was given for.',
      problems: ['CURSOR_INVALID'],
      success: answers(200, 'A page of operations.', ref(OperationPageSchema)),
      takes: { querystring: OperationsQuery },
    }),
    async ({ query }, reply) => sendPage(reply, await listOperations(inventory, query), eventLoopTurn),
  );

  app.get(
    '/operations/:operationId',
    describeRoute({
      id: 'getOperation',
      tag: 'operations',
      scope: 'read',
      summary: 'One operation',
      description: 'Any operation by its id.',
      problems: ['OPERATION_UNKNOWN'],
      success: answers(200, 'The operation.', ref(OperationSchema)),
      takes: { params: OperationParams },
    }),
    async ({ params }) => inventory.view(await inventory.record(params.operationId)),
  );
}

/** The list and the single operations of one kind at one station. */
export function stationOperationRoutes(
  app: RestApp,
  inventory: Inventory,
  kind: ResourceKind,
  eventLoopTurn: EventLoopTurn,
): void {
  const { path, tag, id, what } = RESOURCES[kind];
  app.get(
    `/stations/:stationId/${path}`,
    describeRoute({
      id: `list${id}s`,
      tag,
      scope: 'read',
      summary: `The ${what}s of a station`,
      description: 'Open ones first, then ended ones, newest first.',
      problems: ['STATION_UNKNOWN', 'CURSOR_INVALID'],
      success: answers(200, 'A page of operations.', ref(OperationPageSchema)),
      takes: { params: StationParams, querystring: StationOperationsQuery },
    }),
    async ({ params, query }, reply) => {
      await inventory.requireStation(params.stationId);
      return sendPage(reply, await inventory.operations({ ...query, station: params.stationId, kind }), eventLoopTurn);
    },
  );

  app.get(
    `/stations/:stationId/${path}/:operationId`,
    describeRoute({
      id: `get${id}`,
      tag,
      scope: 'read',
      summary: `One ${what}`,
      description: 'Where it stands, with its whole history.',
      problems: ['STATION_UNKNOWN', 'OPERATION_UNKNOWN'],
      success: answers(200, 'The operation.', ref(OperationSchema)),
      takes: { params: StationOperationParams },
    }),
    async ({ params: { stationId: station, operationId } }) => {
      await inventory.requireStation(station);
      return inventory.view(await inventory.recordOf(operationId, station, kind));
    },
  );
}
