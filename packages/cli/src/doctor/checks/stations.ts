/** The stations file, and what it names on this machine. */
import { describeError } from '@khumbu/shared/runtime/errors';
import { textOf } from '@khumbu/shared/runtime/followed-file';
import { parseStationsFile, profileFrom } from '@khumbu/shared/stations/stations-file';
import { limitsOf, sshTargetOf } from '@khumbu/station-drivers/station/entry-settings';
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';
import type { Sight } from '../sight.js';

const { ok, warning, wrong } = about('stations');
/** More of the same would hide the rest. */
const MOST = 10;

async function lookAtWays(file: ReturnType<typeof parseStationsFile>, sight: Sight): Promise<Finding[]> {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const station of Object.keys(file.stations ?? {})) {
    const entry = profileFrom(file, station)?.driverEntry;
    if (!entry || 'package' in entry || entry.transport !== 'ssh') continue;
    try {
      await sight.sshFiles(sshTargetOf(entry, limitsOf(entry), station));
    } catch (error) {
      const text = describeError(error);
      // Many stations share one key.
      if (!seen.has(text)) findings.push(wrong(`${station}: ${text}`, `khumbu driver-check ${station} says more`));
      seen.add(text);
    }
  }
  const left = findings.length - MOST;
  return left > 0
    ? [...findings.slice(0, MOST), wrong(`${left} more of this kind`, 'mend these first, and look again')]
    : findings;
}

export async function lookAtStations({ gateway, kind }: Place, sight: Sight): Promise<Finding[]> {
  if (!gateway) return [];
  const { STATIONS_FILE: path } = gateway;
  if (path === undefined) return [warning('STATIONS_FILE is not set: nothing is done with any station', 'name one')];
  if (!sight.fileAt(path)) {
    if (kind === 'up') return [ok('khumbu up makes one at its first start')];
    return [wrong(`${path} (STATIONS_FILE) is not there`, 'npm run station-add writes it')];
  }
  try {
    const file = parseStationsFile(textOf(sight.read(path)));
    const findings = await lookAtWays(file, sight);
    if (file.unknown_stations === 'simulated' && kind !== 'up')
      findings.push(
        warning('every station that speaks is taken for a simulated one', `remove unknown_stations from ${path}`),
      );
    const count = Object.keys(file.stations ?? {}).length;
    return findings.length > 0 ? findings : [ok(`${count} in ${path}`)];
  } catch (error) {
    return [wrong(`${path}: ${describeError(error)}`, 'correct it there; the last good content stays in use')];
  }
}
