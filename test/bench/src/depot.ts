/** The cluster that `npm run up` starts, with a stations file of ours, as what is measured. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';
import { type Endpoints, UP_SCRIPT } from '@khumbu/embedded-run/cluster';
import type { SimulatedSettings } from '@khumbu/shared/stations/stations-file';
import { askUntilServed } from '@khumbu/test-support/ask-until-served';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const START_MS = 120_000;
const STOP_MS = 20_000;
const ENV = {
  UP_JSON: '1',
  HTTP_PORT: '0',
  MQTT_PORT: '0',
  REDIS_PORT: '0',
  S3_PORT: '0',
  STANDBY_GATEWAY: 'false',
  NODE_OPTIONS: '',
};

export interface DepotOptions {
  readonly dataDir: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Of every station. */
  readonly simulated?: SimulatedSettings;
  /** By `npm run up` itself. */
  readonly byNpm?: boolean;
}

export interface Depot {
  readonly endpoints: Endpoints;
  /** Folder of the images and the parts of downloads. */
  readonly spool: string;
  /** The stations that have entries of their own, in place of those before; taken by the services while they run. */
  configure(stations: Readonly<Record<string, object>>): void;
  /** From the command to its JSON line. */
  readonly readySeconds: number;
  /** Every process of the run, the one that keeps the others included, by name. */
  pids(): ReadonlyMap<string, number>;
  pidOf(name: string): number;
  /** A JSON body to the REST API. Throws for anything but a success. */
  post(path: string, body: object): Promise<unknown>;
  /** Throws for anything but a success. */
  get(path: string): Promise<unknown>;
  /** Safe to repeat. */
  stop(): Promise<void>;
}

/** Everything quiet by default: no simulated stations of its own, one process of each kind. */
export async function startDepot(cleanup: Cleanup, options: DepotOptions): Promise<Depot> {
  const { dataDir, simulated = {} } = options;
  mkdirSync(dataDir, { recursive: true });
  const configure = (stations: Readonly<Record<string, object>>): void => {
    // The dialect of the simulator.
    const defaults = { driver: 'simulated', dialect: 'ocpp2.x', simulated };
    // JSON is YAML.
    const text = JSON.stringify({ unknown_stations: 'simulated', defaults, stations });
    // A process that reads it meanwhile finds one of them whole.
    writeFileSync(join(dataDir, 'stations.yaml.next'), text);
    renameSync(join(dataDir, 'stations.yaml.next'), join(dataDir, 'stations.yaml'));
  };
  configure({});
  const env = { ...process.env, SIMULATED_STATIONS: '0', ...ENV, ...options.env, DATA_DIR: dataDir };
  const pids = (): ReadonlyMap<string, number> => {
    const folder = join(dataDir, 'run');
    const files = (existsSync(folder) ? readdirSync(folder) : []).filter((name) => name.endsWith('.pid'));
    return new Map(
      files.map((name) => {
        const { pid } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { pid: number };
        return [name.slice(0, -'.pid'.length), pid] as const;
      }),
    );
  };
  const startedAt = performance.now();
  // `--silent`: nothing but the line of JSON on stdout.
  const command = options.byNpm ? ['npm', 'run', 'up', '--silent'] : [process.execPath, UP_SCRIPT];
  // The test runner gives every child options of its own, which the compiler does not bear.
  const run = await startChild('env', ['-u', 'NODE_OPTIONS', ...command], { env, cwd: ROOT });
  const stop = async (): Promise<void> => {
    const running = [...pids().values()];
    await run.end('SIGTERM', STOP_MS);
    // npm does not wait for what it has started.
    const isGone = (): boolean => running.every((pid) => !existsSync(`/proc/${pid}`));
    await awaitUntil(isGone, STOP_MS, 'the processes of the cluster to end');
  };
  cleanup.teardown(stop);
  const line = await awaitUntil(
    () => (run.exit() ? 'ended' : run.stdout().includes('\n') && run.stdout()),
    START_MS,
    'the cluster to be ready',
  );
  const readySeconds = (performance.now() - startedAt) / 1000;
  if (line === 'ended') throw new Error(`the cluster did not start: ${run.output()}`);
  const endpoints = JSON.parse(line) as Endpoints;
  const ask = async (method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> => {
    const send = () =>
      fetch(`${endpoints.httpUrl}/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${endpoints.apiKey}`,
          ...(body ? { 'content-type': 'application/json' } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    const response = await askUntilServed(send, START_MS, `${method} ${path}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as unknown;
  };

  return {
    endpoints,
    spool: join(dataDir, 'spool'),
    configure,
    readySeconds,
    pids,
    pidOf(name) {
      const pid = pids().get(name);
      if (pid === undefined) throw new Error(`there is no ${name}`);
      return pid;
    },
    post: (path, body) => ask('POST', path, body),
    get: (path) => ask('GET', path),
    stop,
  };
}
