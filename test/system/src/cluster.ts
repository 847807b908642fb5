/** The real cluster, as `npm run up` starts it, with ways to look at it from outside and to kill parts of it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Endpoints, UP_SCRIPT } from '@khumbu/embedded-run/cluster';
import type { DriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { SimulatedSettings } from '@khumbu/shared/stations/stations-file';
import type { Charger } from '@khumbu/station-drivers/simulated/charger';
import { chargerFolder, readCharger } from '@khumbu/station-drivers/simulated/charger-state';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import type { Test } from 'tap';

const START_MS = 60_000;
const RESTART_MS = 15_000;
const STOP_MS = 15_000;
const ANSWER_MS = 60_000;

export type ProcessName =
  | 'redis'
  | 'mosquitto'
  | 's3'
  | 'gateway-1'
  | 'gateway-standby'
  | 'ota-worker-1'
  | 'log-worker-1'
  | 'system-control-1';

/** What a test says of a station: an entry of the stations file. */
export interface StationSettings {
  readonly dialect?: 'ocpp1.6' | 'ocpp2.x' | 'unknown';
  readonly ready_lead_s?: number;
  readonly settle_ms?: number;
  readonly certificate?: 'chain' | 'any';
  readonly driver?: DriverEntry;
  readonly evse_security?: { readonly module_id: string; readonly answer_within_s?: number };
  readonly simulated?: SimulatedSettings;
}

export interface ClusterOptions {
  readonly dataDir: string;
  /** Environment on top of what every cluster here gets. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long an install and a reboot take; default 300 ms each. */
  readonly simulated?: SimulatedSettings;
  readonly stations?: Readonly<Record<string, StationSettings>>;
}

export interface Cluster {
  readonly endpoints: Endpoints;
  readonly dataDir: string;
  /** Folder of the simulated chargers. */
  readonly chargers: string;
  /** The process of that name that runs now. Throws if there is none. */
  pidOf(name: ProcessName): number;
  /** SIGKILL to one process; resolves when another one has taken its place. */
  kill(name: ProcessName): Promise<void>;
  /** SIGKILL to the supervisor of it all. */
  crash(): Promise<void>;
  /** How often a process of that name has become ready. */
  readyCount(name: ProcessName): number;
  /** SIGTERM; resolves with the exit code. Safe to repeat. */
  stop(): Promise<number | null>;
  /** The charger of a station as it stands in its folder, once it was used. */
  charger(station: string): Promise<Charger>;
  /** What the run has said so far. */
  said(): string;
  /** GET below `/v1`, as JSON; asked again while the gateway cannot serve. Throws for anything else but 200. */
  get(path: string): Promise<unknown>;
}

const ENV = {
  UP_JSON: '1',
  HTTP_PORT: '0',
  MQTT_PORT: '0',
  REDIS_PORT: '0',
  S3_PORT: '0',
  SIMULATED_STATIONS: '0',
  // What is tested here is what becomes of the one that was killed.
  STANDBY_GATEWAY: 'false',
  // One that no process renews for a moment on a busy machine must not make a job run twice.
  JOB_LOCK_MS: '6000',
  WORKERS_GONE_AFTER_S: '600',
  // Tests look often.
  RATE_LIMIT_PER_MINUTE: '1000000',
};

function writeStationsFile({ dataDir, simulated, stations = {} }: ClusterOptions): void {
  const defaults = {
    driver: 'simulated',
    interfaces: { Wired0: 'eth0', Wireless0: 'wwan0' },
    simulated: { install_ms: 300, reboot_ms: 300, ...simulated },
  };
  mkdirSync(dataDir, { recursive: true });
  // JSON is YAML.
  writeFileSync(
    join(dataDir, 'stations.yaml'),
    JSON.stringify({ unknown_stations: 'simulated', defaults, stations }, undefined, 2),
  );
}

/** The line of JSON, or what the run said instead. */
async function readLine(run: Child): Promise<Endpoints> {
  const line = await awaitUntil(
    () => (run.exit() ? 'ended' : run.stdout().includes('\n') && run.stdout()),
    START_MS,
    'the cluster to be ready',
  );
  if (line === 'ended') throw new Error(`the cluster did not start: ${run.output()}`);
  return JSON.parse(line) as Endpoints;
}

/** The run alone, on the data folder as it is. */
export function startUp({ dataDir, env: more }: Pick<ClusterOptions, 'dataDir' | 'env'>): Promise<Child> {
  const env = { ...process.env, ...ENV, ...more, DATA_DIR: dataDir };
  // The test runner gives every child options of its own, which the compiler does not bear.
  // Without its preparations, which `npm test` has made: they take seconds, and there are dozens of starts.
  return startChild('env', ['-u', 'NODE_OPTIONS', process.execPath, UP_SCRIPT], { env });
}

/** Start a cluster; it is stopped with the test. */
export async function startCluster(t: Test, options: ClusterOptions): Promise<Cluster> {
  const { dataDir } = options;
  writeStationsFile(options);
  const run = await startUp(options);
  const stop = async (): Promise<number | null> => {
    try {
      return (await run.end('SIGTERM', STOP_MS)).code;
    } catch (error) {
      throw new Error(`the cluster did not stop; it said: ${run.output().slice(-2000)}`, { cause: error });
    }
  };
  t.teardown(stop);
  const endpoints = await readLine(run);
  const chargers = join(dataDir, 'chargers');

  const pidOf = (name: ProcessName): number => {
    const { pid } = JSON.parse(readFileSync(join(dataDir, 'run', `${name}.pid`), 'utf8')) as { pid: number };
    return pid;
  };
  const isOther = (name: ProcessName, before: number): boolean => {
    try {
      return pidOf(name) !== before;
    } catch {
      // Between two processes there is no file, or half of one.
      return false;
    }
  };

  return {
    endpoints,
    dataDir,
    chargers,
    pidOf,
    readyCount: (name) => readFileSync(join(dataDir, 'log', `${name}.log`), 'utf8').split('"msg":"ready"').length - 1,
    async kill(name) {
      const pid = pidOf(name);
      process.kill(pid, 'SIGKILL');
      await awaitUntil(() => isOther(name, pid), RESTART_MS, `${name} to be started again`);
    },
    async crash() {
      await run.end('SIGKILL');
    },
    stop,
    said: () => run.output(),
    async charger(station) {
      const folder = chargerFolder(chargers, station);
      return (await awaitUntil(() => readCharger(folder), RESTART_MS, `${station} to be used`)).charger;
    },
    async get(path) {
      const headers = { authorization: `Bearer ${endpoints.apiKey}` };
      const ask = async (): Promise<Response | undefined> => {
        const response = await fetch(`${endpoints.httpUrl}/v1${path}`, {
          headers,
          signal: AbortSignal.timeout(ANSWER_MS),
        }).catch(() => undefined);
        return response?.status === 503 ? undefined : response;
      };
      const response = await awaitUntil(ask, ANSWER_MS, `GET ${path} to be served`);
      if (response.status !== 200) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
      return response.json();
    },
  };
}
