/** A restart of EVerest by the lifecycle_API of its manager: a script at the station, where it goes on when we do not. */
import { readFileSync } from 'node:fs';
import type { ManagementApi, RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { type StationScript, stationScript } from '../station/station-program.js';

const SCRIPT = stationScript(
  'khumbu-everest',
  readFileSync(new URL('../../../station/khumbu-everest.sh', import.meta.url)),
);

/** What the script runs at the station. */
export const API_PROGRAMS: readonly (readonly string[])[] = [['mosquitto_sub'], ['mosquitto_pub']];

export const restartByApi = (stateDir: string, { host, port }: ManagementApi): readonly string[] => [
  '/bin/sh',
  `${stateDir}/${SCRIPT.name}`,
  'restart',
  host ?? '127.0.0.1',
  String(port ?? 1883),
];

/** What the station needs for the restart that its entry names. */
export const apiScripts = (how: RealDriverEntry['restart_everest']): readonly StationScript[] =>
  how === undefined || Array.isArray(how) ? [] : [SCRIPT];
