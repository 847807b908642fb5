import type { Intake } from '@khumbu/intake/intake';
import type { LogViews } from '@khumbu/operations/log-views/ask-views';
import type { LogViewFormat } from '@khumbu/operations/log-views/messages';
import { type LogViewLine, LogViewLineSchema, LogViewQuery } from '@khumbu/rest-contract/log-view';
import { StationParams } from '@khumbu/rest-contract/parameters';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { syntaxProblem } from '@khumbu/shared/stations/redact-rules';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { ref } from '../contract-schemas.js';
import type { StreamQuota } from '../events/stream-quota.js';
import { drained } from '../events/subscription.js';
import type { Inventory } from '../inventory.js';
import { beginLasting, endLasting, type LastingAnswer, lastingAnswer } from '../lasting-answer.js';
import { Problem } from '../problems.js';
import { describeRoute, type RestApp } from '../routing.js';
import type { Audit } from '../submit-operation.js';

export interface LogViewRouteDeps {
  readonly inventory: Inventory;
  readonly intake: Pick<Intake, 'isAbandoned'>;
  readonly views: LogViews;
  readonly audit: Audit;
  readonly quota: StreamQuota;
  readonly stopping: AbortSignal;
  /** A reader that takes nothing for this long is let go. */
  readonly stallMs: number;
  readonly log: Logger;
}

const JSON_LINES = 'application/jsonl';
const TEXT = 'text/plain';

const DESCRIPTION = `The logs as they are at the station, without an archive: to see the last minutes of a charger. A log-worker logs in and reads; what is
taken out of archives is taken out here.

Without \`since\` and \`until\`, and with \`follow\`, it begins with the newest records of each source, about a thousand (of files, with the end of the
newest ones), and reads sources at the same time. A window without \`follow\` has exactly its records, one source after the other. Each line is
JSON; with \`Accept: text/plain\` text, a source before each line. The last line is \`end\` and says why it ended; where it is missing, the answer was
cut off. It comes as fast as you read, up to \`LOG_VIEW_BYTES_PER_S\`, and ends after \`LOG_VIEW_MAX_BYTES\` or \`LOG_VIEW_MAX_S\` at the latest; what
\`grep\` leaves out was read from the station all the same, and counts. End the request, and nothing is left running at the station.`;

const EXAMPLE = [
  '{"type":"record","source":"journal","time":"2026-11-22T09:30:00.123456Z","text":"2026-11-22T09:30:00.123456Z ... everest.service info manager: started"}',
  '{"type":"note","source":"ocpp","code":"older_left_out","text":"these are the ends of the 2 newest of 9 files"}',
  '{"type":"end","reason":"complete"}',
  '',
].join('\n');

type Query = Static<typeof LogViewQuery>;

const msOf = (time: string | undefined): number | undefined => (time === undefined ? undefined : Date.parse(time));

/** Throws `PARAMETER_INVALID`, `WINDOW_EMPTY`. Pure. */
function viewAsked({ type = 'DiagnosticsLog', since, until, grep, source, follow = false }: Query) {
  const invalid = (parameter: string, detail: string): Problem =>
    new Problem('PARAMETER_INVALID', `${parameter}: ${detail}.`, { errors: [{ detail, parameter, in: 'query' }] });
  if (follow && until !== undefined) throw invalid('until', 'what is followed has no end; leave out until or follow');
  const problem = grep === undefined ? undefined : syntaxProblem(grep);
  if (problem !== undefined) throw invalid('grep', problem);
  const [from, to] = [msOf(since), msOf(until)];
  if (from !== undefined && to !== undefined && from > to) throw new Problem('WINDOW_EMPTY');
  return {
    type,
    ...(from === undefined ? {} : { since: from }),
    ...(to === undefined ? {} : { until: to }),
    ...(grep === undefined ? {} : { grep }),
    ...(source === undefined ? {} : { sources: source }),
    newest: follow || (from === undefined && to === undefined),
    follow,
  };
}

/** Text where it is asked for and JSON is not. Pure. */
const formatFor = (accept: string | undefined): LogViewFormat =>
  accept !== undefined && /\btext\/plain\b/i.test(accept) && !/\bapplication\/(?:jsonl|x-ndjson|json)\b/i.test(accept)
    ? 'text'
    : 'json';

/** What the driver or a worker said, as REST says it. */
function problemOf(error: unknown): unknown {
  if (!(error instanceof CodedError) || error instanceof Problem) return error;
  switch (error.code) {
    case 'STATION_UNREACHABLE':
    case 'STATION_NOT_CONFIGURED':
      return new Problem(error.code, error.message);
    case 'NO_PLACE':
    case 'VIEW_LOST':
    case 'STOPPING':
      return new Problem('READS_BUSY', error.message);
    case 'INTERNAL':
      return error;
    default:
      return new Problem('LOGS_UNAVAILABLE', error.message);
  }
}

/** `/v1/stations/{stationId}/logs`: the logs of a station, while somebody looks. The gateway talks to no station: a worker does. */
export function logViewRoutes(app: RestApp, deps: LogViewRouteDeps): void {
  const { inventory, intake, views, audit, quota, stopping, stallMs, log } = deps;

  const send = async (reply: FastifyReply, bytes: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> => {
    for await (const piece of bytes) if (!reply.raw.write(piece)) await drained(reply.raw, signal, stallMs);
  };

  const serve = async (
    request: FastifyRequest,
    reply: FastifyReply,
    { bytes, format, lasting }: { bytes: AsyncIterable<Buffer>; format: LogViewFormat; lasting: LastingAnswer },
  ): Promise<void> => {
    const { raw } = reply;
    beginLasting(request, reply, format === 'json' ? JSON_LINES : `${TEXT}; charset=utf-8`);
    // Logs may be quiet for as long as they like; who does not read is let go by `drained`.
    raw.setTimeout(0);
    // So that who looks knows at once that there is a view, also of logs in which nothing is written.
    raw.flushHeaders();
    try {
      await send(reply, bytes, lasting.signal);
    } catch (error) {
      log.debug({ requestId: request.id, reason: describeError(error) }, 'live view of logs ended');
      const code = error instanceof CodedError ? error.code : '';
      const reason = lasting.why() ?? (code === 'STOPPING' ? 'stopping' : 'lost');
      const end: LogViewLine = { type: 'end', reason };
      if (!raw.destroyed && !raw.writableNeedDrain)
        raw.write(format === 'json' ? `${JSON.stringify(end)}\n` : `-- end: ${reason}\n`);
    } finally {
      endLasting(reply);
    }
  };

  app.get(
    '/stations/:stationId/logs',
    {
      // The headers of what may not end.
      exposeHeadRoute: false,
      ...describeRoute({
        id: 'viewLogs',
        tag: 'logs',
        scope: 'operate',
        summary: 'Look into the logs of a station',
        description: DESCRIPTION,
        problems: [
          'STATION_UNKNOWN',
          'STATION_NOT_CONFIGURED',
          'WINDOW_EMPTY',
          'LOGS_UNAVAILABLE',
          'TOO_MANY_LOG_VIEWS',
          'WORKERS_GONE',
          'STATION_UNREACHABLE',
        ],
        success: {
          200: {
            description: 'Its lines, as they come.',
            content: {
              [JSON_LINES]: { schema: ref(LogViewLineSchema), example: EXAMPLE },
              [TEXT]: { schema: { type: 'string' } },
            },
          },
        },
        takes: { params: StationParams, querystring: LogViewQuery },
      }),
      config: { scope: 'operate', isUnqueued: true },
    },
    async (request, reply) => {
      const { stationId: station } = request.params;
      const asked = viewAsked(request.query);
      await inventory.requireStation(station);
      if (!inventory.isServed(station)) throw new Problem('STATION_NOT_CONFIGURED');
      if (intake.isAbandoned('log-uploads')) throw new Problem('WORKERS_GONE');
      const leave = quota.take(request.caller?.name ?? '');
      const lasting = lastingAnswer(request, reply, stopping);
      const close = (): void => {
        lasting.close();
        leave();
      };
      const { type, follow } = asked;
      const format = formatFor(request.headers.accept);
      let bytes: AsyncIterable<Buffer>;
      try {
        bytes = await views.open({ ...asked, station, format }, lasting.signal);
      } catch (error) {
        close();
        const problem = problemOf(error);
        const outcome = problem instanceof Problem ? problem.code : 'INTERNAL';
        audit(request, 'log view', station, { outcome, type, follow });
        throw problem;
      }
      audit(request, 'log view', station, { outcome: 'opened', type, follow });
      void serve(request, reply, { bytes, format, lasting }).finally(close);
      return reply;
    },
  );
}
