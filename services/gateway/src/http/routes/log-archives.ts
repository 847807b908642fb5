import type { ObjectFacts } from '@khumbu/object-store/object-store';
import { isArchiveOf } from '@khumbu/operations/kinds/log-upload/archive-object';
import type { CopyPlace, CopyRecords } from '@khumbu/operations/log-copies/copy-records';
import { COPIED_LOG_TYPES, type LogCopy } from '@khumbu/operations/log-copies/log-copy';
import { type CopyRules, keptUntil } from '@khumbu/operations/log-copies/settings';
import { ContentHeadersSchema } from '@khumbu/rest-contract/artifacts';
import {
  LogArchivePageSchema,
  LogArchiveParams,
  LogArchiveSchema,
  LogArchivesQuery,
} from '@khumbu/rest-contract/log-archives';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { createContentServer, type Offered } from '../artifacts/serve-content.js';
import { ref } from '../contract-schemas.js';
import type { EventLoopTurn } from '../event-loop-turn.js';
import { reading } from '../inventory.js';
import { sendPage } from '../pages.js';
import { Problem } from '../problems.js';
import { answers, describeRoute, type RestApp } from '../routing.js';
import type { Audit } from '../submit-operation.js';
import type { Archives } from './log-uploads.js';

export interface LogArchiveDeps {
  /** Over the connection for reading. */
  readonly copies: { readonly records: Pick<CopyRecords, 'page' | 'find' | 'sums'>; readonly rules: CopyRules };
  readonly archives: Archives | undefined;
  readonly audit: Audit;
  readonly eventLoopTurn: EventLoopTurn;
  readonly stopping: AbortSignal;
  /** A reader who takes nothing for this long is cut off. */
  readonly stallMs: number;
}

/** Archives that are read from one gateway at once: each at the pace of its reader. */
const MOST_READERS = 20;
const CONTENT_TYPES: Readonly<Record<LogCopy['format'], string>> = {
  gzip: 'application/gzip',
  zstd: 'application/zstd',
};
const binary = { type: 'string', format: 'binary' };

const writeCursor = ({ createdAt, operationId }: CopyPlace): string =>
  Buffer.from(JSON.stringify([createdAt, operationId])).toString('base64url');

/** Throws `CURSOR_INVALID`. */
function readCursor(text: string): CopyPlace {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch (error) {
    throw new Problem('CURSOR_INVALID', undefined, {}, { cause: error });
  }
  const [createdAt, operationId] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof createdAt !== 'number' || typeof operationId !== 'string') throw new Problem('CURSOR_INVALID');
  return { createdAt, operationId };
}

/** Milliseconds; the schema has seen to its form. */
const dateOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : Date.parse(text));

/** Pure. */
function archiveView(copy: LogCopy, rules: CopyRules): Static<typeof LogArchiveSchema> {
  const { station: stationId, createdAt, bytes: sizeBytes, bucket: _bucket, key: _key, etag: _etag, ...same } = copy;
  const until = keptUntil(rules, copy);
  return {
    ...same,
    stationId,
    createdAt: rfc3339(createdAt),
    sizeBytes,
    ...(until === undefined ? {} : { keptUntil: rfc3339(until) }),
  };
}

type Find = (request: FastifyRequest, operationId: string) => Promise<Offered>;

function createFind({ copies, archives, audit }: LogArchiveDeps): Find {
  const find = reading((operationId: string) => copies.records.find(operationId));

  /** What the store has is compared with what was kept: nothing else is handed out as the logs of this station. */
  const require = async (operationId: string): Promise<LogCopy> => {
    const copy = await find(operationId);
    if (!copy || !archives) throw new Problem('ARCHIVE_UNKNOWN', undefined, { operationId });
    const { bucket, key, etag, bytes: sizeBytes } = copy;
    let found: ObjectFacts | undefined;
    try {
      found = await archives.objects.stat(bucket, key);
    } catch (error) {
      throw new Problem('OBJECT_STORE_UNREACHABLE', describeError(error), { operationId }, { cause: error });
    }
    const isIt =
      found !== undefined && isArchiveOf({ id: operationId, sizeBytes, archive: { bucket, key, etag } }, found);
    if (!isIt) throw new Problem('ARCHIVE_UNKNOWN', 'It is not in the object store any more.', { operationId });
    return copy;
  };

  return async (request, operationId) => {
    const { bucket, key, bytes: size, station, sha256, etag, format, fileName } = await require(operationId);
    return {
      source: {
        read: (part, signal) => (archives as Archives).objects.read({ bucket, key, ...part }, signal),
        what: `archive ${operationId}`,
        type: CONTENT_TYPES[format],
        size,
      },
      etag: `"${sha256 ?? etag}"`,
      headers: { 'cache-control': 'no-store' },
      contentHeaders: {
        'content-disposition': `attachment; filename="${fileName.replace(/[^\x20-\x7e]|["\\]/g, '_')}"`,
      },
      onHandedOut: () => audit(request, 'log archive', station, { outcome: 'handed out', operationId }),
    };
  };
}

/** `/v1/log-archives`: the log archives that the depot keeps, whatever became of their targets. */
export function logArchiveRoutes(app: RestApp, deps: LogArchiveDeps): void {
  const { copies, eventLoopTurn } = deps;
  const { records, rules } = copies;
  const read = reading((...of: Parameters<typeof records.page>) => Promise.all([records.page(...of), records.sums()]));
  const find = reading((operationId: string) => records.find(operationId));
  const busy = 'As many read archives from this gateway as may.';
  const { stallMs, stopping } = deps;
  const serve = createContentServer({ mostReaders: MOST_READERS, busy, stallMs, stopping });
  const findContent = createFind(deps);

  app.get(
    '/log-archives',
    describeRoute({
      id: 'listLogArchives',
      tag: 'logs',
      scope: 'read',
      summary: 'The log archives that the depot keeps',
      description:
        'Of every upload of logs the depot keeps a copy for some days, wherever the archive went and however that ended. The newest first.',
      problems: ['CURSOR_INVALID'],
      success: answers(200, 'A page of archives.', ref(LogArchivePageSchema)),
      takes: { querystring: LogArchivesQuery },
    }),
    async ({ query }, reply) => {
      const { station, type, since, until, limit = 100, cursor } = query;
      const filter = { station, type, since: dateOf(since), until: dateOf(until) };
      const place = cursor === undefined ? undefined : readCursor(cursor);
      const [{ copies: found, next }, sums] = await read(filter, limit, place);
      const sum = (member: 'copies' | 'bytes'): number =>
        COPIED_LOG_TYPES.reduce((all, each) => all + sums[each][member], 0);
      const page = {
        items: found.map((copy) => archiveView(copy, rules)),
        ...(next === undefined ? {} : { nextCursor: writeCursor(next) }),
        keptArchives: sum('copies'),
        keptBytes: sum('bytes'),
        ...(rules.quotaBytes === undefined ? {} : { quotaBytes: rules.quotaBytes }),
      };
      return sendPage(reply, page, eventLoopTurn);
    },
  );

  app.get(
    '/log-archives/:operationId',
    describeRoute({
      id: 'getKeptLogArchive',
      tag: 'logs',
      scope: 'read',
      summary: 'One kept archive',
      description: 'What is known of an archive that the depot keeps.',
      problems: ['ARCHIVE_UNKNOWN'],
      success: answers(200, 'The archive.', ref(LogArchiveSchema)),
      takes: { params: LogArchiveParams },
    }),
    async ({ params: { operationId } }) => {
      const copy = await find(operationId);
      if (!copy) throw new Problem('ARCHIVE_UNKNOWN', undefined, { operationId });
      return archiveView(copy, rules);
    },
  );

  app.get(
    '/log-archives/:operationId/content',
    {
      ...describeRoute({
        id: 'getKeptLogArchiveContent',
        tag: 'logs',
        scope: 'read',
        summary: 'The bytes of a kept archive',
        description:
          'From the object store through this gateway, so that a caller need not reach the store. One range and several, `If-Range`, `If-Match`, `If-None-Match` and HEAD are served as RFC 9110 has them: a download that was cut goes on where it ended.',
        problems: ['ARCHIVE_UNKNOWN', 'OBJECT_STORE_UNREACHABLE', 'PRECONDITION_FAILED', 'RANGE_NOT_SATISFIABLE'],
        success: {
          200: {
            description: 'All of its bytes.',
            content: { 'application/gzip': { schema: binary }, 'application/zstd': { schema: binary } },
          },
          206: {
            description: 'The bytes that were asked for.',
            content: {
              'application/gzip': { schema: binary },
              'application/zstd': { schema: binary },
              'multipart/byteranges': { schema: binary },
            },
          },
          304: { description: 'The reader has it already.', type: 'null' },
        },
        takes: { params: LogArchiveParams, headers: ContentHeadersSchema },
      }),
      // Its place in the queue would be taken for as long as its reader takes.
      config: { scope: 'read', isUnqueued: true },
    },
    (request, reply) => serve(request, reply, () => findContent(request, request.params.operationId)),
  );
}
