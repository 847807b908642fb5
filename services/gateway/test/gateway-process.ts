/** The gateway as a process, on a Redis and a broker of the test. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { askUntilServed } from '@khumbu/test-support/ask-until-served';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import type { Test } from 'tap';

const MAIN = fileURLToPath(new URL('../bundle/main.js', import.meta.url));
export const API_KEY = 'a-key-for-tests';

export interface Depot {
  readonly redisUrl: string;
  readonly mqttUrl: string;
  /** First part of its Redis keys and of its topics: no other gateway hears this depot. */
  readonly name: string;
  readonly dir: string;
  readonly topicPrefix: string;
}

export async function depot(
  test: Test,
  servers: { redisUrl: string; mqttUrl: string },
  stations: object = { unknown_stations: 'simulated' },
  below = '',
): Promise<Depot> {
  const dir = await mkdtemp(join(tmpdir(), 'khumbu-gateway-'));
  test.teardown(() => rm(dir, { recursive: true, force: true }));
  const name = `d${randomBytes(4).toString('hex')}`;
  await writeFile(join(dir, 'stations.yaml'), JSON.stringify(stations));
  const sha256 = createHash('sha256').update(API_KEY).digest('hex');
  await writeFile(join(dir, 'keys.json'), JSON.stringify([{ name: 'test', sha256, scopes: ['read', 'operate'] }]));
  return { ...servers, name, dir, topicPrefix: `${name}/${below}` };
}

export interface Gateway {
  readonly child: Child;
  readonly url: string;
  ready(): Promise<{ status: number; body: Record<string, unknown> }>;
  /** Anew where it is too busy to read, below `/v1/`. */
  get(path: string, key?: string): Promise<{ status: number; type: string | null; body: Record<string, unknown> }>;
}

/** Start one; resolves when its HTTP side answers, not when it leads. */
export async function startGateway(test: Test, place: Depot, env: Record<string, string> = {}): Promise<Gateway> {
  const port = await freePort();
  const child = await startChild(process.execPath, [MAIN], {
    env: {
      PATH: process.env.PATH,
      REDIS_URL: place.redisUrl,
      MQTT_URL: place.mqttUrl,
      MQTT_TOPIC_PREFIX: place.topicPrefix,
      KEY_PREFIX: place.name,
      STATIONS_FILE: join(place.dir, 'stations.yaml'),
      API_KEYS_FILE: join(place.dir, 'keys.json'),
      HTTP_PORT: String(port),
      LOG_LEVEL: 'debug',
      // Here are no workers: after a quarter of a minute all would be refused, which a busy machine takes for a few starts.
      WORKERS_GONE_AFTER_S: '3600',
      ...env,
    },
  });
  test.teardown(async () => {
    if (!test.passing()) test.comment(child.output().slice(-4000));
    await child.end('SIGKILL');
  });
  const url = `http://127.0.0.1:${port}`;
  const get: Gateway['get'] = async (path, key) => {
    const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
    const ask = (): Promise<Response> => fetch(`${url}${path}`, { headers });
    const response = await (path.startsWith('/v1/') ? askUntilServed(ask, 20_000, path) : ask());
    const text = await response.text();
    const type = response.headers.get('content-type');
    const body = type?.includes('json') ? (JSON.parse(text) as Record<string, unknown>) : {};
    return { status: response.status, type, body };
  };
  await awaitUntil(
    () => {
      if (child.exit()) throw new Error(`the gateway ended: ${child.output()}`);
      return get('/livez').then(
        ({ status }) => status === 200,
        () => false,
      );
    },
    60_000,
    'the gateway to answer over HTTP',
  );
  return { child, url, get, ready: () => get('/readyz') };
}

/** What it says of itself, once it is ready. */
export const onceReady = (gateway: Gateway): ReturnType<Gateway['ready']> =>
  awaitUntil(
    async () => {
      const answer = await gateway.ready();
      return answer.status === 200 && answer;
    },
    60_000,
    'the gateway to be ready',
  );

/**
 * Which of two leads, once exactly one of them does. A gateway that stands still for as long as its lease is no longer the one that
 * has led before.
 */
export const rolesOf = (one: Gateway, other: Gateway): Promise<{ leader: Gateway; standby: Gateway }> =>
  awaitUntil(
    async () => {
      const [first, second] = await Promise.all([one, other].map(async (each) => (await each.ready()).body.leader));
      if (first === second) return undefined;
      return first === true ? { leader: one, standby: other } : { leader: other, standby: one };
    },
    60_000,
    'one of two gateways to lead',
  );

/** Wait until this one speaks with EVerest. */
export const leads = (gateway: Gateway): Promise<true> =>
  awaitUntil(
    async () => {
      const { status, body } = await gateway.ready();
      return status === 200 && body.leader === true;
    },
    60_000,
    'the gateway to lead',
  ) as Promise<true>;
