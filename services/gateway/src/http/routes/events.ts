import { isStreamId } from '@khumbu/operations/events/stream-ids';
import { EventSchema } from '@khumbu/rest-contract/events';
import { EventsHeaders, EventsQuery } from '@khumbu/rest-contract/parameters';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ref } from '../contract-schemas.js';
import type { EventLoopTurn } from '../event-loop-turn.js';
import type { EventLog } from '../events/event-log.js';
import type { StreamQuota } from '../events/stream-quota.js';
import { type Filter, serveSubscriber } from '../events/subscription.js';
import { reading } from '../inventory.js';
import { beginLasting, endLasting, lastingAnswer } from '../lasting-answer.js';
import { Problem } from '../problems.js';
import { describeRoute, type RestApp } from '../routing.js';

export interface EventRouteDeps {
  readonly events: EventLog;
  readonly eventLoopTurn: EventLoopTurn;
  readonly stopping: AbortSignal;
  readonly quota: StreamQuota;
  readonly keepAliveMs: number;
  readonly stallMs: number;
  readonly log: Logger;
}

const setOf = (values: readonly string[] | undefined): ReadonlySet<string> | undefined =>
  values === undefined || values.length === 0 ? undefined : new Set(values);

const EXAMPLE = [
  'id: 1795339800123-0',
  'event: operation',
  'data: {"type":"operation","at":"2026-11-22T09:30:00.123Z","stationId":"cs-1","operationId":"firmware-update-mia0x1c2-5f0c9a7be1","kind":"firmware_update","origin":"rest","status":"Downloading","version":3,"ended":false}',
  '',
  '',
].join('\n');

const DESCRIPTION = `Server-Sent Events of everything that changes.

| event | what |
|---|---|
| \`operation\` | an operation has changed: \`stationId\`, \`operationId\`, \`kind\`, \`origin\`, \`status\`, \`version\`, \`ended\`, \`waitingFor\`, \`waiting\`, \`outcome\` |
| \`station\` | \`change\` is \`heard\` (first time), \`restarted\` (with \`bootEpoch\`, \`bootReason\`), \`away\`, \`back\`, \`conflict\`, \`conflict_over\`, \`firmware\` (what it runs is another one, with \`firmware\`) |
| \`progress\` | how far a transfer or an installation is, about once a second: \`bytes\`, \`totalBytes\`, or \`percent\`. Without id, never replayed |
| \`gap\` | events between \`after\` and \`until\` are not kept any more: read \`/v1/stations\` and \`/v1/operations\` anew |

After a break send the id of the last event as \`Last-Event-ID\`: what came since is sent first, by any gateway and over
restarts. An id stays valid as long as its successors are kept (about 20000 events). Every event may come twice. The
stream ends when a token runs out or a key is withdrawn, when the subscriber does not read, or when the gateway stops: connect again.`;

/** `/v1/events`. */
export function eventRoutes(app: RestApp, deps: EventRouteDeps): void {
  const { events, log, quota } = deps;
  const newestId = reading(() => events.newestId());

  const serve = async (
    request: FastifyRequest,
    reply: FastifyReply,
    cursor: string,
    filter: Filter,
    leave: () => void,
  ): Promise<void> => {
    const lasting = lastingAnswer(request, reply, deps.stopping);
    beginLasting(request, reply, 'text/event-stream; charset=utf-8');
    try {
      const caller = request.caller?.name ?? '';
      await serveSubscriber(reply.raw, { ...deps, log: events, caller, filter, cursor, signal: lasting.signal });
    } catch (error) {
      log.debug({ requestId: request.id, reason: describeError(error) }, 'subscriber let go');
    } finally {
      lasting.close();
      leave();
      endLasting(reply);
    }
  };

  app.get(
    '/events',
    {
      // The headers of what does not end.
      exposeHeadRoute: false,
      ...describeRoute({
        id: 'followEvents',
        tag: 'events',
        scope: 'read',
        summary: 'Follow what changes',
        description: DESCRIPTION,
        problems: ['LAST_EVENT_ID_INVALID', 'TOO_MANY_EVENT_STREAMS', 'TOO_MANY_SUBSCRIBERS'],
        success: {
          200: {
            description: 'The stream; it does not end.',
            content: { 'text/event-stream': { schema: ref(EventSchema), example: EXAMPLE } },
          },
        },
        takes: { querystring: EventsQuery, headers: EventsHeaders },
      }),
      config: { scope: 'read', isUnqueued: true },
    },
    async (request, reply) => {
      const last = request.headers['last-event-id'];
      if (last && !isStreamId(last)) {
        const detail = 'last-event-id is not the id of an event';
        throw new Problem('LAST_EVENT_ID_INVALID', detail, {
          errors: [{ detail, parameter: 'last-event-id', in: 'header' }],
        });
      }
      const leave = quota.take(request.caller?.name ?? '');
      const fromNowOn = (): Promise<string> =>
        newestId().catch((error: unknown) => {
          leave();
          throw error;
        });
      const cursor = last || (await fromNowOn());
      const { station, kind, type } = request.query;
      const stations = setOf(station);
      const kinds = setOf(kind);
      const types = setOf(type);
      const filter = { ...(stations ? { stations } : {}), ...(kinds ? { kinds } : {}), ...(types ? { types } : {}) };
      void serve(request, reply, cursor, filter, leave);
      return reply;
    },
  );
}
