/**
 * A whole depot in one folder, made to be broken: two gateways, the workers, Redis, mosquitto and the object store as
 * processes of their own, and a proxy of its own between every process of ours and every server. Stations speak with
 * mosquitto directly.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SERVICE_FLAGS, SERVICE_SCRIPTS } from '@khumbu/embedded-run/cluster';
import { openDataDir } from '@khumbu/embedded-run/data-dir';
import { apiKey } from '@khumbu/embedded-run/keys-and-stations';
import { httpReady, type ReadyCheck, redisReady, tcpReady } from '@khumbu/embedded-run/readiness';
import { writeMosquittoConfig, writeRedisConfig } from '@khumbu/embedded-run/server-configs';
import { freePort } from '@khumbu/shared/runtime/free-port';
import type { SimulatedSettings } from '@khumbu/shared/stations/stations-file';
import type { Charger } from '@khumbu/station-drivers/simulated/charger';
import { chargerFolder, readCharger } from '@khumbu/station-drivers/simulated/charger-state';
import { awaitUntil } from '@khumbu/test-support/events';
import { Redis } from 'ioredis';
import type { Cleanup } from './cleanup.js';
import { createProcess, type DepotProcess } from './process.js';
import { openProxy, type TcpProxy } from './proxy.js';

export type ServerName = 'redis' | 'mosquitto' | 's3';
export type ServiceName =
  | 'gateway-1'
  | 'gateway-2'
  | 'ota-worker-1'
  | 'ota-worker-2'
  | 'log-worker-1'
  | 'log-worker-2'
  | 'system-control-1'
  | 'system-control-2';
export type ProcessName = ServerName | ServiceName;

const ANSWERED_MS = 60_000;
const S3 = { accessKey: 'S3RVER', secretKey: 'S3RVER', region: 'us-east-1', bucket: 'khumbu' } as const;
const S3_SCRIPT = fileURLToPath(import.meta.resolve('@khumbu/embedded-run/s3-server'));
const SERVICES: readonly ServiceName[] = ['gateway-1', 'gateway-2', 'ota-worker-1', 'log-worker-1', 'system-control-1'];

export interface StationSettings {
  readonly dialect?: 'ocpp1.6' | 'ocpp2.x' | 'unknown';
  readonly simulated?: SimulatedSettings;
  readonly [setting: string]: unknown;
}

export interface DepotOptions {
  /** Empty, or of an earlier depot with the same `ports`. */
  readonly dir: string;
  /** Default: two gateways and one of each worker. */
  readonly services?: readonly ServiceName[];
  /** For every process of ours. */
  readonly env?: Readonly<Record<string, string>>;
  /** For one process, servers too; on top of `env`. */
  readonly envOf?: Partial<Readonly<Record<ProcessName, Readonly<Record<string, string>>>>>;
  /** Default: installs and reboots of 300 ms. */
  readonly simulated?: SimulatedSettings;
  readonly stations?: Readonly<Record<string, StationSettings>>;
  /** What becomes of stations that are not among them; default: `simulated`. */
  readonly unknownStations?: 'refuse' | 'simulated';
  /** Lines to add to the config file of Redis or mosquitto. */
  readonly redisConfig?: readonly string[];
  readonly mosquittoConfig?: readonly string[];
  /** `false`: no proxies; processes speak with the servers directly, as they do when they are measured. */
  readonly proxies?: boolean;
}

export interface Depot {
  readonly dir: string;
  /** Where stations connect. */
  readonly mqttUrl: string;
  /** To look into Redis from outside; not through a proxy. */
  readonly redis: Redis;
  readonly redisUrl: string;
  readonly s3: typeof S3 & { readonly endpoint: string };
  readonly httpUrls: readonly string[];
  readonly apiKey: string;
  /** Folders on disk. */
  readonly folders: { readonly spool: string; readonly chargers: string; readonly s3: string; readonly redis: string };
  readonly services: readonly ServiceName[];
  process(name: ProcessName): DepotProcess;
  proxy(service: ServiceName, server: ServerName): TcpProxy;
  /** The gateway that has the lease now, and the other one. Waits until one has it. */
  leader(deadlineMs?: number): Promise<ServiceName>;
  standby(deadlineMs?: number): Promise<ServiceName>;
  /** GET below `/v1` at any gateway that answers, as JSON; asked again while none can. Throws for what is not there. */
  get(path: string): Promise<unknown>;
  /** Any REST request; the first gateway by default. */
  fetch(path: string, init?: RequestInit, gateway?: number): Promise<Response>;
  /** A charger as it stands in its folder; `undefined` before its first use. */
  charger(station: string): Promise<Charger | undefined>;
  /** Everything thawed, mended and ready. */
  heal(): Promise<void>;
  stop(): Promise<void>;
}

function writeStationsFile(
  path: string,
  { simulated, stations = {}, unknownStations = 'simulated' }: DepotOptions,
): void {
  const defaults = {
    driver: 'simulated',
    interfaces: { Wired0: 'eth0', Wireless0: 'wwan0' },
    // What waits for a date is broken into while EVerest knows of it.
    ready_status: 'at-once',
    simulated: { install_ms: 300, reboot_ms: 300, ...simulated },
  };
  // JSON is YAML.
  writeFileSync(path, JSON.stringify({ unknown_stations: unknownStations, defaults, stations }, undefined, 2));
}

const kindOf = (name: ServiceName): keyof typeof SERVICE_FLAGS =>
  name.replace(/-\d+$/, '') as keyof typeof SERVICE_FLAGS;

/** Build it and wait until every process serves; `cleanup` stops it. */
export async function startDepot(cleanup: Cleanup, options: DepotOptions): Promise<Depot> {
  const dir = options.dir;
  const data = await openDataDir(dir);
  const at = (...parts: string[]): string => join(dir, ...parts);
  const names = options.services ?? SERVICES;
  const { key, hashesFile } = apiKey(data);
  const stationsFile = at('stations.yaml');
  writeStationsFile(stationsFile, options);

  const ports = { redis: await freePort(), mosquitto: await freePort(), s3: await freePort() };
  const broker = { port: ports.mosquitto, gatewayPort: await freePort() };
  // The test runner gives every child options of its own.
  const base = { ...process.env, NODE_OPTIONS: '' };
  const processes = new Map<ProcessName, DepotProcess>();
  const add = (name: ProcessName, command: string, args: string[], env: object, ready: ReadyCheck): void => {
    const whole = { ...base, ...env, ...options.envOf?.[name] };
    processes.set(name, createProcess({ name, command, args, env: whole, ready }));
  };
  const redisConfig = writeRedisConfig(data, ports.redis, options.redisConfig);
  const mosquittoConfig = writeMosquittoConfig(data, broker, options.mosquittoConfig);
  add('redis', 'redis-server', [redisConfig], {}, redisReady(ports.redis));
  add('mosquitto', 'mosquitto', ['-c', mosquittoConfig], {}, tcpReady(ports.mosquitto));
  const s3Env = { S3_DIR: at('s3'), S3_BUCKET: S3.bucket, S3_PORT: String(ports.s3) };
  add('s3', process.execPath, ['--openssl-legacy-provider', S3_SCRIPT], s3Env, tcpReady(ports.s3));

  const proxies = new Map<string, TcpProxy>();
  const httpUrls: string[] = [];
  for (const name of names) {
    for (const server of ['redis', 'mosquitto', 's3'] as const) {
      if (options.proxies !== false) proxies.set(`${name} ${server}`, await openProxy(ports[server]));
    }
    const line = (server: ServerName): number => proxies.get(`${name} ${server}`)?.port ?? ports[server];
    const port = await freePort();
    const isGateway = name.startsWith('gateway');
    if (isGateway) httpUrls.push(`http://127.0.0.1:${port}`);
    const env = {
      REDIS_URL: `redis://127.0.0.1:${line('redis')}`,
      MQTT_URL: `mqtt://127.0.0.1:${line('mosquitto')}`,
      S3_ENDPOINT: `http://127.0.0.1:${line('s3')}`,
      S3_REGION: S3.region,
      S3_ACCESS_KEY: S3.accessKey,
      S3_SECRET_KEY: S3.secretKey,
      S3_BUCKET: S3.bucket,
      STATIONS_FILE: stationsFile,
      SPOOL_DIR: at('spool'),
      SIMULATED_STATIONS_DIR: at('chargers'),
      API_KEYS_FILE: hashesFile,
      ALLOW_LOOPBACK_LOCATIONS: 'true',
      // Experiments look often.
      RATE_LIMIT_PER_MINUTE: '1000000',
      ...(isGateway
        ? { HTTP_HOST: '127.0.0.1', HTTP_PORT: String(port) }
        : { HEALTH_HOST: '127.0.0.1', HEALTH_PORT: String(port) }),
      ...options.env,
    };
    const ready = httpReady(`http://127.0.0.1:${port}/readyz`);
    const kind = kindOf(name);
    add(name, process.execPath, [...SERVICE_FLAGS[kind], SERVICE_SCRIPTS[kind]], env, ready);
  }

  const processOf = (name: ProcessName): DepotProcess => {
    const found = processes.get(name);
    if (!found) throw new Error(`${name} does not run here`);
    return found;
  };
  let redis: Redis | undefined;
  async function stop(): Promise<void> {
    redis?.disconnect();
    await Promise.all(names.map((name) => processOf(name).stop('SIGKILL')));
    await Promise.all((['redis', 'mosquitto', 's3'] as const).map((name) => processOf(name).stop('SIGKILL')));
    await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
  }
  cleanup.teardown(stop);
  await Promise.all((['redis', 'mosquitto', 's3'] as const).map((name) => processOf(name).start()));
  await Promise.all(names.map((name) => processOf(name).start()));
  redis = new Redis({ host: '127.0.0.1', port: ports.redis });
  // A Redis that is being broken is not news here.
  redis.on('error', () => {});
  const looking = redis;

  const gateways = names.filter((name) => name.startsWith('gateway'));
  const isLeader = async (index: number): Promise<boolean> => {
    try {
      const signal = AbortSignal.timeout(5000);
      const text = await (await fetch(`${httpUrls[index]}/metrics`, { signal })).text();
      return /^khumbu_leader(?:\{.*\})? 1$/m.test(text);
    } catch {
      return false;
    }
  };
  async function leader(deadlineMs = 15_000): Promise<ServiceName> {
    const find = async (): Promise<ServiceName | undefined> => {
      for (const [index, name] of gateways.entries()) if (await isLeader(index)) return name;
      return undefined;
    };
    return awaitUntil(find, deadlineMs, 'a gateway to lead');
  }
  const ask = (path: string, init: RequestInit = {}, gateway = 0): Promise<Response> => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${key}`);
    return fetch(`${httpUrls[gateway]}${path}`, { ...init, headers });
  };

  return {
    dir,
    mqttUrl: `mqtt://127.0.0.1:${ports.mosquitto}`,
    redis: looking,
    redisUrl: `redis://127.0.0.1:${ports.redis}`,
    s3: { ...S3, endpoint: `http://127.0.0.1:${ports.s3}` },
    httpUrls,
    apiKey: key,
    folders: { spool: at('spool'), chargers: at('chargers'), s3: at('s3'), redis: at('redis') },
    services: names,
    process: processOf,
    proxy(service, server) {
      const proxy = proxies.get(`${service} ${server}`);
      if (!proxy) throw new Error(`${service} does not run here, or has no proxies`);
      return proxy;
    },
    leader,
    async standby(deadlineMs) {
      const leads = await leader(deadlineMs);
      const other = gateways.find((name) => name !== leads);
      if (!other) throw new Error('there is one gateway only');
      return other;
    },
    async get(path) {
      let reasons: string[] = [];
      const answered = async (): Promise<{ body: unknown } | undefined> => {
        reasons = [];
        for (const index of gateways.keys()) {
          try {
            const response = await ask(`/v1${path}`, { signal: AbortSignal.timeout(5000) }, index);
            const text = await response.text();
            if (response.status === 200) return { body: JSON.parse(text) };
            reasons.push(`${response.status} ${text}`);
          } catch (error) {
            reasons.push(String(error));
          }
        }
        if (reasons.some((reason) => /^4\d\d /.test(reason))) throw new Error(`GET ${path}: ${reasons.join('; ')}`);
        return undefined;
      };
      // After a kill, or on a busy machine, a gateway answers 503.
      return (await awaitUntil(answered, ANSWERED_MS, () => `GET ${path}: ${reasons.join('; ')}`)).body;
    },
    fetch: ask,
    charger: async (station) => (await readCharger(chargerFolder(at('chargers'), station)))?.charger,
    async heal() {
      for (const one of processes.values()) one.thaw();
      await Promise.all([...proxies.values()].map((proxy) => proxy.mend()));
      for (const one of processes.values()) await one.awaitReady();
    },
    stop,
  };
}
