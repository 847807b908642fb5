/** `/asyncapi.json`: the MQTT contract for people and generators. Open to everybody: nothing in it is a secret. */
import { type AsyncApiOptions, asyncApiDocument } from '@khumbu/shared/contract/async-api';
import type { FastifyInstance } from 'fastify';

/**
 * Serves the document, generated once. `options.topicPrefix` is the template of this deployment, so that the topics in
 * it are those of its broker. Register it where no authentication is asked for.
 */
export function asyncApiRoute(app: FastifyInstance, options: AsyncApiOptions = {}): void {
  const document = JSON.stringify(asyncApiDocument(options));
  app.get(
    '/asyncapi.json',
    {
      schema: { hide: true },
    },
    (_request, reply) => reply.type('application/json; charset=utf-8').send(document),
  );
}
