import type { ObjectFacts, ObjectStore } from '@khumbu/object-store/object-store';
import { isArchiveOf } from '@khumbu/operations/kinds/log-upload/archive-object';
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { LogUploadOrderSchema } from '@khumbu/rest-contract/orders';
import { IdempotencyHeaders, StationOperationParams, StationParams } from '@khumbu/rest-contract/parameters';
import { resolveUploadTarget } from '@khumbu/shared/locations/upload-location';
import { describeError } from '@khumbu/shared/runtime/errors';
import { ref } from '../contract-schemas.js';
import type { EventLoopTurn } from '../event-loop-turn.js';
import { logSubmission } from '../orders.js';
import { Problem } from '../problems.js';
import { accepted, describeRoute, LOCATION_PROBLEMS, REFUSALS, type RestApp, WITH_BODY } from '../routing.js';
import { type CancelDeps, cancelRoute } from './cancel.js';
import { stationOperationRoutes } from './operations.js';

/** The depot's object store, as REST needs it. */
export interface Archives {
  readonly bucket: string;
  readonly objects: Pick<ObjectStore, 'stat' | 'read'>;
  /** The same store under the address that callers reach. */
  readonly publicObjects: Pick<ObjectStore, 'presignGet'>;
  readonly urlSeconds: number;
}

/** Where the archive was put; records of version 0.1.0 say only where it was to go. */
function placeOf(record: LogUploadRecord): { bucket: string; key: string; fileName: string } | undefined {
  const { archive, fileName } = record;
  if (archive) return { bucket: archive.bucket, key: archive.key, fileName };
  const target = resolveUploadTarget(record.request.location, fileName);
  return target.kind === 's3' ? target : undefined;
}

/**
 * A URL to fetch the archive from. Rejects with a problem where there is none: what somebody put there since is not handed
 * out as the logs of this station.
 */
async function archiveUrl(archives: Archives | undefined, record: LogUploadRecord): Promise<string> {
  const { id: operationId } = record;
  if (record.endedAt === undefined) throw new Problem('ARCHIVE_NOT_READY', undefined, { operationId });
  if (record.state !== 'Uploaded') throw new Problem('ARCHIVE_UNKNOWN', undefined, { operationId });
  const place = placeOf(record);
  if (!place || !archives) throw new Problem('ARCHIVE_ELSEWHERE', undefined, { operationId });
  const { bucket, key, fileName } = place;
  let found: ObjectFacts | undefined;
  try {
    found = await archives.objects.stat(bucket, key);
  } catch (error) {
    throw new Problem('OBJECT_STORE_UNREACHABLE', describeError(error), { operationId }, { cause: error });
  }
  if (!found) throw new Problem('ARCHIVE_UNKNOWN', undefined, { operationId });
  if (!isArchiveOf(record, found))
    throw new Problem('ARCHIVE_UNKNOWN', 'Another object has taken its place: it is not handed out.', { operationId });
  return archives.publicObjects.presignGet({ bucket, key }, archives.urlSeconds, fileName);
}

export function logRoutes(
  app: RestApp,
  deps: CancelDeps & { readonly archives: Archives | undefined; readonly eventLoopTurn: EventLoopTurn },
): void {
  const { submit, audit, inventory, archives } = deps;

  app.post(
    '/stations/:stationId/log-uploads',
    describeRoute({
      id: 'startLogUpload',
      tag: 'logs',
      scope: 'operate',
      summary: 'Fetch the logs of a station',
      description:
        'Collects the logs, packs them into one `.tar.gz` and brings it to `location`, or to the depot’s object store, from where `archive` fetches it. EVerest is not told.',
      problems: [
        ...WITH_BODY,
        ...REFUSALS,
        ...LOCATION_PROBLEMS,
        'LOG_TYPE_UNKNOWN',
        'WINDOW_EMPTY',
        'NO_OBJECT_STORE',
      ],
      success: accepted,
      takes: { params: StationParams, headers: IdempotencyHeaders, body: ref(LogUploadOrderSchema) },
    }),
    async (request, reply) => submit(request, reply, logSubmission(request.body, deps)(request.params.stationId)),
  );

  app.get(
    '/stations/:stationId/log-uploads/:operationId/archive',
    {
      ...describeRoute({
        id: 'getLogArchive',
        tag: 'logs',
        scope: 'read',
        summary: 'Fetch the archive',
        description:
          'Redirects to the object store, to a URL that works for a few minutes without credentials (with curl: `-L`). Only for archives in the depot’s object store.',
        problems: [
          'STATION_UNKNOWN',
          'OPERATION_UNKNOWN',
          'ARCHIVE_UNKNOWN',
          'ARCHIVE_NOT_READY',
          'ARCHIVE_ELSEWHERE',
          'OBJECT_STORE_UNREACHABLE',
        ],
        success: {
          302: {
            description: 'Where the archive is.',
            type: 'null',
          },
        },
        takes: { params: StationOperationParams },
      }),
      config: { scope: 'read', asksObjectStore: true },
    },
    async (request, reply) => {
      const { stationId: station, operationId } = request.params;
      await inventory.requireStation(station);
      const record = await inventory.recordOf(operationId, station, 'log_upload');
      const url = await archiveUrl(archives, record);
      audit(request, 'log archive', station, { outcome: 'handed out', operationId });
      return reply.header('cache-control', 'no-store').redirect(url, 302);
    },
  );

  stationOperationRoutes(app, inventory, 'log_upload', deps.eventLoopTurn);
  cancelRoute(app, deps, 'log_upload');
}
