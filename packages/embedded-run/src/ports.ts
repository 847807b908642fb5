/** Which port each server of the embedded run gets. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { freePort, whyPortIsTaken } from '@khumbu/shared/runtime/free-port';
import type { UpSettings } from './settings.js';

type PortVariable = 'HTTP_PORT' | 'MQTT_PORT' | 'REDIS_PORT' | 'S3_PORT';

type Claim = (variable: PortVariable, wanted: number) => Promise<number>;

/** Gives each port once. Rejects with `PORT_TAKEN`, which says what to do, or `CONFIG_INVALID`. */
function claims(): Claim {
  const given = new Set<number>();
  return async (variable, wanted) => {
    let port = wanted;
    while (port === 0 || (wanted === 0 && given.has(port))) port = await freePort();
    if (given.has(port)) {
      throw new CodedError('CONFIG_INVALID', `port ${port} (${variable}) is wanted by two servers of this run`);
    }
    given.add(port);
    const reason = await whyPortIsTaken(port);
    if (reason === undefined) return port;
    const why = reason === 'EADDRINUSE' ? 'is in use by another program' : `cannot be used (${reason})`;
    throw new CodedError(
      'PORT_TAKEN',
      `port ${port} (${variable}) ${why}: stop that program or choose another port, such as ${variable}=0 for any free one`,
    );
  };
}

/** Find a port for every server. Nothing holds them yet. Rejects with `PORT_TAKEN` or `CONFIG_INVALID`. */
export async function claimPorts(settings: UpSettings) {
  const claim = claims();
  const redis = await claim('REDIS_PORT', settings.REDIS_PORT);
  const mqtt = await claim('MQTT_PORT', settings.MQTT_PORT);
  const s3 = await claim('S3_PORT', settings.S3_PORT);
  const http: number[] = [];
  for (let i = 0; i < settings.GATEWAYS; i += 1) {
    http.push(await claim('HTTP_PORT', settings.HTTP_PORT === 0 ? 0 : settings.HTTP_PORT + i));
  }
  const health: number[] = [];
  const workers = settings.OTA_WORKERS + settings.LOG_WORKERS + settings.SYSTEM_CONTROLS;
  while (health.length < workers) health.push(await claim('HTTP_PORT', 0));
  const gatewayMqtt = await claim('MQTT_PORT', 0);
  return {
    redis,
    mqtt,
    /** Of the broker, for gateways alone. */
    gatewayMqtt,
    s3,
    /** One for each gateway. */
    http,
    /** One for the health server of each worker. */
    health,
  };
}
export type Ports = Readonly<Awaited<ReturnType<typeof claimPorts>>>;
