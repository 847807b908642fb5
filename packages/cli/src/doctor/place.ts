/** What is looked at, and what its settings are. */
import { join } from 'node:path';
import { UP_SETTINGS, type UpSettings } from '@khumbu/embedded-run/settings';
import { type GatewayConfig, GatewaySettings } from '@khumbu/gateway/config';
import { LogWorkerSettings } from '@khumbu/log-worker/config';
import { type OtaWorkerConfig, OtaWorkerSettings } from '@khumbu/ota-worker/config';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { describeError } from '@khumbu/shared/runtime/errors';
import { SystemControlSettings } from '@khumbu/system-control/config';

export type Environment = Readonly<Record<string, string | undefined>>;

const SERVICES = {
  gateway: GatewaySettings,
  'ota-worker': OtaWorkerSettings,
  'log-worker': LogWorkerSettings,
  'system-control': SystemControlSettings,
} as const;

/**
 * `services`: on this machine, as the environment says. `up`: what `khumbu up` starts. `remote`: a depot of which only a gateway
 * can be asked.
 */
export type PlaceKind = 'services' | 'up' | 'remote';

export interface Place {
  readonly kind: PlaceKind;
  readonly env: Environment;
  /** Of a gateway. */
  readonly url: string;
  readonly key: string | undefined;
  readonly gateway: GatewayConfig | undefined;
  readonly otaWorker: OtaWorkerConfig | undefined;
  readonly up: UpSettings | undefined;
  /** What is wrong with the settings of whom. */
  readonly settingsProblems: readonly { readonly of: string; readonly problem: string }[];
  /** Lines of a file of settings whose names nobody knows. */
  readonly unknownNames: readonly string[];
}

/** Any of these says that services are meant, and not `khumbu up`. */
const OF_SERVICES = ['REDIS_URL', 'MQTT_URL', 'STATIONS_FILE', 'API_KEYS_FILE', 'S3_ENDPOINT'] as const;

export interface PlaceOptions {
  readonly env: Environment;
  /** Names that stand in a file of settings. */
  readonly fileNames: readonly string[];
  /** Of `--url` or a profile. */
  readonly remoteUrl: string | undefined;
  readonly isUp: boolean;
}

function kindOf({ env, fileNames, remoteUrl, isUp }: PlaceOptions): PlaceKind {
  if (remoteUrl !== undefined) return 'remote';
  if (isUp) return 'up';
  const isTold = OF_SERVICES.some((name) => [name, `${name}_FILE`].some((variable) => (env[variable] ?? '') !== ''));
  return isTold || fileNames.length > 0 ? 'services' : 'up';
}

function knownNames(): ReadonlySet<string> {
  const schemas = [...Object.values(SERVICES), UP_SETTINGS];
  return new Set(
    schemas.flatMap(({ properties }) => Object.keys(properties).flatMap((name) => [name, `${name}_FILE`])),
  );
}

/** What `khumbu up` tells its services. */
const envOfUp = (env: Environment, { DATA_DIR, REDIS_PORT, MQTT_PORT, HTTP_PORT }: UpSettings): Environment => ({
  ...env,
  REDIS_URL: `redis://127.0.0.1:${REDIS_PORT}`,
  MQTT_URL: `mqtt://127.0.0.1:${MQTT_PORT}`,
  HTTP_PORT: String(HTTP_PORT),
  HTTP_HOST: '127.0.0.1',
  STATIONS_FILE: join(DATA_DIR, 'stations.yaml'),
  SPOOL_DIR: join(DATA_DIR, 'spool'),
  API_KEYS_FILE: join(DATA_DIR, 'api-keys.json'),
  S3_ENDPOINT: undefined,
});

/** Reads files that settings name (`NAME_FILE`), and asks nobody. */
export function findPlace(options: PlaceOptions): Omit<Place, 'key'> {
  const { fileNames, remoteUrl } = options;
  const kind = kindOf(options);
  const problems: { of: string; problem: string }[] = [];
  const load = <T>(of: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      problems.push({ of, problem: describeError(error) });
      return undefined;
    }
  };
  const up = kind === 'up' ? load('khumbu up', () => loadConfig(UP_SETTINGS, options.env)) : undefined;
  const env = up ? envOfUp(options.env, up) : options.env;
  const isHere = kind !== 'remote';
  const gateway = isHere ? load('gateway', () => loadConfig(GatewaySettings, env)) : undefined;
  const otaWorker = isHere ? load('ota-worker', () => loadConfig(OtaWorkerSettings, env)) : undefined;
  if (isHere) {
    load('log-worker', () => loadConfig(LogWorkerSettings, env));
    load('system-control', () => loadConfig(SystemControlSettings, env));
  }
  const known = knownNames();
  const scheme = gateway?.HTTPS_CERT_FILE === undefined ? 'http' : 'https';
  const host = gateway === undefined || gateway.HTTP_HOST === '0.0.0.0' ? '127.0.0.1' : gateway.HTTP_HOST;
  return {
    kind,
    env,
    url: remoteUrl ?? `${scheme}://${host.includes(':') ? `[${host}]` : host}:${gateway?.HTTP_PORT ?? 8080}`,
    gateway,
    otaWorker,
    up,
    settingsProblems: problems,
    unknownNames: fileNames.filter((name) => !known.has(name)),
  };
}
