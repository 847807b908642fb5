/** What the commands about one station have in common: their arguments, and its entry in the stations file. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Refusal, say } from './prepare.mjs';

/** Told with how it is called; the process ends with 2. */
export class Usage extends Refusal {}

const FILE = { type: 'string', default: process.env.STATIONS_FILE };

/** The options of a command: texts and switches, with `--station` and `--file`. Throws {@link Usage}. */
export function optionsOf(usage, options = {}) {
  /** @type {Record<string, any>} */
  let values;
  try {
    ({ values } = parseArgs({ options: { station: { type: 'string' }, file: FILE, ...options } }));
  } catch (error) {
    throw new Usage(`${error.message}\n${usage}`);
  }
  return values;
}

/** As `main`, and a wrong call ends with 2. */
export async function command(body) {
  try {
    await body();
  } catch (error) {
    const isExpected = error instanceof Refusal || typeof error?.code === 'string';
    say(isExpected ? `khumbu: ${error.message}` : String(error?.stack ?? error));
    process.exitCode = error instanceof Usage ? 2 : 1;
  }
}

/** A login by this process: it asks no depot, so a person is told that none has written it down. */
export const sayLogin = ({ at, failure }) =>
  say(`${failure ? 'A login that failed' : 'Logged in'} at ${at}: it is not in the security log of the depot.`);

/** What the stations file says of a station. Rejects with {@link Usage} where it says nothing. */
export async function profileIn(file, station) {
  const { parseStationsFile, profileFrom } = await import('@khumbu/shared/stations/stations-file');
  let text;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Usage(`${file} cannot be read: ${error.message}`);
  }
  const profile = profileFrom(parseStationsFile(text), station);
  if (!profile) throw new Usage(`${station} is not in ${file}, or has no driver there`);
  return profile;
}

/** The `driver` of a station that is real. Throws {@link Usage} for others. */
export function realEntryOf({ station, driver, driverEntry }) {
  if (driverEntry && !('package' in driverEntry)) return driverEntry;
  throw new Usage(`${station} is ${driver}: nothing is known of its commands`);
}
