/** What a person may say about the embedded run, by environment variables. */
import { COMMON_SETTINGS } from '@khumbu/shared/runtime/config';
import { type Static, Type } from 'typebox';

const port = (standard: number, what: string) =>
  Type.Integer({ default: standard, minimum: 0, maximum: 65_535, description: `TCP port of ${what}; 0: any free one` });
const count = (standard: number, minimum: number, what: string) =>
  Type.Integer({ default: standard, minimum, maximum: 50, description: `how many ${what}` });

/** The schema; the table in docs/configuration.md is made from it. */
export const UP_SETTINGS = Type.Object({
  HTTP_PORT: port(8080, 'the REST API; more gateways take the ports after it'),
  MQTT_PORT: port(18_830, 'the MQTT broker'),
  REDIS_PORT: port(16_379, 'Redis'),
  S3_PORT: port(19_000, 'the object store'),
  DATA_DIR: Type.String({ default: './var', description: 'folder for everything that is kept' }),
  SIMULATED_STATIONS: Type.Integer({ default: 3, minimum: 0, maximum: 10_000, description: 'how many' }),
  GATEWAYS: count(1, 1, 'gateways'),
  STANDBY_GATEWAY: Type.Boolean({
    default: true,
    description: 'with one gateway: another one, on any free port, that takes over at once when it ends',
  }),
  OTA_WORKERS: count(1, 1, 'ota-workers'),
  LOG_WORKERS: count(1, 1, 'log-workers'),
  SYSTEM_CONTROLS: count(1, 1, 'system-controls'),
  MQTT_RETAIN: Type.Boolean({
    default: false,
    description: 'the MQTT broker keeps retained messages: for an EVerest whose modules speak with each other over it',
  }),
  UP_JSON: Type.Boolean({
    default: false,
    description: '1: one line of JSON on stdout when all is ready, and no lines of progress',
  }),
  LOG_LEVEL: COMMON_SETTINGS.LOG_LEVEL,
});
export type UpSettings = Readonly<Static<typeof UP_SETTINGS>>;
