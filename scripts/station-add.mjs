/**
 * `npm run station-add`: write the entry of a real station into the stations file, step by step: how it is reached, its host key
 * (which a person confirms), its user and key, what update tool is there; then it is looked at as by `npm run driver-check`, and the
 * file is written if all is well, or if the person wants it nevertheless. Every answer can be an option as well, for scripts. No
 * secret goes into the file: keys are named by their paths.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { prepare, Refusal, say } from './prepare.mjs';
import { command, optionsOf, sayLogin, Usage } from './stations.mjs';

const USAGE = `npm run station-add -- [--station STATION] [--file STATIONS_FILE] [--transport ssh|local] [--host HOST] [--port PORT]
  [--user USER] [--key FILE] [--known-hosts FILE] [--fingerprint SHA256:...] [--state-dir DIR] [--profile rauc|swupdate|command]
  [--program FILE] [--running-slot FILE] [--slot-variable NAME] [--keep] [--defaults]
  --fingerprint pins the host key if it is this one; --keep writes the entry whatever the check says;
  --defaults asks nothing: what is not given is the default`;
const TIMEOUT_MS = 120_000;
const text = { type: 'string' };
const OPTIONS = {
  transport: text,
  host: text,
  port: text,
  user: text,
  key: text,
  'known-hosts': text,
  fingerprint: text,
  'state-dir': text,
  profile: text,
  program: text,
  'running-slot': text,
  'slot-variable': text,
  keep: { type: 'boolean' },
  defaults: { type: 'boolean' },
};

/** Asks a person, line by line; at the end of the input, and where nothing is to be asked, the default is the answer. */
function createQuestions(isSilent) {
  const terminal = isSilent ? undefined : createInterface({ input: process.stdin });
  const lines = terminal?.[Symbol.asyncIterator]();
  return {
    async ask(question, byDefault = '') {
      if (!lines) return byDefault;
      process.stderr.write(`${question}${byDefault === '' ? '' : ` [${byDefault}]`}: `);
      const { value, done } = await lines.next();
      if (done) process.stderr.write('\n');
      return value?.trim() || byDefault;
    },
    close: () => terminal?.close(),
  };
}

/** Pin the host key of a station that has none pinned yet. */
async function trust({ host, port, known, fingerprint }, questions) {
  const { pinnedKeys } = await import('@khumbu/shared/ssh/known-hosts');
  const { shownHostKey } = await import('@khumbu/station-drivers/transports/ssh/shown-host-key');
  if (existsSync(known) && pinnedKeys(readFileSync(known, 'utf8'), host, port).length > 0) return;
  const shown = await shownHostKey({ host, port }, 15_000).catch((error) => {
    throw new Refusal(`${host}:${port} shows no host key: ${error.message}`);
  });
  say(`${host} shows ${shown.line.split(' ')[1]} ${shown.fingerprint}`);
  if (fingerprint !== undefined && fingerprint !== shown.fingerprint)
    throw new Refusal('this is not the key of --fingerprint: nothing was pinned');
  if (fingerprint === undefined) {
    say('Compare it with what the station prints: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub');
    if ((await questions.ask('Is it the same? Type yes')) !== 'yes') throw new Refusal('nothing was pinned');
  }
  mkdirSync(dirname(known), { recursive: true });
  appendFileSync(known, `${shown.line}\n`);
  say(`Pinned in ${known}.`);
}

async function wayTo(given, questions) {
  const answer = async (name, question, byDefault) => given[name] ?? (await questions.ask(question, byDefault));
  const transport = await answer('transport', 'How is it reached, ssh or local?', 'ssh');
  if (transport !== 'ssh' && transport !== 'local') throw new Usage(`--transport is ssh or local\n${USAGE}`);
  const stateDir = (dir) => ({ state_dir: dir });
  const askStateDir = () => answer('state-dir', 'A folder there for what is going on', '/var/lib/khumbu-station');
  if (transport === 'local') return { transport, ...stateDir(await askStateDir()) };
  const host = await answer('host', 'Its name or address');
  if (!host) throw new Usage(`--host is needed\n${USAGE}`);
  const port = Number(await answer('port', 'Port of its SSH server', '22'));
  if (!(port > 0 && port < 65_536)) throw new Usage(`--port is a number from 1 to 65535\n${USAGE}`);
  const user = await answer('user', 'User there', 'khumbu');
  const key = await answer('key', 'File of our key', '/etc/khumbu/ssh/id_ed25519');
  const known = await answer('known-hosts', 'File for its host key', '/etc/khumbu/ssh/known_hosts');
  await trust({ host, port, known, fingerprint: given.fingerprint }, questions);
  return {
    transport,
    host,
    ...(port === 22 ? {} : { port }),
    user,
    private_key_file: key,
    known_hosts_file: known,
    ...stateDir(await askStateDir()),
  };
}

/** What the template infra/station/maker.sh can do, by the profile `command`. */
const commandsOf = (program, sudo) => ({
  command: {
    install: [...sudo, program, 'install', '{image}', '{sha256}', '{operation}'],
    reboot: [...sudo, program, 'reboot'],
    restart_everest: [...sudo, program, 'restart-everest'],
    evidence: [program, 'evidence'],
    ...(sudo.length > 0 ? { set_clock: [...sudo, 'date', '-u', '-s', '{seconds}'] } : {}),
  },
});

const verbsOf = (sudo) => ({
  reboot: [...sudo, 'systemctl', 'reboot'],
  restart_everest: [...sudo, 'systemctl', 'restart', 'everest'],
  ...(sudo.length > 0 ? { set_clock: [...sudo, 'date', '-u', '-s', '{seconds}'] } : {}),
});

const swupdateOf = (sudo, slot, variable) => ({
  client: [...sudo, 'swupdate-client'],
  running_slot: [slot],
  boot_variables: [variable],
  ...(sudo.length > 0 ? { read_variable: [...sudo, 'fw_printenv', '-n'], write_variable: [...sudo, 'fw_setenv'] } : {}),
});

async function profileOf(way, given, questions) {
  const { lookAround } = await import('@khumbu/station-drivers/check/look-around');
  const program = given.program ?? '/opt/maker/maker';
  const seen = await lookAround(way, [program], AbortSignal.timeout(TIMEOUT_MS), sayLogin);
  const there = ['rauc', 'swupdate-client', program].filter((name) => seen.programs.has(name));
  say(
    `Reached. There is ${there.length === 0 ? `neither rauc nor swupdate-client nor ${program}` : there.join(' and ')}.`,
  );
  const tool = seen.programs.has('rauc') ? 'rauc' : seen.programs.has('swupdate-client') ? 'swupdate' : 'command';
  const found = seen.programs.has(program) ? 'command' : tool;
  const profile = given.profile ?? (await questions.ask('Profile, rauc, swupdate or command?', found));
  const sudo = seen.isRoot ? [] : ['sudo'];
  if (profile === 'rauc') return { profile, rauc: { program: [...sudo, 'rauc'] }, ...verbsOf(sudo) };
  if (profile === 'swupdate') {
    const slot = given['running-slot'] ?? (await questions.ask('Its program that prints the slot that runs'));
    const variable = given['slot-variable'] ?? (await questions.ask('Variable of the bootloader that names the slot'));
    if (!slot || !variable) throw new Usage(`--running-slot and --slot-variable are needed\n${USAGE}`);
    return { profile, swupdate: swupdateOf(sudo, slot, variable), ...verbsOf(sudo) };
  }
  if (profile !== 'command') throw new Usage(`--profile is rauc, swupdate or command\n${USAGE}`);
  const named = given.program ?? (await questions.ask('Its program, as infra/station/maker.sh is one', program));
  return { profile, ...commandsOf(named, sudo) };
}

/** Whole or not at all, with the mode it had. */
function store(file, content) {
  const mode = existsSync(file) ? statSync(file).mode & 0o777 : 0o644;
  writeFileSync(`${file}.new`, content, { mode });
  renameSync(`${file}.new`, file);
}

async function add(given, questions) {
  const file = given.file ?? (await questions.ask('Stations file', '/etc/khumbu/stations.yml'));
  const station = given.station ?? (await questions.ask('Id of the station'));
  if (!file || !station) throw new Usage(`--station and --file are needed\n${USAGE}`);
  const { addStation } = await import('@khumbu/shared/stations/add-station');
  const { parseStationsFile, profileFrom } = await import('@khumbu/shared/stations/stations-file');
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  // Refused before anything is asked: it is there, or the file cannot be read.
  addStation(before, station, 'simulated');
  const way = await wayTo(given, questions);
  const driver = { ...way, ...(await profileOf(way, given, questions)) };
  const after = addStation(before, station, driver);
  const { checkOnce } = await import('@khumbu/station-drivers/check/check-once');
  const { describeCheck } = await import('@khumbu/station-drivers/check/describe-check');
  const { isAllWell } = await import('@khumbu/station-drivers/check/findings');
  const profile = profileFrom(parseStationsFile(after), station);
  const check = await checkOnce(profile, AbortSignal.timeout(TIMEOUT_MS), sayLogin);
  process.stdout.write(describeCheck(`${station} (${profile.driver})`, check));
  const isWell = isAllWell(check);
  if (
    !isWell &&
    !given.keep &&
    (await questions.ask('Not all is well. Write the entry nevertheless? Type yes')) !== 'yes'
  )
    throw new Refusal(`${file} is as it was`);
  store(file, after);
  say(`${station} is in ${file}.`);
  if (!isWell) process.exitCode = 1;
}

await command(async () => {
  const given = optionsOf(USAGE, OPTIONS);
  await prepare({ quiet: true });
  const questions = createQuestions(given.defaults === true);
  try {
    await add(given, questions);
  } finally {
    questions.close();
  }
});
