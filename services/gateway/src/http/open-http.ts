/** The REST API of a gateway from its settings: what it is made of, and the server that listens. */
import type { Server } from 'node:https';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { createLookAsker } from '@khumbu/operations/driver-checks/driver-checks';
import { createStore } from '@khumbu/operations/kinds/store';
import { createCopyRecords } from '@khumbu/operations/log-copies/copy-records';
import { copyRules } from '@khumbu/operations/log-copies/settings';
import { createLogViews } from '@khumbu/operations/log-views/ask-views';
import { LOOK_AHEAD_MS } from '@khumbu/operations/records/index-keeper';
import { createAppendFact } from '@khumbu/operations/security-log/append-fact';
import { wanRules } from '@khumbu/operations/wan/settings';
import { createWanStore } from '@khumbu/operations/wan/wan-store';
import { createWebhookStore } from '@khumbu/operations/webhooks/webhook-store';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { locationRules } from '@khumbu/shared/locations/settings';
import { resolveWithin } from '@khumbu/shared/runtime/abort';
import type { OpenStationDirectory } from '@khumbu/shared/stations/stations-file';
import type { GatewayConfig } from '../config.js';
import { createFrameAsker } from '../frames/ask-frames.js';
import type { Connections } from '../start/connections.js';
import { type AppDeps, buildApp, DEFAULT_APP_OPTIONS } from './app.js';
import { openArtifacts } from './artifacts/open-artifacts.js';
import { openEventLog } from './events/event-log.js';
import type { HttpsCertificate } from './https-certificate.js';
import { createIdempotency } from './idempotency.js';
import { createInventory } from './inventory.js';
import { createLoad } from './load.js';
import type { Archives } from './routes/log-uploads.js';
import { createSessionStore } from './sessions/session-store.js';
import { createSessions, type SessionDeps } from './sessions/sessions.js';
import { callerOfIdentity } from './sign-in/callers.js';
import type { ProviderOptions } from './sign-in/provider.js';

/** HTTP is served this long after the start at the latest, however much there is to look at. */
const WARM_UP_MS = 3000;

type Passed = 'intake' | 'authenticate' | 'health' | 'metrics' | 'standing' | 'log';

export interface HttpParts extends Pick<AppDeps, Passed> {
  readonly config: GatewayConfig;
  readonly connections: Connections;
  readonly directory: OpenStationDirectory;
  readonly callerWithHash: SessionDeps['callerWithHash'];
  /** Of the provider at which people sign in; `undefined`: keys alone. */
  readonly signIn: Omit<ProviderOptions, 'times'> | undefined;
  /** `undefined`: plain HTTP. Closed with the rest. */
  readonly certificate: HttpsCertificate | undefined;
}

function openArchives(config: GatewayConfig): Archives | undefined {
  if (config.S3_ENDPOINT === undefined) return undefined;
  const objects = createObjectStore(config, { stallMs: 3000 });
  const publicObjects =
    config.S3_PUBLIC_ENDPOINT === undefined
      ? objects
      : createObjectStore({ ...config, S3_ENDPOINT: config.S3_PUBLIC_ENDPOINT });
  return { bucket: config.S3_BUCKET, objects, publicObjects, urlSeconds: config.ARCHIVE_URL_S };
}

/** Resolves when it listens; `url` says where. */
export async function openHttp(parts: HttpParts): Promise<{ url: string; close: () => Promise<void> }> {
  const { config, directory, certificate, log } = parts;
  const { prompt, promptStore, reading, patient, anotherPatient, clock } = parts.connections;
  const { now } = clock;
  const wallNow = (): number => now().wall;
  const { keys } = promptStore;
  // However much is read, no station waits for it.
  const store = createStore(reading, config.KEY_PREFIX, undefined, now);
  const load = createLoad();
  const { eventLoopTurn } = load;
  const looks = createLookAsker({ prompt: reading, patient, keys });
  const views = createLogViews({ redis: reading, subscriber: anotherPatient(), keys });
  const frames = createFrameAsker({ redis: reading, subscriber: anotherPatient(), keys });
  const rules = wanRules(config);
  const events = await openEventLog(anotherPatient(), reading, keys, log);
  const inventory = createInventory({ redis: reading, store, directory, now, eventLoopTurn });
  // Who asks first, right behind the start, is not to wait for all there is.
  const warming = inventory.warmUp().catch((error: unknown) => log.debug({ err: error }, 'lists are not warm yet'));
  // Its library is loaded where it is needed.
  const provider = parts.signIn && (await import('./sign-in/provider.js')).openProvider(parts.signIn);
  void provider?.lookOnce();
  const app = await buildApp(
    {
      ...parts,
      provider,
      now: wallNow,
      sessions: createSessions({
        store: createSessionStore({ reading, writing: prompt }, keys, { sessionS: config.SESSION_S, now: wallNow }),
        callerWithHash: parts.callerWithHash,
        callerOfIdentity: (identity) => callerOfIdentity(provider, identity),
        isTls: certificate !== undefined,
        sessionS: config.SESSION_S,
      }),
      redis: reading,
      keys,
      inventory,
      questions: parts.intake.questionsOver(store),
      load,
      idempotency: createIdempotency(prompt, keys),
      events,
      looks,
      views,
      frames,
      append: createAppendFact(prompt, keys),
      wan: {
        rules,
        reading: createWanStore(reading, keys, rules, now),
        writing: createWanStore(prompt, keys, rules, now),
      },
      webhooks: { reading: createWebhookStore(reading, keys), writing: createWebhookStore(prompt, keys) },
      locations: createLocationPolicy(locationRules(config)),
      archives: openArchives(config),
      copies: { records: createCopyRecords(reading, keys), rules: copyRules(config) },
      artifacts: openArtifacts({ config, redis: reading, store, now: wallNow }),
    },
    {
      ...DEFAULT_APP_OPTIONS,
      bodyLimitBytes: config.HTTP_BODY_LIMIT_BYTES,
      rateLimitPerMinute: config.RATE_LIMIT_PER_MINUTE,
      mostSubscribers: config.MAX_EVENT_SUBSCRIBERS,
      mostSubscribersPerCaller: config.MAX_EVENT_STREAMS_PER_CALLER,
      mostLogViews: config.MAX_LOG_VIEWS,
      mostLogViewsPerCaller: config.MAX_LOG_VIEWS_PER_CALLER,
      requestTimeoutMs: config.HTTP_REQUEST_TIMEOUT_S * 1000,
      ...(certificate ? { https: certificate.current() } : {}),
      asyncApi: { topicPrefix: config.MQTT_TOPIC_PREFIX, brokerHost: new URL(config.MQTT_URL).host },
    },
  );
  await resolveWithin(warming, WARM_UP_MS, undefined);
  const url = await app.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT });
  const lookingAhead = setInterval(() => {
    inventory.lookAhead().catch((error: unknown) => log.debug({ err: error }, 'the index was not looked at'));
  }, LOOK_AHEAD_MS).unref();
  const server = app.server as unknown as Server;
  certificate?.onRenewal((pair) => {
    server.setSecureContext(pair);
    log.info('a renewed certificate is used for new connections');
  });
  return {
    url,
    async close() {
      clearInterval(lookingAhead);
      certificate?.close();
      provider?.close();
      await app.close();
      events.stop();
      views.close();
      frames.close();
      await looks.close();
    },
  };
}
