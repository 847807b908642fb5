/**
 * How much of the gateway's one thread REST may take from the stations, whatever its requests are. A few reads
 * and a few requests to the intake are under way at once, the others wait in line, each caller in turn; what
 * needs no key, and what is refused, goes out at a steady pace.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify';
import { createEventLoopTurn, type EventLoopTurn } from './event-loop-turn.js';
import { createLeakyBucket, type LeakyBucket } from './leaky-bucket.js';
import { Problem } from './problems.js';
import { createRequestQueue, type RequestQueue } from './request-queue.js';

export interface Load {
  readonly reads: RequestQueue;
  /** Reads that call the object store: apart, so that a stalled store delays no other reads. */
  readonly archives: RequestQueue;
  readonly asks: RequestQueue;
  /** Whether it lives and is ready: apart, so that no flood of anything else makes it look dead. */
  readonly probes: LeakyBucket;
  /** What else is open to everybody: metrics, documents, and addresses where nothing is. */
  readonly open: LeakyBucket;
  /** To unknown callers, and to those over their rate limit. */
  readonly refusals: LeakyBucket;
  readonly eventLoopTurn: EventLoopTurn;
}

export const createLoad = (): Load => ({
  reads: createRequestQueue({ atOnce: 2, mostWaiting: 2000, longestWaitMs: 30_000 }),
  archives: createRequestQueue({ atOnce: 8, mostWaiting: 500, longestWaitMs: 30_000 }),
  asks: createRequestQueue({ atOnce: 8, mostWaiting: 2000, longestWaitMs: 30_000 }),
  probes: createLeakyBucket({ perSecond: 500, burst: 200, mostWaiting: 2000 }),
  open: createLeakyBucket({ perSecond: 100, burst: 50, mostWaiting: 500 }),
  refusals: createLeakyBucket({ perSecond: 100, burst: 100, mostWaiting: 500 }),
  eventLoopTurn: createEventLoopTurn(),
});

/** Before any hook that costs something. */
export function paceOpen(app: FastifyInstance, { probes, open }: Load): void {
  app.addHook('onRequest', async ({ is404, routeOptions: { url } }) => {
    if (!is404 && url?.startsWith('/v1/')) return;
    const turn = url === '/livez' || url === '/readyz' ? probes() : open();
    if (!turn) throw new Problem('READS_BUSY');
    await turn;
  });
}

/** Refuse at a constant rate. `false`: too many refusals wait, and this request gets no response. */
export async function pacedRefusal(request: FastifyRequest, { refusals }: Load): Promise<boolean> {
  const turn = refusals();
  if (turn) await turn;
  else request.raw.socket.destroy();
  return turn !== undefined;
}

/** Queues requests to all routes that are added from now on, but for streams, which are counted, and what queues its work part by part. */
export function queueRequests(v1: FastifyInstance, { reads, archives, asks }: Load): void {
  const wrapped = new WeakSet<RouteHandlerMethod>();
  v1.addHook('onRoute', (route) => {
    const { handler, method } = route;
    // The route for HEAD has the handler of its GET.
    if (wrapped.has(handler) || route.config?.isUnqueued === true) return;
    const ofReads = route.config?.asksObjectStore === true ? archives : reads;
    const queue = method === 'GET' || method === 'HEAD' ? ofReads : asks;
    const queued: RouteHandlerMethod = function queued(request: FastifyRequest, reply: FastifyReply) {
      const isGone = (): boolean => reply.raw.destroyed;
      return queue.run(request.caller?.name ?? '', isGone, async () => handler.call(this, request, reply));
    };
    wrapped.add(queued);
    route.handler = queued;
  });
}
