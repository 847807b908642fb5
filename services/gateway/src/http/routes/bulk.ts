import type { Intake } from '@khumbu/intake/intake';
import {
  BulkFirmwareUpdateOrderSchema,
  BulkLogUploadOrderSchema,
  BulkResetOrderSchema,
  BulkResultSchema,
} from '@khumbu/rest-contract/bulk';
import { IdempotencyHeaders } from '@khumbu/rest-contract/parameters';
import type { Artifacts } from '../artifacts/artifacts.js';
import { type BulkDeps, createSubmitBulk } from '../bulk-order.js';
import { ref } from '../contract-schemas.js';
import { logSubmission, resetSubmission, updateSubmission } from '../orders.js';
import { answers, describeRoute, type RestApp, WITH_BODY } from '../routing.js';
import type { Archives } from './log-uploads.js';

export interface BulkRouteDeps extends BulkDeps {
  readonly intake: Intake;
  readonly artifacts: Artifacts;
  readonly archives: Archives | undefined;
}

const DESCRIPTION =
  'Each station of the target is decided by itself: `results` has the operation or the problem of each. With an `Idempotency-Key` the same request may be sent again until all are decided: nothing is done twice. `dryRun` tells what would be answered.';
const success = answers(200, 'What became of it at each station; some may have refused.', ref(BulkResultSchema));

/** Queued group by group of its stations. */
const config = { scope: 'operate' as const, isUnqueued: true };

/** Orders for many stations at once. */
export function bulkRoutes(app: RestApp, deps: BulkRouteDeps): void {
  const submit = createSubmitBulk(deps);

  app.post(
    '/firmware-updates',
    {
      ...describeRoute({
        id: 'startFirmwareUpdates',
        tag: 'firmware',
        scope: 'operate',
        summary: 'Update many stations',
        description: DESCRIPTION,
        problems: [...WITH_BODY, 'ARTIFACT_UNKNOWN'],
        success,
        takes: { headers: IdempotencyHeaders, body: ref(BulkFirmwareUpdateOrderSchema) },
      }),
      config,
    },
    async (request, reply) =>
      submit(request, reply, request.body, () => updateSubmission(request.body.order, deps, '#/order')),
  );

  app.post(
    '/log-uploads',
    {
      ...describeRoute({
        id: 'startLogUploads',
        tag: 'logs',
        scope: 'operate',
        summary: 'Fetch the logs of many stations',
        description: DESCRIPTION,
        problems: [...WITH_BODY, 'NO_OBJECT_STORE'],
        success,
        takes: { headers: IdempotencyHeaders, body: ref(BulkLogUploadOrderSchema) },
      }),
      config,
    },
    async (request, reply) =>
      submit(request, reply, request.body, async () => logSubmission(request.body.order, deps, '#/order')),
  );

  app.post(
    '/resets',
    {
      ...describeRoute({
        id: 'resetStations',
        tag: 'control',
        scope: 'operate',
        summary: 'Reset many stations',
        description: DESCRIPTION,
        problems: WITH_BODY,
        success,
        takes: { headers: IdempotencyHeaders, body: ref(BulkResetOrderSchema) },
      }),
      config,
    },
    async (request, reply) =>
      submit(request, reply, request.body, async () => resetSubmission(request.body.order, deps, '#/order')),
  );
}
