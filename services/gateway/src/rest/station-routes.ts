import type { FastifyInstance } from 'fastify';
import { sendProblem } from './app.js';
import type { Inventory } from './inventory.js';

/** `/v1/stations`: who is there, and what is being done with them. */
export function stationRoutes(app: FastifyInstance, inventory: Inventory): void {
  app.get('/stations', async () => ({ items: await inventory.stations() }));

  app.get<{ Params: { stationId: string } }>('/stations/:stationId', async (request, reply) => {
    const station = await inventory.station(request.params.stationId);
    return (
      station ?? sendProblem(reply, 404, 'STATION_UNKNOWN', 'No station with this id has been heard or configured.')
    );
  });

  app.get<{ Params: { stationId: string } }>('/stations/:stationId/operations', async (request, reply) => {
    const { stationId } = request.params;
    if (!(await inventory.station(stationId))) {
      return sendProblem(reply, 404, 'STATION_UNKNOWN', 'No station with this id has been heard or configured.');
    }
    return { items: await inventory.operationsOf(stationId) };
  });
}
