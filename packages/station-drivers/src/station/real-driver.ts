/** The driver of a real station: a transport, the program that runs there, and a profile. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { checkStation } from '../check/check-station.js';
import { withLogs } from '../logs/logs-check.js';
import { logCommands, logScripts } from '../logs/logs-script.js';
import { openLogs } from '../logs/open-logs.js';
import { plannedSources } from '../logs/planned-sources.js';
import { LOG_TYPES, type StationDriver } from '../port.js';
import { profileOf } from '../profiles/profiles.js';
import { plainText, type StationText } from '../station-text.js';
import { localTransport } from '../transports/local.js';
import { createSshTransport, type SshPool } from '../transports/ssh/ssh-transport.js';
import type { Transport } from '../transports/transport.js';
import { commandsAt } from './commands.js';
import { effectsAt } from './effects.js';
import { limitsOf, sshTargetOf } from './entry-settings.js';
import type { StationParts } from './station-parts.js';
import { createStationProgram } from './station-program.js';

type MakeTransport = (entry: RealDriverEntry, connections: SshPool, station: string | undefined) => Transport;

/** The transports by name: the one place that knows them all. */
const TRANSPORTS: Readonly<Record<RealDriverEntry['transport'], MakeTransport>> = {
  local: () => localTransport,
  ssh: (entry, connections, station) => createSshTransport(sshTargetOf(entry, limitsOf(entry), station), connections),
};

/** What an entry is made of at its station. Begins nothing. `texts`: default by the rules by name alone. */
export function stationParts(
  entry: RealDriverEntry,
  connections: SshPool,
  station?: string,
  texts: StationText = plainText,
): StationParts {
  const { state_dir: stateDir, boot_id: bootId = [] } = entry;
  const limits = limitsOf(entry);
  const transport = TRANSPORTS[entry.transport](entry, connections, station);
  const own = profileOf(entry);
  const profile = { ...own, commands: [...own.commands, ...logCommands(entry)], check: withLogs(own.check, entry) };
  const scripts = [...profile.scripts, ...logScripts(entry)];
  const program = createStationProgram({ transport, stateDir, scripts, bootId, texts });
  return {
    stateDir,
    bootId,
    limits,
    transport,
    profile,
    program,
    texts,
    options: (signal) => ({ signal, timeoutMs: (limits.commandS + 30) * 1000 }),
    run: (argv, signal, more) => program.run(argv, { signal, limitS: limits.commandS, ...more }),
  };
}

export function createRealDriver(
  station: string,
  entry: RealDriverEntry,
  connections: SshPool,
  texts?: StationText,
): StationDriver {
  const parts = stationParts(entry, connections, station, texts);
  const { profile } = parts;
  return {
    station,
    capabilities: {
      effects: ['install', 'reboot', 'restart'],
      clock: true,
      network: profile.network('any') !== undefined,
      logs: LOG_TYPES.some((type) => plannedSources(entry, type).length > 0),
    },
    ...effectsAt(parts),
    ...commandsAt(parts),
    openLogs: (query, signal) => openLogs(parts, entry, query, signal),
    check: (signal) => checkStation(parts, signal),
  };
}
