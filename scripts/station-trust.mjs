/**
 * `npm run station-trust -- STATION [STATIONS_FILE]`: show the host key of a station that is reached by SSH, and pin it once
 * a person has said that it is the right one. It is compared with what the station itself prints:
 * `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { main, prepare, Refusal, say } from './prepare.mjs';

const TIMEOUT_MS = 15_000;

await main(async () => {
  const [station, file = process.env.STATIONS_FILE] = process.argv.slice(2);
  if (!station || !file) throw new Refusal('npm run station-trust -- STATION STATIONS_FILE');
  await prepare();
  const { parseStationsFile, profileFrom } = await import('@khumbu/shared/stations/stations-file');
  const { pinnedKeys } = await import('@khumbu/station-drivers/transports/ssh/known-hosts');
  const { shownHostKey } = await import('@khumbu/station-drivers/transports/ssh/shown-host-key');
  const entry = profileFrom(parseStationsFile(readFileSync(file, 'utf8')), station)?.driverEntry;
  if (entry?.transport !== 'ssh') throw new Refusal(`${station} is not reached by ssh in ${file}`);
  const { host, port = 22, known_hosts_file: known } = entry.jump ?? entry;
  if (entry.jump) say(`${station} is reached by way of ${host}: its key is shown, not that of the station.`);
  if (existsSync(known) && pinnedKeys(readFileSync(known, 'utf8'), host, port).length > 0)
    throw new Refusal(`a key of ${host} is pinned in ${known}: remove it there first if the station got a new one`);
  const shown = await shownHostKey(host, port, TIMEOUT_MS);
  say(`${host} shows ${shown.line.split(' ')[1]} ${shown.fingerprint}`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question('Is it the one that the station itself prints? Type yes: ');
  terminal.close();
  if (answer.trim() !== 'yes') throw new Refusal('nothing was pinned');
  mkdirSync(dirname(known), { recursive: true });
  appendFileSync(known, `${shown.line}\n`);
  say(`Pinned in ${known}.`);
});
