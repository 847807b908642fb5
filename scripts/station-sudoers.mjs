/**
 * `npm run station-sudoers -- --station STATION [--file STATIONS_FILE] [--user USER]`: print what the station's user may run as
 * root, from the commands of its entry, for /etc/sudoers.d/khumbu at the station. The station is asked where its programs are,
 * unless the entry names them by their paths.
 */
import { prepare, Refusal } from './prepare.mjs';
import { command, optionsOf, profileIn, realEntryOf, sayLogin, Usage } from './stations.mjs';

const USAGE = 'npm run station-sudoers -- --station STATION [--file STATIONS_FILE] [--user USER]';
const TIMEOUT_MS = 60_000;

await command(async () => {
  const { station, file, user } = optionsOf(USAGE, { user: { type: 'string' } });
  if (!station || !file) throw new Usage(USAGE);
  await prepare({ quiet: true });
  const entry = realEntryOf(await profileIn(file, station));
  const who = user ?? entry.user;
  if (!who) throw new Usage(`--user says who runs Khumbu's workers\n${USAGE}`);
  const { sudoersFor } = await import('@khumbu/station-drivers/privileges/for-entry');
  const text = await sudoersFor(station, who, entry, AbortSignal.timeout(TIMEOUT_MS), sayLogin);
  if (!text.includes(' ALL=')) throw new Refusal(`the entry of ${station} runs nothing by sudo`);
  process.stdout.write(text);
});
