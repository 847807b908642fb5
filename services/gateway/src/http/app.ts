/** The HTTP side of the gateway: builds an app that has not listened yet. */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { fastifyRateLimit } from '@fastify/rate-limit';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { Intake } from '@khumbu/intake/intake';
import type { Questions } from '@khumbu/intake/questions';
import type { LookAsker } from '@khumbu/operations/driver-checks/driver-checks';
import type { LogViews } from '@khumbu/operations/log-views/ask-views';
import type { Keys } from '@khumbu/operations/records/keys';
import type { AppendFact } from '@khumbu/operations/security-log/append-fact';
import { REST_SCHEMAS } from '@khumbu/rest-contract/components';
import type { AsyncApiOptions } from '@khumbu/shared/contract/async-api';
import type { Health } from '@khumbu/shared/runtime/health';
import type { Logger } from '@khumbu/shared/runtime/logger';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Redis } from 'ioredis';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { FrameAsker } from '../frames/ask-frames.js';
import type { Standing } from '../leader/standing.js';
import { type Caller, hasScope } from './api-keys.js';
import type { Artifacts } from './artifacts/artifacts.js';
import { createUploadTimes, type UploadTimes } from './artifacts/upload-times.js';
import type { Authenticate } from './authentication.js';
import { createServer, watchConnections } from './connections.js';
import { addSchemas } from './contract-schemas.js';
import { tellDeprecations } from './deprecation.js';
import type { EventLog } from './events/event-log.js';
import { createStreamQuota, LOG_VIEWS } from './events/stream-quota.js';
import type { Idempotency } from './idempotency.js';
import type { Inventory } from './inventory.js';
import { type Load, pacedRefusal, paceOpen, queueRequests } from './load.js';
import { createMetricsText } from './metrics-text.js';
import { asyncApiRoute, documentRoutes } from './openapi.js';
import { servePage } from './page.js';
import { Problem } from './problems.js';
import { protect } from './protection.js';
import { acceptJsonOnly, handleErrors, refuseAddress, requireHost } from './request-errors.js';
import { artifactContentRoutes } from './routes/artifact-content.js';
import { artifactUploadRoutes } from './routes/artifact-uploads.js';
import { artifactRoutes } from './routes/artifacts.js';
import { bulkRoutes } from './routes/bulk.js';
import { controlRoutes } from './routes/control.js';
import { depotRoutes } from './routes/depot.js';
import { driverCheckRoutes } from './routes/driver-check.js';
import { eventRoutes } from './routes/events.js';
import { firmwareRoutes } from './routes/firmware-updates.js';
import { type LogArchiveDeps, logArchiveRoutes } from './routes/log-archives.js';
import { type Archives, logRoutes } from './routes/log-uploads.js';
import { logViewRoutes } from './routes/log-view.js';
import { mqttFrameRoutes } from './routes/mqtt-frames.js';
import { operationRoutes } from './routes/operations.js';
import { securityLogRoutes } from './routes/security-log.js';
import { sessionRoutes } from './routes/sessions.js';
import { signInRoutes } from './routes/sign-in.js';
import { stationRoutes } from './routes/stations.js';
import { type WanRouteDeps, wanRoutes } from './routes/wan.js';
import { type WebhookRouteDeps, webhookRoutes } from './routes/webhooks.js';
import type { RestApp } from './routing.js';
import { createSecurityAudit } from './security-audit.js';
import type { Sessions } from './sessions/sessions.js';
import type { Provider } from './sign-in/provider.js';
import { createAudit, createSubmitOperation } from './submit-operation.js';
import { createUnreadable } from './unreadable-requests.js';

export interface AppDeps {
  readonly inventory: Inventory;
  readonly intake: Intake;
  /** Asked over the connection for reading. */
  readonly questions: Questions;
  readonly load: Load;
  readonly idempotency: Idempotency;
  /** For reading alone, as what the inventory reads over. */
  readonly redis: Redis;
  readonly keys: Keys;
  readonly events: EventLog;
  /** `undefined`: the depot has no object store. */
  readonly archives: Archives | undefined;
  /** The archives that the depot keeps for itself. */
  readonly copies: LogArchiveDeps['copies'];
  /** The images that the depot holds. */
  readonly artifacts: Artifacts;
  /** Looks at stations before use are asked for by it. */
  readonly looks: LookAsker;
  /** Live views of logs are asked for by it. */
  readonly views: LogViews;
  /** MQTT frames of stations are asked for by it. */
  readonly frames: FrameAsker;
  readonly wan: WanRouteDeps['wan'];
  readonly webhooks: WebhookRouteDeps['webhooks'];
  /** Judges where webhooks may lead. */
  readonly locations: WebhookRouteDeps['locations'];
  /** The security log is told of requests that no record tells of. */
  readonly append: AppendFact;
  readonly authenticate: Authenticate;
  readonly sessions: Sessions;
  /** At which people sign in; `undefined`: keys alone. */
  readonly provider: Provider | undefined;
  /** The depot's time, milliseconds since 1970. */
  readonly now: () => number;
  readonly health: Health;
  readonly metrics: Registry;
  readonly standing: () => Standing;
  readonly log: Logger;
}

export interface AppOptions {
  readonly bodyLimitBytes: number;
  /** Requests a minute, for each caller at this gateway. */
  readonly rateLimitPerMinute: number;
  readonly mostSubscribers: number;
  /** Event streams of one caller. */
  readonly mostSubscribersPerCaller: number;
  readonly mostLogViews: number;
  /** Live views of logs of one caller. */
  readonly mostLogViewsPerCaller: number;
  /** A request has to be whole so soon after its first byte; a connection may be idle for as long. */
  readonly requestTimeoutMs: number;
  readonly keepAliveMs: number;
  /** Event streams whose reader takes nothing for this long are ended. */
  readonly subscriberStallMs: number;
  /**
   * Downloads whose reader takes nothing for this long are cut off. Over a slow line a reader takes a megabyte at once when its buffers
   * have room again, and that is minutes apart.
   */
  readonly readerStallMs: number;
  /** The answer to an order waits so long for the order to begin; one that has not begun by then is told as offered. */
  readonly confirmMs: number;
  /** PEM: serve HTTPS. */
  readonly https?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  readonly asyncApi?: AsyncApiOptions;
}

export const DEFAULT_APP_OPTIONS: AppOptions = {
  bodyLimitBytes: 64 * 1024,
  rateLimitPerMinute: 600,
  mostSubscribers: 500,
  mostSubscribersPerCaller: 50,
  mostLogViews: 50,
  mostLogViewsPerCaller: 5,
  requestTimeoutMs: 30_000,
  keepAliveMs: 15_000,
  subscriberStallMs: 60_000,
  readerStallMs: 300_000,
  confirmMs: 1000,
};

/** Requests without a valid key from one address, before they are refused without a look at what they want. */
const FAILURES_PER_MINUTE = 120;

const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** Authentication and scopes. */
function guard(v1: FastifyInstance, { authenticate, sessions }: Pick<AppDeps, 'authenticate' | 'sessions'>): void {
  // Failed authentications are limited by address; valid callers are not.
  const countFailure = v1.createRateLimit({
    max: FAILURES_PER_MINUTE,
    timeWindow: 60_000,
    keyGenerator: (request: FastifyRequest) => `failed ${request.ip}`,
  });
  v1.addHook('onRoute', ({ config, url }) => {
    if (config?.scope === undefined) throw new TypeError(`${url} asks for no scope`);
  });
  const refuse = async (request: FastifyRequest, reply: FastifyReply, problem: unknown): Promise<never> => {
    const count = await countFailure(request);
    if (count.isAllowed || !count.isExceeded) throw problem;
    reply.header('retry-after', String(count.ttlInSeconds));
    throw new Problem('TOO_MANY_REQUESTS');
  };
  const callerOf = async (request: FastifyRequest): Promise<Caller | undefined> => {
    const { authorization } = request.headers;
    // A key goes before a cookie: who sends one means it.
    if (authorization === undefined) return sessions.callerOf(request);
    const { takesCode } = request.routeOptions.config;
    return (await authenticate(authorization)) ?? (takesCode ? sessions.callerByCode(request) : undefined);
  };
  v1.addHook('onRequest', async (request, reply) => {
    const { isSigned } = request.routeOptions.config;
    if (await isSigned?.(request).catch((error: unknown) => refuse(request, reply, error))) return;
    const caller = await callerOf(request).catch((error: unknown) =>
      // It could not be checked: such requests are limited as well.
      refuse(request, reply, error),
    );
    if (!caller) return refuse(request, reply, new Problem('NOT_AUTHENTICATED'));
    const { scope } = request.routeOptions.config;
    if (scope !== undefined && !hasScope(caller, scope))
      throw new Problem('SCOPE_MISSING', `This needs the scope ${scope}.`);
    request.caller = caller;
  });
}

function probes(app: FastifyInstance, { health, metrics, standing }: AppDeps): void {
  const hidden = { schema: { hide: true } };
  app.get('/livez', hidden, async () => ({ live: true }));
  app.get('/readyz', hidden, async (_request, reply) => {
    reply.status(health.ready() ? 200 : 503);
    return { ...health.report(), leader: standing() === 'leading' };
  });
  const metricsText = createMetricsText(metrics);
  app.get('/metrics', hidden, async (_request, reply) => {
    reply.type(metrics.contentType).serializer(String);
    return metricsText();
  });
}

/** Returns what counts an answer to something that could not be routed. */
function countRequests(app: FastifyInstance, { metrics, log }: AppDeps): (status: number) => void {
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
  return (status) => requests.inc({ method: 'unknown', route: 'unknown', status: String(status) });
}

/** Bodies that are taken as they come, whatever their type. */
function rawBodies(app: RestApp): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
}

async function addV1(
  app: RestApp,
  deps: AppDeps,
  options: AppOptions,
  stopping: AbortSignal,
  times: UploadTimes,
): Promise<void> {
  const { artifacts, inventory, questions, intake, idempotency, events, archives, load, log } = deps;
  await app.register(fastifyRateLimit, {
    max: options.rateLimitPerMinute,
    timeWindow: 60_000,
    // After authentication.
    hook: 'preValidation',
    keyGenerator: (request: FastifyRequest) => request.caller?.name ?? request.ip,
  });
  guard(app as unknown as FastifyInstance, deps);
  queueRequests(app as unknown as FastifyInstance, load);
  // What a request of its own is told by its decision; all the rest is told here.
  const { confirmMs } = options;
  const { submit, submitOne } = createSubmitOperation(
    { intake, inventory, idempotency, confirmMs, stopping, log },
    createAudit(log),
  );
  const audit = createSecurityAudit(createAudit(log), deps);
  const { eventLoopTurn } = load;
  const { readerStallMs } = options;
  sessionRoutes(app, deps);
  stationRoutes(app, { inventory, intake, audit, eventLoopTurn });
  firmwareRoutes(app, { inventory, intake, submit, audit, artifacts, eventLoopTurn });
  logRoutes(app, { inventory, intake, submit, audit, archives, eventLoopTurn });
  logArchiveRoutes(app, { copies: deps.copies, archives, audit, eventLoopTurn, stopping, stallMs: readerStallMs });
  controlRoutes(app, { inventory, intake, submit, audit, questions });
  bulkRoutes(app, { ...deps, submitOne, queue: load.asks });
  operationRoutes(app, inventory, eventLoopTurn);
  depotRoutes(app, deps);
  wanRoutes(app, { wan: deps.wan, audit });
  webhookRoutes(app, { ...deps, audit });
  securityLogRoutes(app, { ...deps, eventLoopTurn });
  driverCheckRoutes(app, deps);
  mqttFrameRoutes(app, { inventory, frames: deps.frames, audit });
  artifactRoutes(app, { artifacts, audit, eventLoopTurn, stopping });
  artifactContentRoutes(app, { artifacts, audit, stopping, stallMs: readerStallMs });
  await app.register(async (uploads) => {
    rawBodies(uploads);
    artifactUploadRoutes(uploads, { artifacts, audit, stopping, times });
  });
  const subscribers = new Gauge({
    name: 'khumbu_event_subscribers',
    help: 'Open event streams.',
    registers: [deps.metrics],
  });
  const { mostSubscribers: most, mostSubscribersPerCaller: mostPerCaller, keepAliveMs, subscriberStallMs } = options;
  const quota = createStreamQuota(most, mostPerCaller, (open) => subscribers.set(open));
  const openViews = new Gauge({
    name: 'khumbu_log_views',
    help: 'Live views of logs that are open.',
    registers: [deps.metrics],
  });
  const viewQuota = createStreamQuota(
    options.mostLogViews,
    options.mostLogViewsPerCaller,
    (open) => openViews.set(open),
    LOG_VIEWS,
  );
  logViewRoutes(app, { ...deps, audit, quota: viewQuota, stopping, stallMs: subscriberStallMs });
  eventRoutes(app, { events, eventLoopTurn, stopping, quota, keepAliveMs, stallMs: subscriberStallMs, log });
}

/** Event streams end when the app closes. */
export async function buildApp(deps: AppDeps, options: AppOptions = DEFAULT_APP_OPTIONS): Promise<FastifyInstance> {
  const { requestTimeoutMs, https } = options;
  const { load } = deps;
  let onParserError: (error: { readonly code?: string }, socket: Socket) => void = (_error, socket) => socket.destroy();
  const times = createUploadTimes();
  const app: FastifyInstance = Fastify({
    logger: false,
    bodyLimit: options.bodyLimitBytes,
    trustProxy: false,
    // Ids of stations come from topics, which are long.
    routerOptions: { maxParamLength: 1024 },
    frameworkErrors: (error, request, reply) =>
      void pacedRefusal(request, load).then((isHeard) => isHeard && refuseAddress(error, request, reply)),
    forceCloseConnections: true,
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    },
    // Of HTTPS, nothing else can be read.
    serverFactory: (handle) => createServer(handle, { requestTimeoutMs, https }),
    clientErrorHandler: (error, socket) => {
      if (!times.mayGoOn(error, socket)) onParserError(error, socket);
    },
  });
  acceptJsonOnly(app);
  const stopping = new AbortController();
  // Every event stream listens.
  setMaxListeners(0, stopping.signal);
  app.addHook('preClose', async () => stopping.abort());
  handleErrors(app, load, deps.log);
  const onAnswered = countRequests(app, deps);
  const unreadable = createUnreadable((socket) => connections.answering(socket), onAnswered);
  const connections = watchConnections(app.server, requestTimeoutMs, unreadable.onLate, https !== undefined);
  onParserError = unreadable.onParserError;
  app.server.on('checkExpectation', unreadable.onExpectation);
  app.server.on('connect', unreadable.onConnect);
  app.addHook('onClose', async () => connections.stop());
  await protect(app, https !== undefined);
  paceOpen(app, load);
  requireHost(app);
  tellDeprecations(app);
  addSchemas(app, REST_SCHEMAS);
  await documentRoutes(app);
  probes(app, deps);
  asyncApiRoute(app, options.asyncApi);
  await servePage(app);
  await signInRoutes(app, { ...deps, audit: createSecurityAudit(createAudit(deps.log), deps) });
  await app.register((v1) => addV1(v1.withTypeProvider<TypeBoxTypeProvider>(), deps, options, stopping.signal, times), {
    prefix: '/v1',
  });
  return app;
}
