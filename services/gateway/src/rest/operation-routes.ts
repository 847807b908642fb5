import type { FastifyInstance } from 'fastify';
import { sendProblem } from './app.js';
import type { Inventory } from './inventory.js';

/** `/v1/operations`: what was asked of stations, and what became of it. */
export function operationRoutes(app: FastifyInstance, inventory: Inventory): void {
  app.get<{ Params: { operationId: string } }>('/operations/:operationId', async (request, reply) => {
    const operation = await inventory.operation(request.params.operationId);
    return operation ?? sendProblem(reply, 404, 'OPERATION_UNKNOWN', 'There is no such operation, or it was long ago.');
  });
}
