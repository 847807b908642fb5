/** Networks by NetworkManager, with a way back that does not need us: a script at the station. */
import { readFileSync } from 'node:fs';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { PlannedCommand } from '../check/commands.js';
import { stationScript } from '../station/station-program.js';
import type { Profile } from './profile.js';

const SCRIPT = stationScript(
  'khumbu-network',
  readFileSync(new URL('../../../station/khumbu-network.sh', import.meta.url)),
);

const ROLLBACK_S = 40;

/** As in the script: what is left to say that it stays. */
const KEEP_S = 10;
const NM = 'org.freedesktop.NetworkManager';

/** What the script runs at the station, with its values. */
export function networkCommands({ network_manager: settings }: Pick<RealDriverEntry, 'network_manager'>) {
  if (!settings) return [];
  const { prefix = [], rollback_s: rollbackS = ROLLBACK_S } = settings;
  const call = ['busctl', '--system', 'call', NM, '/org/freedesktop/NetworkManager', NM];
  const lines = [
    ['nmcli', '-g', 'GENERAL.STATE', 'device', 'show', '{interface}'],
    ['nmcli', '-g', 'GENERAL.DBUS-PATH', 'device', 'show', '{interface}'],
    ['nmcli', '--wait', String(rollbackS - KEEP_S), 'device', 'connect', '{interface}'],
    [...call, 'CheckpointCreate', 'aouu', '1', '{device}', String(rollbackS), '2'],
    [...call, 'CheckpointRollback', 'o', '{checkpoint}'],
    [...call, 'CheckpointDestroy', 'o', '{checkpoint}'],
  ];
  return lines.map((words): PlannedCommand => ({ verb: 'network', argv: [...prefix, ...words] }));
}

type Network = Pick<Profile, 'scripts' | 'network' | 'keepNetwork'>;

/** Without `network_manager` in the entry networks are not configured. */
export function networkVerbs({
  state_dir: stateDir,
  network_manager: settings,
}: Pick<RealDriverEntry, 'state_dir' | 'network_manager'>): Network {
  if (!settings) return { scripts: [], network: () => undefined };
  const { prefix = [], rollback_s: rollbackS = ROLLBACK_S } = settings;
  const ask = (verb: string, ...args: readonly string[]) => [
    '/bin/sh',
    `${stateDir}/${SCRIPT.name}`,
    verb,
    ...args,
    ...prefix,
  ];
  return {
    scripts: [SCRIPT],
    network: (interfaceName) => ask('connect', interfaceName, String(rollbackS)),
    keepNetwork: (checkpoint) => ask('keep', checkpoint, '-'),
  };
}
