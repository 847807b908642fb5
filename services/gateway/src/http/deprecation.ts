/**
 * What will go is said in every answer before it goes: `Deprecation` (RFC 9745) since when, `Sunset` (RFC 8594) from when on it
 * may be gone, and where it is written what to use. The document of REST says the same.
 */
import type { FastifyInstance } from 'fastify';

export interface Deprecation {
  /** RFC 3339. */
  readonly since: string;
  /** RFC 3339; a year after `since` at the earliest. */
  readonly sunset: string;
  /** A sentence for people: what to use in its place. */
  readonly instead: string;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    deprecation?: Deprecation;
  }
  interface FastifySchema {
    deprecated?: boolean;
    /** From when on it may be gone, for the comparison with a later document. */
    'x-sunset'?: string;
  }
}

const LEAST_MS = 365 * 24 * 3_600_000;
const POLICY = '/openapi.json';

function dated({ since, sunset }: Deprecation): { readonly since: Date; readonly sunset: Date } {
  const dates = { since: new Date(since), sunset: new Date(sunset) };
  if (!(dates.sunset.getTime() - dates.since.getTime() >= LEAST_MS))
    throw new TypeError(`${sunset} is not a year after ${since}`);
  return dates;
}

/** For every route that has a `deprecation` in its config. */
export function tellDeprecations(app: FastifyInstance): void {
  app.addHook('onRoute', ({ config }) => {
    if (config?.deprecation) dated(config.deprecation);
  });
  app.addHook('onRequest', async ({ routeOptions: { config } }, reply) => {
    if (!config.deprecation) return;
    const { since, sunset } = dated(config.deprecation);
    reply.headers({
      deprecation: `@${Math.floor(since.getTime() / 1000)}`,
      sunset: sunset.toUTCString(),
      link: `<${POLICY}>; rel="deprecation"`,
    });
  });
}
