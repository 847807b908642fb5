/** The script that lists and streams logs at a station, and what it runs there. */
import { readFileSync } from 'node:fs';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { PlannedCommand } from '../check/commands.js';
import { LOG_TYPES } from '../port.js';
import { counted } from '../profiles/tool-script.js';
import { type StationScript, stationScript } from '../station/station-program.js';
import {
  fieldsOf,
  isListed,
  type ListedPlan,
  type PlannedSource,
  plannedSources,
  rotatedToo,
} from './planned-sources.js';

const SCRIPT = stationScript('khumbu-logs', readFileSync(new URL('../../../station/khumbu-logs.sh', import.meta.url)));

/** So many does the script begin with. */
export const NEWEST_RECORDS = 1000;

const sourcesOf = (entry: RealDriverEntry): readonly PlannedSource[] =>
  LOG_TYPES.flatMap((type) => plannedSources(entry, type));

const wordsOf = (source: PlannedSource): readonly string[] => {
  if (source.kind === 'files') return ['files', ...counted(source.globs)];
  return source.kind === 'journal' ? ['journal', ...counted(source.argv)] : [];
};

export const logCall = (stateDir: string, verb: string, words: readonly string[]): readonly string[] => [
  '/bin/sh',
  `${stateDir}/${SCRIPT.name}`,
  verb,
  ...words,
];

export const listCall = (stateDir: string, sources: readonly PlannedSource[]): readonly string[] =>
  logCall(stateDir, 'list', sources.flatMap(wordsOf));

/** Whose records are judged by the station's clock, which the script tells. */
export const isJudged = (source: PlannedSource): boolean => source.kind !== 'command' || !source.isTrusted;

/** What is listed before the newest records are read: that a journal is long is not to be waited for. */
export const filesAmong = (sources: readonly PlannedSource[]) => sources.filter(({ kind }) => kind === 'files');

/** What the station needs for the logs of its entry. */
export const logScripts = (entry: RealDriverEntry): readonly StationScript[] =>
  sourcesOf(entry).some(isJudged) ? [SCRIPT] : [];

/** What the station runs for them, with placeholders; those of profile `command` are its own. */
export function logCommands(entry: RealDriverEntry): readonly PlannedCommand[] {
  return sourcesOf(entry).flatMap((source): readonly PlannedCommand[] => {
    if (source.kind === 'command') return source.isTrusted ? [] : [{ verb: 'logs', argv: source.argv }];
    // What is usual is taken where it is.
    if (source.kind === 'files' || !source.isNamed) return [];
    const { argv } = source;
    return [
      [...argv, '--field=_BOOT_ID'],
      [...argv, '--output=export', '--output-fields=_BOOT_ID', '{boot}'],
      [...argv, '--output=export', '--output-fields=_BOOT_ID', '--reverse', '--lines=1', '{boot}'],
      [...argv, '--output=export', `--output-fields=${fieldsOf(source.fields)}`, '{boot}'],
      [...argv, '--output=json', '--all', `--output-fields=${fieldsOf(source.fields)}`, '{boot}'],
      ...[[], ['--follow']].map((follow) => [
        ...argv,
        ...follow,
        `--lines=${NEWEST_RECORDS}`,
        '--output=export',
        `--output-fields=${fieldsOf(source.fields)}`,
      ]),
    ].map((words) => ({ verb: 'logs', argv: words }));
  });
}

const callsOf = (stateDir: string, source: ListedPlan): readonly (readonly string[])[] =>
  source.kind === 'journal'
    ? ['journal', 'newest-journal', 'follow-journal'].map((verb) =>
        logCall(stateDir, verb, [fieldsOf(source.fields), ...source.argv]),
      )
    : [
        listCall(stateDir, [{ ...source, globs: rotatedToo(source.globs) }]),
        ...['files', 'newest-files', 'follow-files'].map((verb) => logCall(stateDir, verb, source.globs)),
      ];

/** Every call that logs are read by, but for commands. */
export function logCalls(stateDir: string, entry: RealDriverEntry): readonly (readonly string[])[] {
  return LOG_TYPES.map((type) => plannedSources(entry, type).filter(isJudged))
    .filter((sources) => sources.length > 0)
    .map((sources) => sources.filter(isListed))
    .flatMap((sources) => [
      listCall(stateDir, sources),
      listCall(stateDir, filesAmong(sources)),
      ...sources.flatMap((source) => callsOf(stateDir, source)),
    ]);
}
