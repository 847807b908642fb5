/**
 * Simulated stations as a process, against any broker. As a child process it sends `{ready: true}` when every station
 * has been up once, and ends when its parent is gone.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { chargersIn } from './charger-watch.js';
import { SimulatorConfig, stationNames } from './config.js';
import { createFleet } from './fleet.js';

const STOP_MS = 800;

const config = loadConfig(SimulatorConfig, process.env);
const logger = createLogger('station-simulator', config.LOG_LEVEL);
const life = new AbortController();
setMaxListeners(0, life.signal);

const watch = (dataDir: string) =>
  chargersIn(dataDir, life.signal, (err, station) => logger.error({ err, station }, 'its charger cannot be watched'));

const fleet = createFleet({
  mqttUrl: config.MQTT_URL,
  ...(config.MQTT_USERNAME === undefined ? {} : { username: config.MQTT_USERNAME }),
  ...(config.MQTT_PASSWORD === undefined ? {} : { password: config.MQTT_PASSWORD }),
  topicPrefix: config.MQTT_TOPIC_PREFIX,
  stations: stationNames(config),
  ...(config.MODULE_ID === undefined ? {} : { moduleId: config.MODULE_ID }),
  dialect: config.DIALECT,
  heartbeatMs: config.HEARTBEAT_MS,
  communicationCheckS: config.COMMUNICATION_CHECK_S,
  requestReplyTimeoutS: config.REQUEST_REPLY_TIMEOUT_S,
  exposeOcppConsumer: config.EXPOSE_OCPP_CONSUMER,
  ...(config.EXPOSE_EVSE_SECURITY ? { certificates: () => ({ CSMS: 'Accepted', V2G: 'Accepted' }) } : {}),
  unknownIds: 'adopt',
  ...(config.SIMULATED_STATIONS_DIR === undefined ? {} : { watch: watch(config.SIMULATED_STATIONS_DIR) }),
  logger,
});

async function stop(why: string): Promise<void> {
  // A second signal does not wait.
  if (life.signal.aborted) process.exit(1);
  logger.info({ why }, 'stopping');
  life.abort();
  await Promise.race([fleet.stop(), delay(STOP_MS)]);
  process.exit(0);
}

for (const why of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.on(why, () => void stop(why));

try {
  await fleet.start(life.signal);
  logger.info({ stations: fleet.stations.length }, 'all stations run');
  process.send?.({ ready: true });
} catch (error) {
  if (!life.signal.aborted) throw error;
}
