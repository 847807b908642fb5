/**
 * `npm run station-gate -- --station STATION [--file STATIONS_FILE]`: print the gate of a forced command: a script for the station
 * that lets our key do what the driver of this entry does, and nothing else. It has to be made anew with every new version of
 * Khumbu and every change of the entry.
 */
import { existsSync, readFileSync } from 'node:fs';
import { prepare, say } from './prepare.mjs';
import { command, optionsOf, profileIn, realEntryOf, Usage } from './stations.mjs';

const USAGE = 'npm run station-gate -- --station STATION [--file STATIONS_FILE] > khumbu-gate';

await command(async () => {
  const { station, file } = optionsOf(USAGE);
  if (!station || !file) throw new Usage(USAGE);
  await prepare({ quiet: true });
  const entry = realEntryOf(await profileIn(file, station));
  const { gateFor } = await import('@khumbu/station-drivers/privileges/for-entry');
  process.stdout.write(gateFor(station, entry));
  const publicKey = `${entry.private_key_file}.pub`;
  const key = existsSync(publicKey) ? readFileSync(publicKey, 'utf8').trim() : 'ssh-ed25519 AAAA... khumbu';
  say('In authorized_keys of the station:');
  say(`restrict,command="/usr/local/sbin/khumbu-gate" ${key}`);
});
