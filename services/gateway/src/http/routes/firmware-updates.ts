import { isInstalling } from '@khumbu/operations/kinds/firmware-update/machine';
import { OperationSchema } from '@khumbu/rest-contract/operations';
import { FirmwareUpdateOrderSchema } from '@khumbu/rest-contract/orders';
import { IdempotencyHeaders, StationOperationParams, StationParams } from '@khumbu/rest-contract/parameters';
import type { Artifacts } from '../artifacts/artifacts.js';
import { ref } from '../contract-schemas.js';
import type { EventLoopTurn } from '../event-loop-turn.js';
import { updateSubmission } from '../orders.js';
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
import { type CancelDeps, cancelRoute, storing } from './cancel.js';
import { downloadOrderRoutes } from './download-orders.js';
import { stationOperationRoutes } from './operations.js';

export interface FirmwareRouteDeps extends CancelDeps {
  readonly artifacts: Artifacts;
  readonly eventLoopTurn: EventLoopTurn;
}

export function firmwareRoutes(app: RestApp, deps: FirmwareRouteDeps): void {
  const { submit, audit, intake, inventory } = deps;

  app.post(
    '/stations/:stationId/firmware-updates',
    describeRoute({
      id: 'startFirmwareUpdate',
      tag: 'firmware',
      scope: 'operate',
      summary: 'Update a station',
      description:
        'Fetches the image, or takes the one that the depot holds, verifies it, waits until the station may be changed, installs it, and confirms it after the reboot. An update of this API that is under way gives way to the new one.',
      problems: [
        ...WITH_BODY,
        ...REFUSALS,
        // Of logs alone.
        ...LOCATION_PROBLEMS.filter((code) => code !== 'LOCATION_NOT_USABLE'),
        'ARTIFACT_UNKNOWN',
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
    async (request, reply) => {
      const submissionFor = await updateSubmission(request.body, deps);
      return submit(request, reply, submissionFor(request.params.stationId));
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

  downloadOrderRoutes(app, deps);
  stationOperationRoutes(app, inventory, 'firmware_update', deps.eventLoopTurn);
  cancelRoute(app, deps, 'firmware_update');
}
