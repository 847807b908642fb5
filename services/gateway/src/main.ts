/** The gateway: MQTT bridge and REST API in front of the depot. */

import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { watchCrls } from '@khumbu/firmware-trust/crl-watch';
import { createJudges } from '@khumbu/firmware-trust/judges';
import { openTrustStore, policyOf } from '@khumbu/firmware-trust/roots';
import { createBoots } from '@khumbu/intake/boots';
import { createIntake } from '@khumbu/intake/intake';
import { createJudgeCertificate } from '@khumbu/intake/judge-certificate';
import { openDepotClock } from '@khumbu/operations/clock/depot-clock';
import { tellFiles } from '@khumbu/operations/files/told-files';
import { createJobs } from '@khumbu/operations/jobs/jobs';
import { watchWorkers } from '@khumbu/operations/jobs/worker-beats';
import { auditEnded } from '@khumbu/operations/kinds/audit';
import { createStore } from '@khumbu/operations/kinds/store';
import { createReconciler } from '@khumbu/operations/reconciler/reconciler';
import { keysFor } from '@khumbu/operations/records/keys';
import { subscribeNotifications } from '@khumbu/operations/records/notifications';
import { trimEnded } from '@khumbu/operations/records/retention';
import { createSecretSweep } from '@khumbu/operations/records/sweep-secrets';
import { compileContract } from '@khumbu/shared/contract/codec';
import { topicPrefix } from '@khumbu/shared/contract/topics';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { locationRules } from '@khumbu/shared/locations/settings';
import { followAuthorities } from '@khumbu/shared/runtime/certificate-bundle';
import { watchClock } from '@khumbu/shared/runtime/clock-watch';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { countFiles, createFileHealth } from '@khumbu/shared/runtime/file-health';
import { whyPortIsTaken } from '@khumbu/shared/runtime/free-port';
import { startHealth } from '@khumbu/shared/runtime/health';
import { runService } from '@khumbu/shared/runtime/lifecycle';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { patientRedis, promptRedis } from '@khumbu/shared/runtime/redis';
import { openStationDirectory } from '@khumbu/shared/stations/stations-file';
import { type GatewayConfig, GatewaySettings } from './config.js';
import { openAuthentication } from './http/authentication.js';
import { openHttpsCertificate } from './http/https-certificate.js';
import { runLeader } from './leader/leader.js';
import { createLease } from './leader/lease.js';
import { countCrls, createGatewayMetrics } from './metrics.js';
import { createMarks } from './mqtt/inbound/redelivered.js';
import { createRegistry } from './mqtt/liveness/registry.js';
import { openMqttService } from './mqtt/mqtt-service.js';
import { createReplyCache } from './mqtt/outbound/reply-cache.js';
import { createRateLimitedLog } from './rate-limited-log.js';
import { describeNotServed, nameSome, withoutDriver } from './served-stations.js';

/** A Redis that takes longer than this for one command counts as not there. */
const COMMAND_TIMEOUT_MS = 400;
/** Whoever only reads over REST may wait for longer than a station. */
const READ_TIMEOUT_MS = 1000;

/** How long a gateway waits for the keys of the issuer of tokens before it leads without them. */
const ISSUER_PATIENCE_MS = 1000;

/** Rejects with `PORT_TAKEN`. */
async function assertPortIsFree({ HTTP_HOST, HTTP_PORT }: GatewayConfig): Promise<void> {
  const reason = HTTP_PORT === 0 ? undefined : await whyPortIsTaken(HTTP_PORT, HTTP_HOST);
  if (reason === undefined) return;
  throw new CodedError('PORT_TAKEN', `HTTP_PORT ${HTTP_PORT} of ${HTTP_HOST} cannot be listened on (${reason})`);
}

/**
 * V8 counts the bytes of long frames as memory of its own. By default it looks twice a second of a flood of them through a
 * heap in which hardly anything has changed, 5 ms each time, while every answer waits. So the heap may grow to three times
 * what was alive at the last look.
 */
setFlagsFromString('--heap-growing-percent=200');

runService(
  () => createLogger('gateway', process.env.LOG_LEVEL ?? 'info'),
  async (life, log) => {
    const config = loadConfig(GatewaySettings, process.env);
    const prefix = topicPrefix(config.MQTT_TOPIC_PREFIX);
    // What is wrong with the settings of REST is told before this gateway leads.
    await assertPortIsFree(config);
    compileContract();
    const fileHealth = createFileHealth(log);
    const certificate = openHttpsCertificate(config, fileHealth);
    const authentication = openAuthentication(config, fileHealth);
    life.onStop('API keys', () => authentication.close());
    const knowsIssuer = authentication.begin();
    // It is waited for below, before anybody is served over HTTP.
    knowsIssuer.catch(() => undefined);
    const onRedisError = (error: Error): void => log.debug({ err: error }, 'Redis connection');

    const prompt = promptRedis(config.REDIS_URL, COMMAND_TIMEOUT_MS, onRedisError);
    const reading = promptRedis(config.REDIS_URL, READ_TIMEOUT_MS, onRedisError);
    const patient = patientRedis(config.REDIS_URL, onRedisError);
    const forNotifications = patientRedis(config.REDIS_URL, onRedisError);
    life.onStop('Redis', () => {
      prompt.disconnect();
      reading.disconnect();
      patient.disconnect();
    });
    const clock = await openDepotClock(patient, keysFor(config.KEY_PREFIX).clock, log);
    life.onStop('clock', () => clock.stop());
    const { now } = clock;
    // What the intake builds on fails fast; everything behind it waits for Redis.
    const promptStore = createStore(prompt, config.KEY_PREFIX, auditEnded(log), now);
    const store = createStore(patient, config.KEY_PREFIX, auditEnded(log), now);
    life.onStop(
      'clock watch',
      watchClock((byMs) => log.warn({ byMs }, 'the clock of this host has jumped')),
    );
    const jobs = createJobs(patient, store.keys, now);
    life.onStop('queues', () => jobs.close());
    const notifications = await subscribeNotifications(forNotifications, store.keys);
    life.onStop('hints', () => notifications.close());

    const brokerCa = followAuthorities('MQTT_CA_FILE', config.MQTT_CA_FILE, fileHealth);
    life.onStop('authorities', () => brokerCa?.close());
    let driverless: readonly string[] = [];
    const lookForDrivers = (): void => {
      driverless = withoutDriver(directory);
      if (driverless.length > 0)
        log.warn({ stations: nameSome(driverless) }, 'listed without a driver: nothing is done with these stations');
    };
    const directory = openStationDirectory(config.STATIONS_FILE, fileHealth, lookForDrivers);
    life.onStop('stations file', () => directory.close());
    lookForDrivers();
    const files = { rootsFile: config.MANUFACTURER_ROOTS_FILE, crlFile: config.FIRMWARE_CRL_FILE };
    const trust = openTrustStore(files, fileHealth, () => crls?.look());
    life.onStop('trust files', () => trust.close());
    const wallNow = (): Date => new Date(now().wall);
    const policy = policyOf(config, log);
    const crls = watchCrls({ crls: () => trust.current().crls, strength: policy.strength, now: wallNow, log });
    life.onStop('CRLs', () => crls.stop());
    const judges = createJudges({ material: () => trust.current(), policy, log });
    life.onStop('judges of certificates', () => judges.close());

    const sweepSecrets = createSecretSweep(patient, store, log);
    const lease = createLease(prompt, store.keys.lease, log);
    const registry = createRegistry(
      patient,
      store,
      {
        isConfigured: (station) => directory.isConfigured(station),
        maxUnconfigured: config.MAX_UNKNOWN_STATIONS,
        messagesPerS: config.STATION_MESSAGES_PER_S,
        standing: lease.standing,
      },
      clock,
      log,
    );
    const metrics = createGatewayMetrics();
    countFiles(fileHealth, metrics.registry);
    countCrls(crls, metrics.registry);
    const workers = watchWorkers({
      redis: prompt,
      keys: store.keys,
      graceS: config.WORKERS_GONE_AFTER_S,
      onChange: (queue, abandoned) => {
        metrics.abandoned.labels(queue).set(abandoned ? 1 : 0);
        if (abandoned) log.error({ queue }, 'nobody works on this queue: what needs it is refused');
        else log.info({ queue }, 'this queue is worked on again');
      },
    });
    life.onStop('worker watch', () => workers.stop());
    const intake = createIntake({
      store: promptStore,
      redis: prompt,
      jobs,
      profileOf: (station) => directory.profileOf(station),
      isInConflict: (station) => registry.isDuplicated(station),
      locations: createLocationPolicy(locationRules(config)),
      judgeCertificate: createJudgeCertificate({
        judges,
        now: wallNow,
        log: createRateLimitedLog(log),
        onJudged: (outcome) => metrics.certificates.labels(outcome).inc(),
      }),
      isAbandoned: workers.isAbandoned,
      resetReservationMs: config.RESET_RESERVATION_S * 1000,
      now,
      redeliveryMs: config.MQTT_SESSION_EXPIRY_S * 1000,
      log,
    });
    life.onStop('intake', () => intake.close());

    const servingKey = `${store.keys.lease}:serving`;
    let redisOkAt = 0;
    const health = startHealth(
      {
        redis: async () => {
          await prompt.ping();
          redisOkAt = performance.now();
        },
        leader: async () => {
          if ((await prompt.get(servingKey)) === null)
            throw new Error('no gateway is connected to the broker as leader');
        },
      },
      {
        files: fileHealth.summary,
        stations: () =>
          describeNotServed({
            duplicates: lease.standing() === 'leading' ? registry.duplicates() : [],
            withoutDriver: driverless,
          }),
      },
    );
    life.onStop('health', () => health.stop());

    // Registered here: it is closed after the leader has given back what it holds.
    let http: { readonly close: () => Promise<void> } | undefined;
    life.onStop('HTTP server', () => http?.close());

    const telling = tellFiles({
      redis: patient,
      keys: store.keys,
      service: 'gateway',
      files: fileHealth,
      onError: (error) => log.debug({ err: error }, 'the state of files was not told'),
    });
    life.onStop('state of files', () => telling.stop());

    // Who must not serve REST does not lead; an issuer that does not answer keeps nobody from leading.
    await Promise.race([knowsIssuer, pause(ISSUER_PATIENCE_MS)]);
    const stopping = new AbortController();
    const replyCache = createReplyCache(intake.persistDefaultReplies, stopping.signal, log);
    const leader = runLeader(
      {
        lease,
        openMqttService: (backlogMs) => {
          // It has just told how old the backlog is: the first check need not wait for a round of probes.
          redisOkAt = performance.now();
          return openMqttService({
            backlogMs,
            mqtt: {
              url: config.MQTT_URL,
              clientId: config.MQTT_CLIENT_ID ?? `khumbu-${config.KEY_PREFIX}`,
              sessionExpiryS: config.MQTT_SESSION_EXPIRY_S,
              keepAliveS: 5,
              connectTimeoutMs: 2000,
              standing: lease.standing,
              ...(config.MQTT_USERNAME === undefined ? {} : { username: config.MQTT_USERNAME }),
              ...(config.MQTT_PASSWORD === undefined ? {} : { password: config.MQTT_PASSWORD }),
              ...(brokerCa === undefined ? {} : { ca: brokerCa.current() }),
            },
            depot: config.KEY_PREFIX,
            prefix,
            intake,
            registry,
            boots: createBoots({
              store,
              jobs,
              directory,
              now,
              log: createRateLimitedLog(log),
            }),
            store,
            notifications,
            marks: createMarks(patient, store.keys),
            replyCache,
            now,
            canStore: () => intake.isSettled() && performance.now() - redisOkAt < 3000,
            metrics,
            messagesPerS: config.STATION_MESSAGES_PER_S,
            log,
          });
        },
        reconciler: createReconciler({ store, jobs, directory, now, log }),
        reconcileEveryMs: config.RECONCILE_INTERVAL_MS,
        trim: async () => {
          const rules = { perStation: config.KEEP_OPERATIONS_PER_STATION, days: config.KEEP_OPERATIONS_DAYS };
          await trimEnded(patient, store.keys, rules, now().wall);
          await sweepSecrets(now().wall);
        },
        redis: prompt,
        servingKey,
        servedKey: `${store.keys.lease}:served`,
        sessionExpiryMs: config.MQTT_SESSION_EXPIRY_S * 1000,
        log,
        onLeader: (leads) => {
          metrics.leader.set(leads ? 1 : 0);
          if (!leads) metrics.duplicates.set(0);
        },
      },
      stopping.signal,
    );
    life.onStop('leader', async () => {
      stopping.abort();
      await leader.done;
    });

    // Stations wait for a check, and give up after a few seconds; REST takes longer to load than all the rest.
    await leader.begun;
    const { openHttp } = await import('./http/open-http.js');
    await knowsIssuer;
    http = await openHttp({
      config,
      store: promptStore,
      redis: prompt,
      reading,
      waiting: patientRedis(config.REDIS_URL, onRedisError),
      directory,
      now,
      intake,
      authenticate: authentication.authenticate,
      health,
      certificate,
      metrics: metrics.registry,
      standing: lease.standing,
      log,
    });
    life.ready();
    void judges.warmUp();
  },
);
