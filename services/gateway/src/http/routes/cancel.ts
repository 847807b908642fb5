import type { Intake } from '@khumbu/intake/intake';
import { OperationSchema, type OperationView } from '@khumbu/rest-contract/operations';
import { StationOperationParams } from '@khumbu/rest-contract/parameters';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { FastifyRequest } from 'fastify';
import { ref } from '../contract-schemas.js';
import type { Inventory } from '../inventory.js';
import { Problem } from '../problems.js';
import { RESOURCES, type ResourceKind } from '../resources.js';
import { answers, describeRoute, type RestApp, WITH_ANY_BODY } from '../routing.js';
import type { Audit, SubmitOperation } from '../submit-operation.js';

export interface CancelDeps {
  readonly inventory: Inventory;
  readonly intake: Intake;
  readonly submit: SubmitOperation;
  readonly audit: Audit;
}

/** For requests that call the intake directly: a failure to store is 503. */
export async function storing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (hasCode(error, 'NOT_STORED')) throw new Problem('NOT_STORED', describeError(error), {}, { cause: error });
    throw error;
  }
}

async function cancel(
  { inventory, intake, audit }: CancelDeps,
  request: FastifyRequest,
  kind: ResourceKind,
  { stationId, operationId }: { stationId: string; operationId: string },
): Promise<OperationView> {
  await inventory.requireStation(stationId);
  const result = await storing(intake.cancel(stationId, kind, operationId));
  if (result.kind === 'unknown') throw new Problem('OPERATION_UNKNOWN');
  audit(request, `cancel ${kind}`, stationId, { outcome: result.kind, operationId });
  if (result.kind === 'too_late') throw new Problem('NOT_CANCELABLE', undefined, { operationId });
  if (result.kind === 'busy') throw new Problem('SLOT_BUSY', undefined, { operationId });
  return inventory.view(await inventory.record(operationId));
}

export function cancelRoute(app: RestApp, deps: CancelDeps, kind: ResourceKind): void {
  const { path, id, tag, what, cancelProblems } = RESOURCES[kind];
  app.delete(
    `/stations/:stationId/${path}/:operationId`,
    describeRoute({
      id: `cancel${id}`,
      tag,
      scope: 'operate',
      summary: `Cancel a ${what}`,
      description: 'Ends it, and tells EVerest if it knows of it. One that has ended stays as it is.',
      problems: [...WITH_ANY_BODY, 'STATION_UNKNOWN', 'OPERATION_UNKNOWN', 'SLOT_BUSY', ...cancelProblems],
      success: answers(200, 'The operation, which has ended.', ref(OperationSchema)),
      takes: { params: StationOperationParams },
    }),
    (request) => cancel(deps, request, kind, request.params),
  );
}
