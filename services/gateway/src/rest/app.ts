/** The HTTP side of the gateway: builds an app that has not listened yet. */
import { randomUUID } from 'node:crypto';
import { fastifyRateLimit } from '@fastify/rate-limit';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { AsyncApiOptions } from '@khumbu/shared/contract/async-api';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Health } from '@khumbu/shared/runtime/health';
import type { Logger } from '@khumbu/shared/runtime/logger';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { FrontDesk } from '../front-desk/front-desk.js';
import { hasScope } from './api-keys.js';
import { createAsking } from './asking.js';
import { asyncApiRoute } from './async-api-route.js';
import type { Authenticate } from './authentication.js';
import { addSchemas } from './contract-schemas.js';
import type { EventLog } from './events/event-log.js';
import type { Idempotency } from './idempotency.js';
import type { Inventory } from './inventory.js';
import { documentRoutes } from './openapi.js';
import { Problem, type ProblemCode, sendProblem } from './problems.js';
import { controlRoutes } from './routes/control.js';
import { eventRoutes } from './routes/events.js';
import { firmwareRoutes } from './routes/firmware-updates.js';
import { type Archives, logRoutes } from './routes/log-uploads.js';
import { operationRoutes } from './routes/operations.js';
import { stationRoutes } from './routes/stations.js';
import type { RestApp } from './routing.js';
import { REST_SCHEMAS } from './schemas.js';

export interface AppDeps {
  readonly inventory: Inventory;
  readonly frontDesk: FrontDesk;
  readonly idempotency: Idempotency;
  readonly events: EventLog;
  /** `undefined`: the depot has no object store. */
  readonly archives: Archives | undefined;
  readonly authenticate: Authenticate;
  readonly health: Health;
  readonly metrics: Registry;
  readonly isLeader: () => boolean;
  readonly log: Logger;
}

export interface AppOptions {
  readonly bodyLimitBytes: number;
  /** Requests a minute, for each caller at this gateway. */
  readonly rateLimitPerMinute: number;
  readonly mostSubscribers: number;
  readonly keepAliveMs: number;
  /** Event streams whose reader takes nothing for this long are ended. */
  readonly subscriberStallMs: number;
  /** PEM: serve HTTPS. */
  readonly https?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  readonly asyncApi?: AsyncApiOptions;
}

export const DEFAULT_APP_OPTIONS: AppOptions = {
  bodyLimitBytes: 64 * 1024,
  rateLimitPerMinute: 600,
  mostSubscribers: 500,
  keepAliveMs: 15_000,
  subscriberStallMs: 60_000,
};

/** What Fastify finds wrong, in our words. */
const CODE_OF_FASTIFY: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'CONTENT_TYPE_UNSUPPORTED',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'BODY_MALFORMED',
  FST_ERR_CTP_INVALID_JSON_BODY: 'BODY_MALFORMED',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'BODY_MALFORMED',
  FST_ERR_VALIDATION: 'BODY_INVALID',
};

/** Pure. `undefined`: a surprise. */
export function problemOf(error: FastifyError): Problem | undefined {
  if (error instanceof Problem) return error;
  const code = CODE_OF_FASTIFY[error.code];
  if (code) return new Problem(code, describeError(error));
  if (error.statusCode === 429) return new Problem('TOO_MANY_REQUESTS');
  if (error.statusCode === 400) return new Problem('BODY_MALFORMED', describeError(error));
  return undefined;
}

/** Requests without a valid key from one address, before they are refused without a look at what they want. */
const FAILURES_PER_MINUTE = 120;

const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** An empty body is none where none is needed, whatever its type says: curl users set it for all requests. */
function acceptJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body !== '') return parse(request, body, done);
    if (request.routeOptions.schema?.body) done(new Problem('BODY_MALFORMED', 'The body is empty.'));
    else done(null, undefined);
    return undefined;
  });
}

function handleErrors(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = problemOf(error) ?? new Problem('INTERNAL', undefined, {}, { cause: error });
    if (problem.code === 'INTERNAL') log.error({ err: error, requestId: request.id }, 'request failed');
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, new Problem('NOT_FOUND')));
}

/** Before there is a route, and so without hooks: the address cannot be read. It is not repeated. */
function refuseAddress({ code }: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const isLong = code === 'FST_ERR_MAX_PARAM_LENGTH';
  const detail = isLong ? 'A parameter of the path is too long.' : 'The path is not percent-encoded UTF-8.';
  sendProblem(reply.header('x-request-id', request.id), new Problem('PARAMETER_INVALID', detail), '');
}

/** Who is it, and may he? */
function guard(v1: FastifyInstance, authenticate: Authenticate): void {
  // Whoever tries keys is slowed down by where he comes from; who has one is not.
  const countFailure = v1.createRateLimit({
    max: FAILURES_PER_MINUTE,
    timeWindow: 60_000,
    keyGenerator: (request: FastifyRequest) => `failed ${request.ip}`,
  });
  v1.addHook('onRoute', ({ config, url }) => {
    if (config?.scope === undefined) throw new TypeError(`${url} asks for no scope`);
  });
  v1.addHook('onRequest', async (request, reply) => {
    const caller = await authenticate(request.headers.authorization);
    if (!caller) {
      const count = await countFailure(request);
      if (count.isAllowed || !count.isExceeded) throw new Problem('NOT_AUTHENTICATED');
      reply.header('retry-after', String(count.ttlInSeconds));
      throw new Problem('TOO_MANY_REQUESTS');
    }
    const { scope } = request.routeOptions.config;
    if (scope !== undefined && !hasScope(caller, scope))
      throw new Problem('SCOPE_MISSING', `This needs the scope ${scope}.`);
    request.caller = caller;
  });
}

function probes(app: FastifyInstance, { health, metrics, isLeader }: AppDeps): void {
  const hidden = { schema: { hide: true } };
  app.get('/livez', hidden, async () => ({ live: true }));
  app.get('/readyz', hidden, async (_request, reply) => {
    reply.status(health.ready() ? 200 : 503);
    return { ...health.report(), leader: isLeader() };
  });
  app.get('/metrics', hidden, async (_request, reply) => {
    reply.type(metrics.contentType).serializer(String);
    return metrics.metrics();
  });
}

function countRequests(app: FastifyInstance, { metrics, log }: AppDeps): void {
  const requests = new Counter({
    name: 'khumbu_http_requests_total',
    help: 'Requests over HTTP.',
    labelNames: ['method', 'route', 'status'],
    registers: [metrics],
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { method, id: requestId, caller } = request;
    const route = request.routeOptions.url ?? 'unknown';
    requests.inc({ method, route, status: String(reply.statusCode) });
    const what = { requestId, method, route, status: reply.statusCode, ms: Math.round(reply.elapsedTime) };
    log.debug({ ...what, caller: caller?.name }, 'request answered');
  });
}

async function addV1(app: RestApp, deps: AppDeps, options: AppOptions, stopping: AbortSignal): Promise<void> {
  const { inventory, frontDesk, idempotency, events, archives, log } = deps;
  await app.register(fastifyRateLimit, {
    max: options.rateLimitPerMinute,
    timeWindow: 60_000,
    // Once it is known who asks.
    hook: 'preValidation',
    keyGenerator: (request: FastifyRequest) => request.caller?.name ?? request.ip,
  });
  guard(app as unknown as FastifyInstance, deps.authenticate);
  const asking = createAsking({ inventory, idempotency, stopping, log });
  stationRoutes(app, inventory);
  firmwareRoutes(app, { inventory, frontDesk, asking });
  logRoutes(app, { inventory, frontDesk, asking, archives });
  controlRoutes(app, { inventory, frontDesk, asking });
  operationRoutes(app, inventory);
  const subscribers = new Gauge({
    name: 'khumbu_event_subscribers',
    help: 'Open event streams.',
    registers: [deps.metrics],
  });
  const { mostSubscribers, keepAliveMs, subscriberStallMs: stallMs } = options;
  eventRoutes(app, { events, stopping, mostSubscribers, keepAliveMs, stallMs, subscribers, log });
}

/** Event streams end when the app closes. */
export async function buildApp(deps: AppDeps, options: AppOptions = DEFAULT_APP_OPTIONS): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    logger: false,
    bodyLimit: options.bodyLimitBytes,
    trustProxy: false,
    // Ids of stations come from topics, which are long.
    routerOptions: { maxParamLength: 1024 },
    frameworkErrors: refuseAddress,
    forceCloseConnections: true,
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    },
    // Nothing else can be read.
    ...(options.https ? { https: options.https } : {}),
  });
  acceptJsonOnly(app);
  const stopping = new AbortController();
  app.addHook('preClose', async () => stopping.abort());
  handleErrors(app, deps.log);
  countRequests(app, deps);
  addSchemas(app, REST_SCHEMAS);
  await documentRoutes(app);
  probes(app, deps);
  asyncApiRoute(app, options.asyncApi);
  await app.register((v1) => addV1(v1.withTypeProvider<TypeBoxTypeProvider>(), deps, options, stopping.signal), {
    prefix: '/v1',
  });
  return app;
}
