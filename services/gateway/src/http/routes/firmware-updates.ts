import { isInstalling } from '@khumbu/operations/kinds/firmware-update/machine';
import { ref } from '../contract-schemas.js';
import type { EventLoopTurn } from '../event-loop-turn.js';
import { Problem } from '../problems.js';
import {
  accepted,
  answers,
  describeRoute,
  LOCATION_PROBLEMS,
  REFUSALS,
  type RestApp,
  WITH_ANY_BODY,
  WITH_BODY,
} from '../routing.js';
import { OperationSchema } from '../schemas/operations.js';
import { FirmwareUpdateOrderSchema } from '../schemas/orders.js';
import { IdempotencyHeaders, StationOperationParams, StationParams } from '../schemas/parameters.js';
import { type CancelDeps, cancelRoute, storing } from './cancel.js';
import { stationOperationRoutes } from './operations.js';

/** REST has no request id on the wire; EVerest gets -1, as for any update it did not request. */
export const REST_REQUEST_ID = -1;

export function firmwareRoutes(app: RestApp, deps: CancelDeps & { readonly eventLoopTurn: EventLoopTurn }): void {
  const { submit, audit, intake, inventory } = deps;

  app.post(
    '/stations/:stationId/firmware-updates',
    describeRoute({
      id: 'startFirmwareUpdate',
      tag: 'firmware',
      scope: 'operate',
      summary: 'Update a station',
      description:
        'Fetches the image, verifies it, waits until the station may be changed, installs it, and confirms it after the reboot. An update of this API that is under way gives way to the new one.',
      problems: [
        ...WITH_BODY,
        ...REFUSALS,
        // Of logs alone.
        ...LOCATION_PROBLEMS.filter((code) => code !== 'LOCATION_NOT_USABLE'),
        'INSTALLING',
        'SIGNATURE_REQUIRED',
        'SIGNATURE_INCOMPLETE',
        'CERTIFICATE_INVALID',
        'CERTIFICATE_REVOKED',
        'CERTIFICATE_NOT_JUDGED',
      ],
      success: accepted,
      takes: { params: StationParams, headers: IdempotencyHeaders, body: ref(FirmwareUpdateOrderSchema) },
    }),
    (request, reply) => {
      const { replace, ...order } = request.body;
      const update = { ...order, request_id: REST_REQUEST_ID };
      return submit(request, reply, {
        what: 'update_firmware',
        station: request.params.stationId,
        replace,
        decide: (requester) => intake.updateFirmware(update, requester),
      });
    },
  );

  app.post(
    '/stations/:stationId/firmware-updates/:operationId/allow-installation',
    describeRoute({
      id: 'allowInstallation',
      tag: 'firmware',
      scope: 'operate',
      summary: 'Allow the installation',
      description:
        'For an update that waits for a permission. EVerest gives it when no connector is in use; an operator may give it in its place, and has to where EVerest is not told of the update. Safe to repeat.',
      problems: [...WITH_ANY_BODY, 'STATION_UNKNOWN', 'OPERATION_UNKNOWN', 'NOT_WAITING', 'STATION_IN_CONFLICT'],
      success: answers(200, 'The operation; the permission is stored.', ref(OperationSchema)),
      takes: { params: StationOperationParams },
    }),
    async (request) => {
      const { stationId: station, operationId } = request.params;
      const { conflictSince } = await inventory.requireStation(station);
      await inventory.recordOf(operationId, station, 'firmware_update');
      const isUsed = await storing(intake.allowInstallation(station, 'rest', operationId));
      const record = await inventory.recordOf(operationId, station, 'firmware_update');
      // Given before, or used up already: the same permission.
      const isGiven = record.permission !== undefined && record.endedAt === undefined;
      const outcome = isUsed ? 'accepted' : isGiven || isInstalling(record.state) ? 'repeated' : 'refused';
      audit(request, 'allow_firmware_installation', station, { outcome, operationId });
      if (outcome === 'refused') {
        throw new Problem(conflictSince === undefined ? 'NOT_WAITING' : 'STATION_IN_CONFLICT', undefined, {
          operationId,
        });
      }
      return inventory.view(record);
    },
  );

  stationOperationRoutes(app, inventory, 'firmware_update', deps.eventLoopTurn);
  cancelRoute(app, deps, 'firmware_update');
}
