/** The processes of the embedded run as a table: what each one is, its settings, when it is ready, when it stops. */
import { fileURLToPath } from 'node:url';
import type { DataDir } from './data-dir.js';
import { apiKey, gatewayClientId, stationsFile } from './keys-and-stations.js';
import type { ChildSpec } from './managed-child.js';
import type { Ports } from './ports.js';
import { httpReady, redisReady, tcpReady } from './readiness.js';
import { writeMosquittoConfig, writeRedisConfig } from './server-configs.js';
import type { UpSettings } from './settings.js';
import type { Phase } from './supervisor.js';

export type ServiceName = 'gateway' | 'ota-worker' | 'log-worker' | 'system-control' | 'station-simulator';
/** The script of each service: docs/adr/0047-a-program-is-bundled.md. */
export type ServiceScripts = Readonly<Record<ServiceName, string>>;

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export const SERVICE_SCRIPTS: ServiceScripts = {
  gateway: fromRoot('services/gateway/dist/bundle/main.js'),
  'ota-worker': fromRoot('services/ota-worker/dist/bundle/main.js'),
  'log-worker': fromRoot('services/log-worker/dist/bundle/main.js'),
  'system-control': fromRoot('services/system-control/dist/bundle/main.js'),
  'station-simulator': fromRoot('packages/station-simulator/dist/bundle/main.js'),
};

/** What `npm run up` runs when everything is installed, compiled and bundled. */
export const UP_SCRIPT = fromRoot('packages/embedded-run/dist/bundle/main.js');

/**
 * One helping thread instead of four for the garbage collector: on two cores the helpers of all processes keep each other,
 * Redis and the broker from their turn, 30 ms at a time.
 */
const EVERY_SERVICE = ['--v8-pool-size=1'];
/**
 * Half of the space for new objects, in MB: V8 lets it grow to 16 where many connections are busy at once, hardly ever gives it
 * back, and collects the buffers of those connections as seldom. docs/adr/0035-a-small-space-for-new-objects.md.
 */
const REACHES_STATIONS = [...EVERY_SERVICE, '--max-semi-space-size=1'];

/**
 * V8 counts the bytes of long frames as memory of its own. By default it looks twice a second of a flood of them through a
 * heap in which hardly anything has changed, 5 ms each time, while every answer waits. So the heap may grow to three times
 * what was alive at the last look.
 */
const READS_LONG_FRAMES = [...EVERY_SERVICE, '--heap-growing-percent=200'];

/** For Node.js, before the script of a service; systemd units and the image of a container have the same. */
export const SERVICE_FLAGS = {
  gateway: READS_LONG_FRAMES,
  'ota-worker': REACHES_STATIONS,
  'log-worker': EVERY_SERVICE,
  'system-control': REACHES_STATIONS,
} as const satisfies Partial<Record<ServiceName, readonly string[]>>;

/** Lowest rank first, together below 10 s even if every one of them has to be killed. */
const STOPPING = {
  simulator: { stopRank: 0, stopMs: 1200 },
  worker: { stopRank: 1, stopMs: 3000 },
  gateway: { stopRank: 2, stopMs: 2000 },
  s3: { stopRank: 3, stopMs: 1000 },
  mosquitto: { stopRank: 4, stopMs: 800 },
  redis: { stopRank: 5, stopMs: 1000 },
} as const;

const BUCKET = 'khumbu';
/** The only account the embedded object store knows. */
const S3_ACCOUNT = { accessKey: 'S3RVER', secretKey: 'S3RVER', region: 'us-east-1' };

export interface ClusterParts {
  readonly settings: UpSettings;
  /** The user's environment; services get it all, with ours on top. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly ports: Ports;
  readonly dataDir: DataDir;
  readonly programs: { readonly redis: string; readonly mosquitto: string };
  readonly scripts: ServiceScripts;
}

type Entry = Phase['children'][number];
type Stopping = Pick<Entry, 'stopRank' | 'stopMs'>;

function node(
  name: string,
  script: string,
  env: ChildSpec['env'],
  ready: ChildSpec['ready'],
  stopping: Stopping,
  flags: readonly string[] = [],
): Entry {
  const args = [...flags, '--import', new URL('./with-parent.js', import.meta.url).href, script];
  return { name, command: process.execPath, args, env, ready, ipc: true, ...stopping };
}

function servers({ settings, ports, dataDir, programs, env }: ClusterParts): Phase {
  const redisConfig = writeRedisConfig(dataDir, ports.redis);
  const broker = { port: ports.mqtt, gatewayPort: ports.gatewayMqtt, retain: settings.MQTT_RETAIN };
  const mosquittoConfig = writeMosquittoConfig(dataDir, broker);
  const s3Env = { ...env, S3_DIR: dataDir.at('s3'), S3_BUCKET: BUCKET, S3_PORT: String(ports.s3) };
  const program = (name: keyof typeof programs, args: string[], ready: ChildSpec['ready']): Entry => {
    return { name, command: programs[name], args, ready, env, ipc: false, ...STOPPING[name] };
  };
  const children = [
    program('redis', [redisConfig], redisReady(ports.redis)),
    program('mosquitto', ['-c', mosquittoConfig], tcpReady(ports.mqtt)),
    // Listing more than 1000 objects needs a digest that OpenSSL 3 counts as legacy.
    node('s3', here('./s3-server.js'), s3Env, tcpReady(ports.s3), STOPPING.s3, ['--openssl-legacy-provider']),
  ];
  return { what: 'Redis, mosquitto, the object store', children };
}

const gatewayMqtt = ({ ports, dataDir }: ClusterParts) => ({
  MQTT_URL: `mqtt://127.0.0.1:${ports.gatewayMqtt}`,
  MQTT_CLIENT_ID: gatewayClientId(dataDir),
});

/**
 * To start a gateway takes a second or two, on a busy machine many times that, and stations wait for five at most: one
 * that is loaded already takes over as soon as it sees that the first has ended.
 */
function standby(parts: ClusterParts, common: ChildSpec['env']): Phase[] {
  if (!parts.settings.STANDBY_GATEWAY || parts.ports.http.length > 1) return [];
  const env = { ...common, ...gatewayMqtt(parts), HTTP_HOST: '127.0.0.1', HTTP_PORT: '0' };
  const child = node('gateway-standby', parts.scripts.gateway, env, 'says-so', STOPPING.gateway, SERVICE_FLAGS.gateway);
  return [{ what: 'a gateway that stands by', children: [child] }];
}

function services(parts: ClusterParts, common: ChildSpec['env']): Phase {
  const { settings, ports, scripts } = parts;
  const mqtt = gatewayMqtt(parts);
  const gateways = ports.http.map((port, index): Entry => {
    const env = { ...common, ...mqtt, HTTP_HOST: '127.0.0.1', HTTP_PORT: String(port) };
    const ready = httpReady(`http://127.0.0.1:${port}/readyz`);
    return node(`gateway-${index + 1}`, scripts.gateway, env, ready, STOPPING.gateway, SERVICE_FLAGS.gateway);
  });
  const counts = {
    'ota-worker': settings.OTA_WORKERS,
    'log-worker': settings.LOG_WORKERS,
    'system-control': settings.SYSTEM_CONTROLS,
  } as const;
  const names = (Object.keys(counts) as (keyof typeof counts)[]).flatMap((service) =>
    Array.from({ length: counts[service] }, (_, index) => ({ service, name: `${service}-${index + 1}` })),
  );
  const workers = names.map(({ service, name }, index): Entry => {
    const port = ports.health[index];
    const env = { ...common, HEALTH_HOST: '127.0.0.1', HEALTH_PORT: String(port) };
    const ready = httpReady(`http://127.0.0.1:${port}/readyz`);
    return node(name, scripts[service], env, ready, STOPPING.worker, SERVICE_FLAGS[service]);
  });
  return { what: `${gateways.length} gateway and ${workers.length} workers`, children: [...gateways, ...workers] };
}

function simulator({ settings, scripts }: ClusterParts, common: ChildSpec['env']): Phase[] {
  if (settings.SIMULATED_STATIONS === 0) return [];
  const env = { ...common, SIMULATED_STATIONS: String(settings.SIMULATED_STATIONS) };
  const child = node('station-simulator', scripts['station-simulator'], env, 'says-so', STOPPING.simulator);
  return [{ what: `${settings.SIMULATED_STATIONS} simulated stations`, children: [child] }];
}

/** Locations on this machine are allowed; the servers of the run itself are none. */
function ownServers({ ports, env }: ClusterParts): string {
  const own = [ports.redis, ports.mqtt, ports.s3, ...ports.http, ...ports.health].map((port) => `127.0.0.1:${port}`);
  const more = env.FORBIDDEN_LOCATION_HOSTS ?? '';
  return [...own, ...(more === '' ? [] : [more])].join(',');
}

/** What a client needs; the JSON line of `UP_JSON`. */
function endpointsOf({ ports, dataDir }: ClusterParts, key: string) {
  const httpUrls = ports.http.map((port) => `http://127.0.0.1:${port}`);
  return {
    httpUrl: httpUrls[0] ?? '',
    /** Every gateway; the first one is `httpUrl`. */
    httpUrls,
    mqttUrl: `mqtt://127.0.0.1:${ports.mqtt}`,
    redisUrl: `redis://127.0.0.1:${ports.redis}`,
    s3Endpoint: `http://127.0.0.1:${ports.s3}`,
    s3Region: S3_ACCOUNT.region,
    s3AccessKey: S3_ACCOUNT.accessKey,
    s3SecretKey: S3_ACCOUNT.secretKey,
    s3Bucket: BUCKET,
    apiKey: key,
    dataDir: dataDir.path,
  };
}
export type Endpoints = Readonly<ReturnType<typeof endpointsOf>>;

/**
 * Lay out the cluster: writes config files, the key and the stations file; starts nothing. `later` is not waited for: it
 * starts when all else is ready.
 */
export function layOutCluster(parts: ClusterParts) {
  const { dataDir } = parts;
  const { key, hashesFile } = apiKey(dataDir);
  const endpoints = endpointsOf(parts, key);
  const own = {
    MQTT_URL: endpoints.mqttUrl,
    REDIS_URL: endpoints.redisUrl,
    S3_ENDPOINT: endpoints.s3Endpoint,
    S3_REGION: endpoints.s3Region,
    S3_ACCESS_KEY: endpoints.s3AccessKey,
    S3_SECRET_KEY: endpoints.s3SecretKey,
    S3_BUCKET: endpoints.s3Bucket,
    STATIONS_FILE: stationsFile(dataDir),
    SPOOL_DIR: dataDir.at('spool'),
    SIMULATED_STATIONS_DIR: dataDir.at('chargers'),
    API_KEYS_FILE: hashesFile,
    ALLOW_LOOPBACK_LOCATIONS: 'true',
    FORBIDDEN_LOCATION_HOSTS: ownServers(parts),
  };
  // A setting may also be given as a file; for what is set here that would be a second answer to the same question.
  const files = [...Object.keys(own), 'MQTT_CLIENT_ID'].map((name) => [`${name}_FILE`, undefined] as const);
  const common = { ...parts.env, ...Object.fromEntries(files), ...own };
  // At once: services wait for Redis and the broker, and to load them takes longer than those need. Stations come when
  // a gateway hears them, so that they are known when all is ready.
  const together = [servers(parts), services(parts, common)];
  const first = {
    what: together.map(({ what }) => what).join(', '),
    children: together.flatMap(({ children }) => children),
  };
  return { endpoints, phases: [first, ...simulator(parts, common)], later: standby(parts, common) };
}
