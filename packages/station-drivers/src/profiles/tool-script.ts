/** Scripts for update tools: parts that stand one after the other, and the words that all of them take first. */
import { readFileSync } from 'node:fs';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { type StationScript, stationScript } from '../station/station-program.js';

const partOf = (name: string): Buffer => readFileSync(new URL(`../../../station/${name}.sh`, import.meta.url));

/** `khumbu-tool.sh` and then these parts. */
export const toolScript = (name: string, parts: readonly string[]): StationScript =>
  stationScript(name, Buffer.concat(['khumbu-tool', ...parts].map(partOf)));

/** An argument vector among others: its length first. */
export const counted = (words: readonly string[] = []): readonly string[] => [String(words.length), ...words];

export interface ToolWords {
  readonly program: readonly string[];
  readonly health: readonly string[] | undefined;
  /** What this tool's own part takes. */
  readonly more: readonly string[];
}

/** How a verb of the script is called at the station of an entry. */
export const callOf =
  (script: StationScript, entry: RealDriverEntry, { program, health, more }: ToolWords) =>
  (verb: string, ...args: readonly string[]): readonly string[] => [
    '/bin/sh',
    `${entry.state_dir}/${script.name}`,
    verb,
    entry.state_dir,
    ...counted(program),
    ...counted(entry.boot_id),
    ...counted(health),
    ...more,
    ...args,
  ];
