/** The HTTP side of the gateway: builds an app that has not listened yet. */
import { withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { Health } from '@khumbu/shared/runtime/health';
import type { Logger } from '@khumbu/shared/runtime/logger';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import type { Registry } from 'prom-client';
import type { Authenticate } from './api-keys.js';
import type { Inventory } from './inventory.js';
import { operationRoutes } from './operation-routes.js';
import { stationRoutes } from './station-routes.js';

export interface AppDeps {
  readonly inventory: Inventory;
  readonly authenticate: Authenticate;
  readonly health: Health;
  readonly metrics: Registry;
  readonly isLeader: () => boolean;
  readonly log: Logger;
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not authenticated',
  403: 'Not allowed',
  404: 'Not found',
  500: 'Internal error',
  503: 'Not available',
};

/** RFC 9457. `code` is stable; people read `detail`. */
export function sendProblem(reply: FastifyReply, status: number, code: string, detail: string): FastifyReply {
  const title = TITLES[status] ?? 'Error';
  return reply
    .status(status)
    .type('application/problem+json')
    .send({ type: 'about:blank', title, status, code, detail, instance: reply.request.url.split('?')[0] });
}

export function buildApp(deps: AppDeps): FastifyInstance {
  const app = Fastify({ logger: false, bodyLimit: 64 * 1024, trustProxy: false });

  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) deps.log.error({ err: error }, 'request failed');
    const detail = status >= 500 ? 'Something went wrong; the log says what.' : withoutCredentials(error.message);
    return sendProblem(reply, status, error.code ?? 'INTERNAL', detail);
  });
  app.setNotFoundHandler((_request, reply) =>
    sendProblem(reply, 404, 'NOT_FOUND', 'There is nothing at this address.'),
  );

  app.get('/livez', async () => ({ live: true }));
  app.get('/readyz', async (_request, reply) => {
    reply.status(deps.health.ready() ? 200 : 503);
    return { ...deps.health.report(), leader: deps.isLeader() };
  });
  app.get('/metrics', async (_request, reply) => {
    reply.type(deps.metrics.contentType);
    return deps.metrics.metrics();
  });

  app.register(
    async (v1) => {
      v1.addHook('onRequest', async (request, reply) => {
        const caller = deps.authenticate(request.headers.authorization);
        if (!caller) {
          reply.header('www-authenticate', 'Bearer');
          return sendProblem(reply, 401, 'NOT_AUTHENTICATED', 'Send Authorization: Bearer followed by an API key.');
        }
        if (!caller.scopes.includes('read')) {
          return sendProblem(reply, 403, 'SCOPE_MISSING', 'This key does not have the scope read.');
        }
        return undefined;
      });
      stationRoutes(v1, deps.inventory);
      operationRoutes(v1, deps.inventory);
    },
    { prefix: '/v1' },
  );
  return app;
}
