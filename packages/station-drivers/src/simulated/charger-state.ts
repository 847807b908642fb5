/**
 * Where simulated chargers live: one folder each, shared by any number of processes, of which any may be killed at any
 * instant. The state is the file `state.<n>.json` with the highest n. A change is a compare-and-swap by name: write a
 * temporary file, fsync, `link` it to n + 1. `EEXIST` means that another process was first. There is no lock that a
 * dead process could leave behind.
 *
 * The last 8 states stay, so that a reader's file does not vanish under it. A process that stood still for longer can
 * link a number that is already gone; no process reads it, and the writer detects the higher ones and tries again.
 */
import { createHash, randomUUID } from 'node:crypto';
import { link, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { makeFolder, syncFolder } from '@khumbu/shared/runtime/folders';
import type { Charger } from './charger.js';

const keptStates = 8;
const staleTmpMs = 60_000;

/**
 * The folder of a station. Station ids come from the wire, so every id gets a name that is one plain path segment,
 * different for different ids.
 */
export function chargerFolder(dataDir: string, station: string): string {
  return resolve(dataDir, segmentOf(station));
}

function segmentOf(station: string): string {
  const wellFormed = Buffer.from(station, 'utf8').toString('utf8') === station;
  const plain = wellFormed ? encodeURIComponent(station).replace(/^\./, '%2E') : '';
  if (plain !== '' && plain.length <= 150) return plain;
  // `%~` never comes out of encodeURIComponent.
  return `%~${createHash('sha256').update(station, 'utf16le').digest('hex')}`;
}

interface StoredCharger {
  readonly version: number;
  readonly charger: Charger;
}

async function versionsIn(folder: string): Promise<readonly number[]> {
  const names = await readdir(folder);
  const versions = names.map((name) => /^state\.(\d{1,15})\.json$/.exec(name)?.[1]);
  return versions.filter((version) => version !== undefined).map(Number);
}

const stateFile = (folder: string, version: number): string => join(folder, `state.${version}.json`);

/**
 * The charger as it was stored last; `undefined` if it was never switched on. Throws `CHARGER_STATE_CORRUPT` for a
 * file that was damaged: it is never reset silently.
 */
export async function readCharger(folder: string): Promise<StoredCharger | undefined> {
  for (;;) {
    try {
      const version = Math.max(0, ...(await versionsIn(folder)));
      if (version === 0) return undefined;
      const path = stateFile(folder, version);
      return { version, charger: parseCharger(await readFile(path, 'utf8'), path) };
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      // Either the folder does not exist yet, or newer states replaced this one while it was read.
      if (!(await exists(folder))) return undefined;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

function parseCharger(text: string, path: string): Charger {
  const corrupt = (why: string): CodedError =>
    new CodedError('CHARGER_STATE_CORRUPT', `${path}: ${why}; restore the file, or remove its folder to start anew`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw corrupt(describeError(error));
  }
  if (!isCharger(value)) throw corrupt('not the state of a simulated charger that this version knows');
  return value;
}

function isCharger(value: unknown): value is Charger {
  if (typeof value !== 'object' || value === null) return false;
  const charger = value as Partial<Record<keyof Charger, unknown>>;
  const numbers = [charger.createdAt, charger.everestStarts, charger.clockOffsetMs, charger.installCount];
  return (
    charger.schema === 1 &&
    typeof charger.bootId === 'string' &&
    numbers.every(Number.isFinite) &&
    [charger.running, charger.next].every((slot) => slot === 'A' || slot === 'B') &&
    typeof charger.slots === 'object' &&
    [charger.ended, charger.installs, charger.events].every(Array.isArray)
  );
}

/**
 * Change a charger atomically and durably. `change` gets the stored charger, or `undefined` before the first change,
 * and returns the new one; the same object changes nothing. It may be called again with a newer charger, also one
 * that holds its own change already, so it must be idempotent. What it throws ends the attempt. Throws
 * `CHARGER_STATE_CORRUPT` and `CHARGER_DISK_FULL` (nothing was changed); safe to repeat and to kill.
 */
export async function changeCharger(
  folder: string,
  change: (charger: Charger | undefined) => Charger,
  signal?: AbortSignal,
): Promise<Charger> {
  for (;;) {
    signal?.throwIfAborted();
    const stored = await readCharger(folder);
    const changed = change(stored?.charger);
    if (changed === stored?.charger) return changed;
    try {
      if (!stored) await makeDurableFolder(folder);
      if (await commit(folder, (stored?.version ?? 0) + 1, changed)) return changed;
    } catch (error) {
      throw hasCode(error, 'ENOSPC', 'EDQUOT') ? diskFull(error) : error;
    }
  }
}

const diskFull = (cause: unknown): CodedError =>
  new CodedError(
    'CHARGER_DISK_FULL',
    'the disk with the states of simulated stations is full; free space in SIMULATED_STATIONS_DIR',
    { cause },
  );

async function makeDurableFolder(folder: string): Promise<void> {
  // Another process may just have made it, and not be as far as this yet.
  const first = (await makeFolder(folder)) ?? folder;
  for (let path = folder; path.length >= first.length; path = dirname(path)) await syncFolder(dirname(path));
}

/** `false`: another process was first, or it is not known. Then the newest state shows what became of this one. */
async function commit(folder: string, version: number, charger: Charger): Promise<boolean> {
  const tmp = join(folder, `tmp.${process.pid}.${randomUUID()}`);
  try {
    await writeDurably(tmp, JSON.stringify(charger));
    await link(tmp, stateFile(folder, version));
  } catch (error) {
    // ENOENT: the clock jumped and another process swept the file as a stale one.
    if (hasCode(error, 'EEXIST', 'ENOENT')) return false;
    throw error;
  } finally {
    await rm(tmp, { force: true });
  }
  await syncFolder(folder);
  return sweep(folder, version);
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Remove outdated states. Resolves with whether `version` is still the highest. */
async function sweep(folder: string, version: number): Promise<boolean> {
  const versions = await versionsIn(folder);
  const highest = Math.max(...versions);
  const old = versions.filter((one) => one <= highest - keptStates).map((one) => stateFile(folder, one));
  await Promise.all([...old, ...(await staleTmpFiles(folder))].map((path) => rm(path, { force: true })));
  return highest === version;
}

async function staleTmpFiles(folder: string): Promise<readonly string[]> {
  const paths = (await readdir(folder)).filter((name) => name.startsWith('tmp.')).map((name) => join(folder, name));
  const ages = await Promise.all(paths.map(ageOf));
  return paths.filter((_path, index) => Math.abs(ages[index] ?? 0) > staleTmpMs);
}

async function ageOf(path: string): Promise<number> {
  try {
    return Date.now() - (await stat(path)).mtimeMs;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0;
    throw error;
  }
}
