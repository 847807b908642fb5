/** Lines for sudo and the gate of a forced command, from the entry of a station. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { commandsOf } from '../check/check-station.js';
import { unreachable } from '../pool.js';
import type { StationVerb } from '../port.js';
import { call } from '../station/call.js';
import { stationParts } from '../station/real-driver.js';
import type { StationParts } from '../station/station-parts.js';
import { createSshPool, type OnLogin } from '../transports/ssh/ssh-transport.js';
import { gateOf } from './gate.js';
import { privilegedPrograms, sudoersOf } from './sudoers.js';

const TIMEOUT_MS = 30_000;
/** A path a line; empty: it is not there. The path that sudo itself looks in. */
const WHERE =
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; for each in "$@"; do command -v "$each" || echo; done';

async function pathsAt({ transport }: StationParts, names: readonly string[], signal: AbortSignal) {
  const argv = ['/bin/sh', '-c', WHERE, 'khumbu', ...names];
  const { code, stdout } = await call(transport, argv, { signal, timeoutMs: TIMEOUT_MS });
  if (code !== 0 && stdout.length === 0) throw unreachable('the station does not tell where its programs are');
  const paths = stdout.toString('utf8').split('\n');
  return new Map(names.map((name, at) => [name, paths[at] ?? '']));
}

/** As long as the verb may take at the station. */
function limitsOfVerbs({ limits }: StationParts): (verb: StationVerb) => number {
  const own: Partial<Record<StationVerb, number>> = {
    install: limits.installS,
    reboot: limits.rebootS,
    restart: limits.restartS,
    logs: limits.logsS,
  };
  return (verb) => own[verb] ?? limits.commandS;
}

/**
 * Lines for sudo. The station is asked where a program is that the entry names without its path; otherwise it is not reached.
 * Rejects with `PROGRAM_UNKNOWN`, `SUDO_OPTION`, `STATION_UNREACHABLE`.
 */
export async function sudoersFor(
  station: string,
  user: string,
  entry: RealDriverEntry,
  signal: AbortSignal,
  onLogin: OnLogin,
) {
  const connections = createSshPool({ onLogin });
  try {
    const parts = stationParts(entry, connections);
    const commands = commandsOf(parts.profile);
    const names = privilegedPrograms(commands).filter((program) => !program.startsWith('/'));
    const paths = names.length > 0 ? await pathsAt(parts, names, signal) : new Map<string, string>();
    return sudoersOf({
      station,
      user,
      stateDir: parts.stateDir,
      commands,
      limitOf: limitsOfVerbs(parts),
      pathOf: (program) => paths.get(program) || undefined,
    });
  } finally {
    connections.close();
  }
}

/** The gate of a forced command. Reaches no station. */
export function gateFor(station: string, entry: RealDriverEntry): string {
  const connections = createSshPool();
  return gateOf({ station, entry, ...stationParts(entry, connections) });
}
