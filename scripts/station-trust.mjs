/**
 * `npm run station-trust -- STATION STATIONS_FILE [FINGERPRINT]`: show the host key of a station that is reached by SSH, and
 * pin it once a person has said that it is the right one, or where it has the fingerprint that is given. That is what the
 * station itself prints: `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`. A jump host is asked for first.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { main, prepare, Refusal, say } from './prepare.mjs';

const TIMEOUT_MS = 15_000;

async function ask(question) {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Without a terminal there is no answer.
  const ended = new Promise((resolve) => terminal.once('close', () => resolve('')));
  const answer = await Promise.race([terminal.question(question), ended]);
  terminal.close();
  return answer.trim();
}

await main(async () => {
  const [station, file, expected] = process.argv.slice(2);
  if (!station || !file) throw new Refusal('npm run station-trust -- STATION STATIONS_FILE [FINGERPRINT]');
  await prepare();
  const { parseStationsFile, profileFrom } = await import('@khumbu/shared/stations/stations-file');
  const { limitsOf, sshTargetOf } = await import('@khumbu/station-drivers/station/entry-settings');
  const { pinnedKeys } = await import('@khumbu/shared/ssh/known-hosts');
  const { shownHostKey } = await import('@khumbu/station-drivers/transports/ssh/shown-host-key');
  const { pinnedAs } = await import('@khumbu/station-drivers/transports/ssh/target');
  const entry = profileFrom(parseStationsFile(readFileSync(file, 'utf8')), station)?.driverEntry;
  if (entry?.transport !== 'ssh') throw new Refusal(`${station} is not reached by ssh in ${file}`);

  const isPinned = (target) => {
    const { host, port } = pinnedAs(target);
    return (
      existsSync(target.knownHostsFile) &&
      pinnedKeys(readFileSync(target.knownHostsFile, 'utf8'), host, port).length > 0
    );
  };
  const pin = async (target, name, fingerprint) => {
    const shown = await shownHostKey(target, TIMEOUT_MS).catch((error) => {
      throw new Refusal(`${name} shows no host key: ${error.message}`);
    });
    say(`${name} shows ${shown.line.split(' ')[1]} ${shown.fingerprint}`);
    if (fingerprint !== undefined && fingerprint !== shown.fingerprint)
      throw new Refusal(`that is not ${fingerprint}: nothing was pinned`);
    const isRight =
      fingerprint !== undefined || (await ask('Is it the one that it prints itself? Type yes: ')) === 'yes';
    if (!isRight) throw new Refusal('nothing was pinned');
    mkdirSync(dirname(target.knownHostsFile), { recursive: true });
    appendFileSync(target.knownHostsFile, `${shown.line}\n`);
    say(`Pinned in ${target.knownHostsFile}.`);
  };

  const target = sshTargetOf(entry, limitsOf(entry));
  if (isPinned(target))
    throw new Refusal(
      `a key of ${station} is pinned in ${target.knownHostsFile}: remove it there first if the station got a new one`,
    );
  if (target.jump && !isPinned(target.jump)) await pin(target.jump, `its jump host ${target.jump.host}`);
  await pin(target, station, expected);
});
