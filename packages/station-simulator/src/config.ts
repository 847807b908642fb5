/** The simulator's settings. */
import { COMMON_SETTINGS } from '@khumbu/shared/runtime/config';
import { type Static, Type } from 'typebox';

export const SimulatorConfig = Type.Object({
  MQTT_URL: Type.String({ default: 'mqtt://127.0.0.1:1883', description: 'Broker; it must speak MQTT 5.' }),
  MQTT_USERNAME: Type.Optional(Type.String({ description: 'User name at the broker.' })),
  MQTT_PASSWORD: Type.Optional(Type.String({ description: 'Password at the broker.' })),
  MQTT_TOPIC_PREFIX: Type.String({
    default: '',
    description: 'In front of every topic; {station} stands for the station, as in depot/{station}/.',
  }),
  SIMULATED_STATIONS: Type.Integer({ default: 3, minimum: 1, maximum: 10_000, description: 'How many stations.' }),
  STATION_NAMES: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'Names of the stations, separated by commas; default charger_1, charger_2, ...',
    }),
  ),
  MODULE_ID: Type.Optional(
    Type.String({ minLength: 1, description: 'One module id for all stations; default: the name of each.' }),
  ),
  DIALECT: Type.Enum(['ocpp1.6', 'ocpp2.x'], { default: 'ocpp2.x', description: 'OCPP version of the stations.' }),
  HEARTBEAT_MS: Type.Integer({ default: 1000, description: 'Milliseconds between heartbeats; 0 for none.' }),
  COMMUNICATION_CHECK_S: Type.Integer({ default: 5, description: 'Tolerated silence in seconds; 0 for any.' }),
  REQUEST_REPLY_TIMEOUT_S: Type.Integer({ default: 30, minimum: 1, maximum: 550, description: 'Wait for a reply.' }),
  EXPOSE_OCPP_CONSUMER: Type.Boolean({ default: false, description: 'Offer ocpp_consumer_API too.' }),
  EXPOSE_EVSE_SECURITY: Type.Boolean({
    default: false,
    description: 'Offer evse_security_consumer_API too, with a certificate of each kind.',
  }),
  SIMULATED_STATIONS_DIR: Type.Optional(
    Type.String({ description: 'Folder of the simulated chargers; stations follow their reboots.' }),
  ),
  LOG_LEVEL: COMMON_SETTINGS.LOG_LEVEL,
});
export type SimulatorConfig = Readonly<Static<typeof SimulatorConfig>>;

export const stationNames = (config: Pick<SimulatorConfig, 'SIMULATED_STATIONS' | 'STATION_NAMES'>): string[] =>
  config.STATION_NAMES ?? Array.from({ length: config.SIMULATED_STATIONS }, (_, index) => `charger_${index + 1}`);
