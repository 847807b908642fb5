/** The gateway: MQTT and REST in front of the depot. */
import { tellFiles } from '@khumbu/operations/files/told-files';
import { sweepRegularly } from '@khumbu/operations/jobs/sweeps';
import { followPolicies } from '@khumbu/operations/security-log/told-policy';
import { compileContract } from '@khumbu/shared/contract/codec';
import { topicPrefix } from '@khumbu/shared/contract/topics';
import { LOCATION_SETTINGS } from '@khumbu/shared/locations/settings';
import { sleep } from '@khumbu/shared/runtime/abort';
import { followAuthorities } from '@khumbu/shared/runtime/certificate-bundle';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { countFiles, createFileHealth } from '@khumbu/shared/runtime/file-health';
import { whyPortIsTaken } from '@khumbu/shared/runtime/free-port';
import { startHealth } from '@khumbu/shared/runtime/health';
import { runService } from '@khumbu/shared/runtime/lifecycle';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { type GatewayConfig, GatewaySettings } from './config.js';
import { openAuthentication } from './http/authentication.js';
import { openHttpsCertificate } from './http/https-certificate.js';
import { openSignIn } from './http/sign-in/open-sign-in.js';
import { createLease } from './leader/lease.js';
import { countCrls, createGatewayMetrics } from './metrics.js';
import { createRegistry } from './mqtt/liveness/registry.js';
import { openCertificates } from './start/certificates.js';
import { openConnections } from './start/connections.js';
import { openIntake } from './start/intake.js';
import { startLeader } from './start/leader.js';
import { describeNotServed, openStations } from './start/stations.js';

/** How long a gateway waits for the keys of the issuer of tokens before it leads without them. */
const ISSUER_PATIENCE_MS = 1000;
/** How often what killed uploads have left is looked for. */
const SWEEP_MS = 3600_000;

/** Rejects with `PORT_TAKEN`. */
async function assertPortIsFree({ HTTP_HOST, HTTP_PORT }: GatewayConfig): Promise<void> {
  const reason = HTTP_PORT === 0 ? undefined : await whyPortIsTaken(HTTP_PORT, HTTP_HOST);
  if (reason === undefined) return;
  throw new CodedError('PORT_TAKEN', `HTTP_PORT ${HTTP_PORT} of ${HTTP_HOST} cannot be listened on (${reason})`);
}

runService(
  () => createLogger('gateway', process.env.LOG_LEVEL ?? 'info'),
  async (life, log) => {
    const config = loadConfig(GatewaySettings, process.env);
    const prefix = topicPrefix(config.MQTT_TOPIC_PREFIX);
    // Wrong settings of REST are reported before this gateway leads.
    await assertPortIsFree(config);
    compileContract();
    const fileHealth = createFileHealth(log);
    const certificate = openHttpsCertificate(config, fileHealth);
    const authentication = openAuthentication(config, fileHealth);
    life.onStop('API keys', () => authentication.close());
    const signIn = openSignIn(config, fileHealth);
    life.onStop('sign-in', () => signIn?.close());
    const knowsIssuer = authentication.begin();
    // It is waited for below, before HTTP is served.
    knowsIssuer.catch(() => undefined);

    const connections = await openConnections(config, life, log);
    const { prompt, patient, store, clock } = connections;
    const { now } = clock;
    const policies = followPolicies({ redis: patient, keys: store.keys, service: 'gateway', now, log });
    life.onStop('policies', () => policies.stop());
    fileHealth.followContents((setting, content) => void policies.tell(setting, content));
    policies.tellSettings(LOCATION_SETTINGS, config);
    const brokerCa = followAuthorities('MQTT_CA_FILE', config.MQTT_CA_FILE, fileHealth);
    life.onStop('authorities', () => brokerCa?.close());
    const { directory, driverless } = openStations(config, fileHealth, life, log);
    const certificates = openCertificates(config, fileHealth, now, life, log);
    const lease = createLease(prompt, store.keys.lease, log);
    const { standing } = lease;
    const rules = {
      isConfigured: (station: string): boolean => directory.isConfigured(station),
      maxUnconfigured: config.MAX_UNKNOWN_STATIONS,
      messagesPerS: config.STATION_MESSAGES_PER_S,
      standing,
    };
    const registry = createRegistry(patient, store, rules, clock, log);
    const metrics = createGatewayMetrics();
    countFiles(fileHealth, metrics.registry);
    countCrls(certificates.crls, metrics.registry);
    const intake = openIntake(config, { connections, directory, registry, certificates, metrics }, life, log);

    const servingKey = `${store.keys.lease}:serving`;
    let redisAnsweredAt = Number.NEGATIVE_INFINITY;
    const probes = {
      redis: async (): Promise<void> => {
        await prompt.ping();
        redisAnsweredAt = performance.now();
      },
      leader: async (): Promise<void> => {
        if ((await prompt.get(servingKey)) === null) throw new Error('no gateway is connected to the broker as leader');
      },
    };
    const health = startHealth(probes, {
      files: fileHealth.summary,
      stations: () => describeNotServed(standing() === 'leading' ? registry.duplicates() : [], driverless()),
    });
    life.onStop('health', () => health.stop());
    // Registered here: it is closed after the leader has given back what it holds.
    let http: { readonly close: () => Promise<void> } | undefined;
    life.onStop('HTTP server', () => http?.close());
    const telling = tellFiles(patient, store.keys, 'gateway', fileHealth, (error) =>
      log.debug({ err: error }, 'the state of files was not told'),
    );
    life.onStop('state of files', () => telling.stop());

    // A gateway that must not serve REST does not lead; an issuer that does not answer keeps none from leading.
    await Promise.race([knowsIssuer, sleep(ISSUER_PATIENCE_MS)]);
    const parts = { prefix, connections, lease, intake, registry, directory, brokerCa, metrics, servingKey };
    const leader = startLeader(config, { ...parts, redisAnsweredAt: () => redisAnsweredAt }, life, log);

    // Stations wait for a check, and give up after a few seconds; REST takes longer to load than all the rest.
    await leader.begun;
    const { openHttp } = await import('./http/open-http.js');
    await knowsIssuer;
    http = await openHttp({
      config,
      connections,
      directory,
      intake,
      authenticate: authentication.authenticate,
      callerWithHash: authentication.callerWithHash,
      signIn,
      health,
      certificate,
      metrics: metrics.registry,
      standing,
      log,
    });
    life.ready();
    const { sweepIncoming } = await import('@khumbu/artifacts/take-in');
    // Its spool may be its own: no ota-worker would come by.
    const uploadSweep = {
      run: () => sweepIncoming(config.SPOOL_DIR, Date.now()),
      counts: 'removed',
      done: 'leftovers of uploads removed from the spool',
      failed: 'leftovers of uploads were not looked for',
    };
    void sweepRegularly(life, log, SWEEP_MS, [uploadSweep]);
    void certificates.judges.warmUp();
  },
);
