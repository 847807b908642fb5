/** The REST API over a real Redis, without a process of its own. Every answer is compared with the published document. */

import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { tellSpool } from '@khumbu/artifacts/spool-id';
import type { CertificateVerdict } from '@khumbu/intake/decide-update';
import { createIntake } from '@khumbu/intake/intake';
import type { JudgeCertificate } from '@khumbu/intake/judge-certificate';
import { locations } from '@khumbu/intake/test/fixtures';
import { momentOf, type Now } from '@khumbu/operations/clock/depot-clock';
import { createLookAsker } from '@khumbu/operations/driver-checks/driver-checks';
import { createJobs } from '@khumbu/operations/jobs/jobs';
import { createStore } from '@khumbu/operations/kinds/store';
import { createCopyRecords } from '@khumbu/operations/log-copies/copy-records';
import type { CopyRules } from '@khumbu/operations/log-copies/settings';
import { createLogViews } from '@khumbu/operations/log-views/ask-views';
import { createAppendFact } from '@khumbu/operations/security-log/append-fact';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import type { WanRules } from '@khumbu/operations/wan/settings';
import { createWanStore } from '@khumbu/operations/wan/wan-store';
import { createWebhookStore } from '@khumbu/operations/webhooks/webhook-store';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { createFileHealth } from '@khumbu/shared/runtime/file-health';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { patientRedis, promptRedis } from '@khumbu/shared/runtime/redis';
import { openStationDirectory } from '@khumbu/shared/stations/stations-file';
import { awaitUntil } from '@khumbu/test-support/events';
import type { RedisServer } from '@khumbu/test-support/redis';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import type { FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import type { Test } from 'tap';
import { GatewaySettings } from '../src/config.js';
import { createFrameAsker } from '../src/frames/ask-frames.js';
import { type AppOptions, buildApp, DEFAULT_APP_OPTIONS } from '../src/http/app.js';
import { type ArtifactConfig, openArtifacts } from '../src/http/artifacts/open-artifacts.js';
import { openAuthentication } from '../src/http/authentication.js';
import { openEventLog } from '../src/http/events/event-log.js';
import { createIdempotency } from '../src/http/idempotency.js';
import { createInventory } from '../src/http/inventory.js';
import type { TokenSettings } from '../src/http/json-web-tokens.js';
import { createLoad } from '../src/http/load.js';
import type { LookTimes } from '../src/http/regular-look.js';
import type { Archives } from '../src/http/routes/log-uploads.js';
import { createSessionStore } from '../src/http/sessions/session-store.js';
import { createSessions } from '../src/http/sessions/sessions.js';
import { callerOfIdentity } from '../src/http/sign-in/callers.js';
import { openProvider, type ProviderOptions } from '../src/http/sign-in/provider.js';

/**
 * An answer of Redis that came while this process stood still is late by its clock, though it is there. A limit that no standstill
 * reaches keeps such an order from being refused, and from being answered before it has begun.
 */
const REDIS_MS = 20_000;
const CONFIRM_MS = 30_000;
/** For tests in which Redis is frozen: still more than a standstill. */
export const FROZEN_REDIS_MS = 5000;

export const KEYS = { admin: 'key-admin', operate: 'key-operate', read: 'key-read', other: 'key-other' } as const;
const SCOPES: Record<keyof typeof KEYS, string[]> = {
  admin: ['admin'],
  operate: ['operate'],
  read: ['read'],
  other: ['operate'],
};

export interface RestOptions {
  /** The depot's time; the host's by default. */
  readonly now?: Now;
  readonly redis: RedisServer;
  /** Entries of the stations file; each one was heard. */
  readonly stations?: Record<string, object>;
  /** Heard, and in no file. */
  readonly unconfigured?: readonly string[];
  readonly app?: Partial<AppOptions>;
  readonly tokens?: TokenSettings;
  readonly issuerTimes?: Partial<LookTimes>;
  /** The provider at which people sign in. */
  readonly signIn?: Omit<ProviderOptions, 'reports'>;
  readonly archives?: Archives;
  readonly copies?: CopyRules;
  /** Settings of artefacts; a spool that ota-workers share with it by default. */
  readonly artifacts?: Partial<ArtifactConfig>;
  readonly wan?: Partial<WanRules>;
  readonly certificate?: CertificateVerdict;
  /** How long frames are waited for. */
  readonly framesMs?: number;
  readonly judgeCertificate?: JudgeCertificate;
  /** No worker takes jobs from any queue. */
  readonly abandoned?: boolean;
  /** Share the keys of another one: a second replica. */
  readonly prefix?: string;
  /** How long an answer of Redis is waited for: less where a test keeps it from answering. */
  readonly redisMs?: number;
}

export interface Called {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: Json;
}
// biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at member by member
export type Json = any;

/** `METHOD /template` of every route that was answered with success. */
export const succeeded = new Set<string>();

interface Documented {
  readonly openapi: string;
  readonly paths: Record<
    string,
    Record<
      string,
      { responses: Record<string, { content?: Record<string, object>; headers?: Record<string, object> }> }
    >
  >;
  readonly components: { schemas: Record<string, object> };
}

/** Headers that say something about the API, and so have to be in the document wherever they are sent. */
const TELLING =
  /^(location|retry-after|www-authenticate|idempotency-replayed|x-request-id|x-ratelimit-.*|etag|cache-control)$/;

/** Complains about any answer that the document does not have. */
function createChecker(app: FastifyInstance) {
  const document = app.swagger() as unknown as Documented;
  const ajv = new Ajv({ strict: false });
  addFormats.default(ajv);
  ajv.addSchema({ $id: 'doc', components: document.components });
  const templates = Object.keys(document.paths).map((template) => ({
    template,
    pattern: new RegExp(`^${template.replace(/\{[^}]+\}/g, '[^/]+')}$`),
  }));
  const absolute = (schema: object): object =>
    JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"doc#/components/')) as object;

  return (method: string, path: string, status: number, headers: Record<string, unknown>, body: unknown): void => {
    const { 'content-type': given } = headers;
    const type = typeof given === 'string' ? given : '';
    const template = templates.find(({ pattern }) => pattern.test(path))?.template;
    const operation = template === undefined ? undefined : document.paths[template]?.[method.toLowerCase()];
    if (!operation) return;
    if (status < 400) succeeded.add(`${method} ${template}`);
    const response = operation.responses[String(status)];
    if (!response) throw new Error(`${method} ${template}: ${status} is not documented: ${JSON.stringify(body)}`);
    const described = new Set(Object.keys(response.headers ?? {}).map((name) => name.toLowerCase()));
    for (const name of Object.keys(headers)) {
      if (TELLING.test(name) && !described.has(name))
        throw new Error(`${method} ${template} ${status}: the header ${name} is not documented`);
    }
    const problem = body as { title?: string; detail?: string };
    if (status >= 400 && problem.detail?.includes(problem.title ?? ''))
      throw new Error(`${method} ${template}: detail repeats title`);
    if (!response.content) return;
    const content = response.content[type.split(';')[0] ?? ''] as { schema?: object } | undefined;
    if (!content?.schema) throw new Error(`${method} ${template}: ${status} as ${type} is not documented`);
    const validate = ajv.compile(absolute(content.schema));
    if (!validate(body)) throw new Error(`${method} ${template} ${status}: ${ajv.errorsText(validate.errors)}`);
  };
}

export async function openRest(t: Test, options: RestOptions) {
  const { redis: server, stations = {}, unconfigured = [] } = options;
  const prefix = options.prefix ?? `t${randomUUID().replaceAll('-', '')}`;
  const lines: Record<string, unknown>[] = [];
  const log = createLogger(
    'test',
    'debug',
    new Writable({
      write(chunk, _encoding, done) {
        lines.push(JSON.parse(String(chunk)) as Record<string, unknown>);
        done();
      },
    }),
  );
  // t.testdir() would empty the folder that the test may have for itself.
  const dir = mkdtempSync(join(tmpdir(), 'khumbu-rest-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const stationsFile = join(dir, 'stations.yaml');
  const entries = Object.fromEntries(
    Object.entries(stations).map(([name, entry]) => [
      name,
      { driver: 'simulated', interfaces: { Wired0: 'eth0' }, ...entry },
    ]),
  );
  writeFileSync(stationsFile, JSON.stringify({ stations: entries }));
  const keysFile = join(dir, 'keys.json');
  const keys = Object.entries(KEYS).map(([name, key]) => ({
    name,
    sha256: createHash('sha256').update(key).digest('hex'),
    scopes: SCOPES[name as keyof typeof KEYS],
  }));
  writeFileSync(keysFile, JSON.stringify(keys));

  const reports = createFileHealth(log);
  const authentication = openAuthentication(
    { API_KEYS_FILE: keysFile, ...options.tokens },
    reports,
    options.issuerTimes,
  );
  t.teardown(authentication.close);
  const redisMs = options.redisMs ?? REDIS_MS;
  const prompt = promptRedis(server.url, redisMs, () => undefined);
  const reading = promptRedis(server.url, redisMs, () => undefined);
  const patient = patientRedis(server.url, () => undefined);
  await patient.ping();
  const isReady = (): boolean => prompt.status === 'ready' && reading.status === 'ready';
  await awaitUntil(isReady, 5000, 'the prompt connections');
  const moment = options.now ?? (() => momentOf(Date.now()));
  const store = createStore(patient, prefix, undefined, moment);
  const promptStore = createStore(prompt, prefix, undefined, moment);
  const jobs = createJobs(patient, store.keys, moment);
  const directory = openStationDirectory(stationsFile, reports);
  const intake = createIntake({
    store: promptStore,
    redis: prompt,
    jobs,
    profileOf: (station) => directory.profileOf(station),
    isInConflict: () => false,
    locations,
    judgeCertificate: options.judgeCertificate ?? (async () => options.certificate),
    isAbandoned: () => options.abandoned === true,
    resetReservationMs: 60_000,
    now: moment,
    redeliveryMs: 120_000,
    log,
  });
  const readStore = createStore(reading, prefix);
  const load = createLoad();
  const waiting = patientRedis(server.url, () => undefined);
  const events = await openEventLog(waiting, reading, store.keys, log);
  const rules: WanRules = { timeZone: 'UTC', windows: [], startSpreadS: 0, ...options.wan };
  const looks = createLookAsker({ prompt: reading, patient, keys: store.keys });
  const listening = patientRedis(server.url, () => undefined);
  const views = createLogViews({ redis: reading, subscriber: listening, keys: store.keys });
  const frames = createFrameAsker({
    redis: reading,
    subscriber: patientRedis(server.url, () => undefined),
    keys: store.keys,
    patienceMs: options.framesMs ?? 5000,
  });
  const spoolDir = options.artifacts?.SPOOL_DIR ?? join(dir, 'spool');
  const artifacts = openArtifacts({
    config: { ...loadConfig(GatewaySettings, {}), ...options.artifacts, SPOOL_DIR: spoolDir },
    redis: reading,
    store: readStore,
    now: () => moment().wall,
  });
  if (options.artifacts?.SPOOL_DIR === undefined) await tellSpool(patient, store.keys, spoolDir, moment().wall);
  const inventory = createInventory({
    redis: reading,
    store: readStore,
    directory,
    now: moment,
    eventLoopTurn: load.eventLoopTurn,
  });
  const provider = options.signIn && openProvider({ ...options.signIn, reports });
  t.teardown(() => provider?.close());
  const app = await buildApp(
    {
      provider,
      inventory,
      questions: intake.questionsOver(readStore),
      load,
      intake,
      idempotency: createIdempotency(prompt, store.keys),
      redis: reading,
      keys: store.keys,
      events,
      looks,
      views,
      frames,
      append: createAppendFact(prompt, store.keys),
      wan: {
        rules,
        reading: createWanStore(reading, store.keys, rules, moment),
        writing: createWanStore(prompt, store.keys, rules, moment),
      },
      webhooks: { reading: createWebhookStore(reading, store.keys), writing: createWebhookStore(prompt, store.keys) },
      locations,
      archives: options.archives,
      copies: {
        records: createCopyRecords(reading, store.keys),
        rules: options.copies ?? { days: { DiagnosticsLog: 30, SecurityLog: 365 } },
      },
      artifacts,
      authenticate: authentication.authenticate,
      now: () => moment().wall,
      sessions: createSessions({
        store: createSessionStore({ reading, writing: prompt }, store.keys, {
          sessionS: 3600,
          now: () => moment().wall,
        }),
        callerWithHash: authentication.callerWithHash,
        callerOfIdentity: (identity) => callerOfIdentity(provider, identity),
        isTls: false,
        sessionS: 3600,
      }),
      health: { ready: () => true, report: () => ({ redis: 'ok' }), stop: () => undefined },
      metrics: new Registry(),
      standing: () => 'leading',
      log,
    },
    { ...DEFAULT_APP_OPTIONS, rateLimitPerMinute: 100_000, confirmMs: CONFIRM_MS, ...options.app },
  );
  await app.ready();
  const close = async (): Promise<void> => {
    await app.close();
    events.stop();
    views.close();
    frames.close();
  };
  t.teardown(async () => {
    server.thaw();
    await close();
    intake.close();
    directory.close();
    await jobs.close();
    await looks.close();
    prompt.disconnect();
    reading.disconnect();
    patient.disconnect();
  });

  for (const station of [...Object.keys(stations), ...unconfigured]) {
    await patient.sadd(store.keys.stations, station);
    await patient.hset(store.keys.station(station), STATION_FIELDS.firstSeenAt, String(Date.now()));
  }

  const check = createChecker(app);
  return {
    app,
    prefix,
    store,
    redis: patient,
    artifacts,
    spoolDir,
    intake,
    inventory,
    load,
    events,
    lines,
    files: reports,
    keysFile,
    close,
    /** As EVerest asks, answered and begun. */
    everest: (station: string) => ({ station, origin: 'everest' as const, answerKey: `none-${randomUUID()}` }),
    async call(
      method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
      path: string,
      more: { body?: unknown; key?: string | null; headers?: Record<string, string>; from?: string } = {},
    ): Promise<Called> {
      const { body, key = KEYS.admin, headers = {}, from = '127.0.0.1' } = more;
      const response = await app.inject({
        method,
        url: path,
        remoteAddress: from,
        headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...headers },
        ...(body === undefined ? {} : { payload: body as object }),
      });
      const type = String(response.headers['content-type'] ?? '');
      const value: unknown = type.includes('json') ? response.json() : response.payload;
      check(method, path.split('?', 1)[0] ?? '', response.statusCode, response.headers, value);
      return { status: response.statusCode, headers: response.headers, body: value };
    },
  };
}
export type Rest = Awaited<ReturnType<typeof openRest>>;
