/** Headers against sniffing, framing, caching and referrers. */
import { fastifyHelmet } from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';

/** Files of the documentation, which are the same for everybody. */
const CACHEABLE = /^\/docs\/static\//;

/** Before any route. HSTS only where there is TLS to come back to. `/docs` has a policy of its own, see `openapi.ts`. */
export async function protect(app: FastifyInstance, isTls: boolean): Promise<void> {
  await app.register(fastifyHelmet, {
    // JSON and event streams load nothing and belong in no frame.
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"] },
    },
    xFrameOptions: { action: 'deny' },
    strictTransportSecurity: isTls,
    // Of no effect over plain HTTP but a warning in the console of each browser.
    crossOriginOpenerPolicy: isTls,
    originAgentCluster: isTls,
  });
  app.addHook('onRequest', async ({ raw: { url = '' } }, reply) => {
    if (!CACHEABLE.test(url)) reply.raw.setHeader('cache-control', 'no-store');
  });
}
