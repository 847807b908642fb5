import { createImports, isLeft } from '@khumbu/operations/artifacts/imports';
import { readToldFiles, type ToldFile } from '@khumbu/operations/files/told-files';
import type { Keys } from '@khumbu/operations/records/keys';
import { redisTimeMs } from '@khumbu/operations/records/redis-time';
import { type DepotFileSchema, DepotSchema } from '@khumbu/rest-contract/depot';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { Health } from '@khumbu/shared/runtime/health';
import type { Redis } from 'ioredis';
import type { Static } from 'typebox';
import { ref } from '../contract-schemas.js';
import { reading } from '../inventory.js';
import { answers, describeRoute, type RestApp } from '../routing.js';

export interface DepotRouteDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly health: Health;
}

const fileView = ({ loadedAt, unusableSince, ...file }: ToldFile): Static<typeof DepotFileSchema> => ({
  ...file,
  ...(loadedAt === undefined ? {} : { loadedAt: rfc3339(loadedAt) }),
  ...(unusableSince === undefined ? {} : { unusableSince: rfc3339(unusableSince) }),
});

/** `/v1/depot`: what an operator has to look after. */
export function depotRoutes(app: RestApp, { redis, keys, health }: DepotRouteDeps): void {
  app.get(
    '/depot',
    describeRoute({
      id: 'getDepot',
      tag: 'depot',
      scope: 'read',
      summary: 'How the depot itself does',
      description:
        'Whether what it needs is there, and how the files do that its services follow. A file that cannot be used stops nothing: its last good content stays in use, until somebody mends it.',
      success: answers(200, 'The depot.', ref(DepotSchema)),
      takes: {},
    }),
    async () => {
      const files = await reading(readToldFiles)(redis, keys);
      const imports = await reading(async () => {
        const [all, now] = await Promise.all([createImports(redis, keys).read(), redisTimeMs(redis)]);
        return all.filter((file) => !isLeft(file, now));
      })();
      return {
        ok: health.ready() && files.every(({ usable }) => usable) && imports.every(({ takenIn }) => takenIn),
        checks: health.report(),
        files: files.map(fileView),
        imports: imports.map(({ identity: _identity, seenAt: _seenAt, at, ...file }) => ({ ...file, at: rfc3339(at) })),
      };
    },
  );
}
