/** The depot's broker with its own files from `infra/`: secrets made by its scripts, stations added by its scripts. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { answersOn, freePort } from '@khumbu/shared/runtime/free-port';
import { collector } from '@khumbu/test-support/events';
import { type ServerProgram, startServer } from '@khumbu/test-support/server';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import type { Test } from 'tap';

const run = promisify(execFile);
export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
/** A second client of the gateway's rights, which the gateway does not notice. */
const SPOKESMAN = 'spokesman';

export interface DepotSecrets {
  /** Where they are. */
  readonly folder: string;
  readonly read: (name: string) => string;
  /** Run a script of `infra/` on them. */
  readonly script: (name: string, ...args: string[]) => Promise<{ stdout: string }>;
  /** The password of a user of the broker. */
  readonly passwordOf: (user: string) => string;
}

/** Secrets below `dir`, as `make-secrets.sh` makes them. */
export async function makeSecrets(dir: string): Promise<DepotSecrets> {
  const folder = `${dir}/secrets`;
  const script = (name: string, ...args: string[]) =>
    run(`${ROOT}/infra/${name}`, args, {
      env: { ...process.env, KHUMBU_SECRETS: folder, KHUMBU_CONFIG: `${dir}/config` },
    });
  const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8').trim();
  await script('make-secrets.sh', 'depot.example');
  return {
    folder,
    read,
    script,
    passwordOf: (user) => read(user === 'khumbu-gateway' ? 'mqtt-password' : `stations/${user}/password`),
  };
}

export interface DepotBroker extends ServerProgram {
  /** Where stations come. */
  readonly url: string;
  /** Where gateways come. */
  readonly gatewayUrl: string;
  /** The listener of `conf.d`, if there is one. */
  readonly extraPort: number;
  /** What a gateway needs to connect. */
  readonly gatewayEnv: Readonly<Record<string, string>>;
  /** Connect as a user; the client id is the name unless the options say otherwise. */
  enter(username: string, options?: IClientOptions, url?: string): Promise<MqttClient>;
  /** A client that may publish and subscribe as the gateway may. */
  spokesman(): Promise<MqttClient>;
}

export interface DepotBrokerOptions {
  readonly dir: string;
  readonly secrets: DepotSecrets;
  /** A folder of `infra/mosquitto` that stands for `conf.d`, and its file that stands for the ACL. */
  readonly confD?: string;
  readonly acl?: string;
  /** More replacements in the files. */
  readonly replaced?: Readonly<Record<string, string>>;
}

/** Everything a client receives, as `topic text`. */
export async function ears(client: MqttClient, ...filters: string[]) {
  const heard = collector<string>();
  client.on('message', (topic, payload) => heard.push(`${topic} ${payload.toString()}`));
  await client.subscribeAsync(filters, { qos: 1 });
  return heard;
}

/** Start it; only places and ports are another's, and one user more. It ends with the test. */
export async function startDepotBroker(test: Test, options: DepotBrokerOptions): Promise<DepotBroker> {
  const { dir, secrets } = options;
  const home = `${dir}/depot`;
  await mkdir(`${home}/data`, { recursive: true });
  await cp(`${ROOT}/infra/mosquitto/${options.confD ?? 'conf.d'}`, `${home}/conf.d`, { recursive: true });
  const [gatewayPort, extraPort, extraGatewayPort] = [await freePort(), await freePort(), await freePort()];
  const ports = options.confD === undefined ? [gatewayPort] : [gatewayPort, extraPort, extraGatewayPort];
  const places = (text: string, port: number): string =>
    Object.entries({
      ...options.replaced,
      '/mosquitto/config/': `${home}/`,
      '/mosquitto/secrets/': `${secrets.folder}/mosquitto/`,
      '/mosquitto/data/': `${home}/data/`,
      'listener 8883\n': `listener ${port} 127.0.0.1\n`,
      'listener 8884\n': `listener ${gatewayPort} 127.0.0.1\n`,
      'listener 8885\n': `listener ${extraGatewayPort} 127.0.0.1\n`,
      'listener 1883\n': `listener ${extraPort} 127.0.0.1\n`,
    }).reduce((said, [from, to]) => said.replaceAll(from, to), text);
  const user = process.getuid?.() === 0 ? 'user root\n' : '';
  const from = `${ROOT}/infra/mosquitto`;
  const acl = await readFile(`${from}/${options.acl ?? 'acl'}`, 'utf8');
  const rights = /^user khumbu-gateway\n((?:topic .*\n)+)/m.exec(acl)?.[1] ?? '';
  await writeFile(`${home}/acl`, `${acl}\nuser ${SPOKESMAN}\n${rights}`);
  await writeFile(`${home}/spokesman`, `${SPOKESMAN}:${SPOKESMAN}\n`);
  await run('mosquitto_passwd', ['-U', `${home}/spokesman`]);
  const passwords = `${secrets.folder}/mosquitto/passwords`;
  await writeFile(
    `${passwords}.more`,
    (await readFile(passwords, 'utf8')) + (await readFile(`${home}/spokesman`, 'utf8')),
  );
  await rename(`${passwords}.more`, passwords);
  const server = await startServer({
    command: 'mosquitto',
    args: () => ['-c', `${home}/mosquitto.conf`],
    prepare: async (port) => {
      await writeFile(`${home}/mosquitto.conf`, user + places(await readFile(`${from}/mosquitto.conf`, 'utf8'), port));
      if (options.confD === undefined) return;
      const conf = await readFile(`${from}/${options.confD}/${options.confD}.conf`, 'utf8');
      await writeFile(`${home}/conf.d/${options.confD}.conf`, places(conf, port));
    },
    // Its listeners open one after the other, and gateways come by one of their own.
    answers: async (port) => (await Promise.all([port, ...ports].map((each) => answersOn(each)))).every(Boolean),
  });
  test.teardown(() => server.stop());

  const url = `mqtts://127.0.0.1:${server.port}`;
  const gatewayUrl = `mqtts://127.0.0.1:${options.confD === undefined ? gatewayPort : extraGatewayPort}`;
  const ca = readFileSync(`${secrets.folder}/ca.crt`);
  const connect = async (username: string, password: string, more: IClientOptions, to: string): Promise<MqttClient> => {
    const settings = { protocolVersion: 5, clientId: username, username, password, ca, reconnectPeriod: 0 } as const;
    const client = await connectAsync(to, { ...settings, connectTimeout: 10_000, ...more }, false);
    // A broker that throws a client out is what some tests wait for.
    client.on('error', () => {});
    // Not awaited: mqtt.js does not say when one that was thrown out has ended.
    test.teardown(() => void client.end(true));
    return client;
  };
  return Object.assign(server, {
    url,
    gatewayUrl,
    extraPort,
    gatewayEnv: {
      MQTT_URL: gatewayUrl,
      MQTT_USERNAME: 'khumbu-gateway',
      MQTT_PASSWORD_FILE: `${secrets.folder}/mqtt-password`,
      MQTT_CA_FILE: `${secrets.folder}/ca.crt`,
    },
    enter: async (username: string, more: IClientOptions = {}, to = url) =>
      connect(username, typeof more.password === 'string' ? more.password : secrets.passwordOf(username), more, to),
    spokesman: () => connect(SPOKESMAN, SPOKESMAN, {}, gatewayUrl),
  });
}
