/** Which sources a query asks for, from the entry of a station. Pure. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { LogSourceEntry } from '@khumbu/shared/stations/log-sources';
import { unitOf } from '../check/commands.js';
import type { LogType } from '../port.js';
import { RECORD_FIELDS } from './journal-record.js';

export type PlannedSource = {
  readonly name: string /** It stands in the stations file. */;
  readonly isNamed: boolean;
} & (
  | { readonly kind: 'journal'; readonly argv: readonly string[]; readonly fields: readonly string[] }
  | { readonly kind: 'files'; readonly globs: readonly string[]; readonly accepts: (path: string) => boolean }
  /** `isTrusted`: it keeps to the window by itself. */
  | { readonly kind: 'command'; readonly argv: readonly string[]; readonly isTrusted: boolean }
);

/** What the script lists. */
export type ListedPlan = Exclude<PlannedSource, { kind: 'command' }>;

export const isListed = (source: PlannedSource): source is ListedPlan => source.kind !== 'command';

type Entry = Pick<RealDriverEntry, 'logs' | 'command' | 'profile' | 'restart_everest'>;
type Of<K extends string> = Extract<LogSourceEntry, Readonly<Record<K, unknown>>>;

const OCPP_FOLDER = '/tmp/everest_ocpp_logs';
const SESSION_FOLDER = '/tmp/everest-logs';
/** Folders of sessions in the default of EvseManager, /tmp, begin with their time. */
const SESSION_IN_TMP = '/tmp/[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T*Z-*';

const everything = (): boolean => true;
const isSecurity = (path: string): boolean => /\.security\.log[^/]*$/.test(path);

/** What is selected, in front of the words by which the script asks. */
function journalArgv({ journal }: Of<'journal'>): readonly string[] {
  const { program = ['journalctl'], directory, units = [], facilities = [], priority } = journal;
  return [
    ...program,
    '--no-pager',
    ...(directory === undefined ? [] : [`--directory=${directory}`]),
    ...units.map((unit) => `--unit=${unit}`),
    ...(facilities.length === 0 ? [] : [`--facility=${facilities.join(',')}`]),
    ...(priority === undefined ? [] : [`--priority=${priority}`]),
  ];
}

export const fieldsOf = (more: readonly string[]): string => [...new Set([...RECORD_FIELDS, ...more])].join(',');

/** The same files with the names that a rotation gives them. */
export const rotatedToo = (globs: readonly string[]): readonly string[] =>
  globs.flatMap((glob) => [glob, `${glob}.*`, `${glob}-*`]);

const everestFiles: Readonly<
  Record<
    Of<'everest'>['everest'],
    (folder?: string) => { globs: readonly string[]; accepts: (path: string) => boolean }
  >
> = {
  ocpp: (folder = OCPP_FOLDER) => ({
    globs: ['log', 'log.*', 'html', 'html.*'].map((end) => `${folder}/*.${end}`),
    accepts: (path) => !isSecurity(path),
  }),
  security: (folder = OCPP_FOLDER) => ({ globs: [`${folder}/*.security.log*`], accepts: everything }),
  session: (folder) => ({
    globs: (folder === undefined ? [`${SESSION_FOLDER}/*`, SESSION_IN_TMP] : [`${folder}/*`]).flatMap((each) => [
      `${each}/*eventlog.csv`,
      `${each}/*eventlog.html`,
      `${each}/*ocpp*.html`,
    ]),
    accepts: everything,
  }),
};

/** The unit that a restart of EVerest names, else `everest.service`. */
const everestUnit = ({ restart_everest: restart }: Entry): string =>
  (Array.isArray(restart) ? unitOf({ verb: 'restart', argv: restart }) : undefined) ?? 'everest.service';

const defaults: Readonly<Record<LogType, (entry: Entry) => readonly LogSourceEntry[]>> = {
  DiagnosticsLog: (entry) => [
    { journal: { units: [everestUnit(entry)] } },
    { everest: 'ocpp' },
    { everest: 'session' },
  ],
  SecurityLog: () => [{ journal: { facilities: ['auth', 'authpriv'] } }, { everest: 'security' }],
};

function planned(entry: LogSourceEntry): { kind: string; plan: (name: string, isNamed: boolean) => PlannedSource } {
  if ('journal' in entry)
    return {
      kind: 'journal',
      plan: (name, isNamed) => ({
        name,
        isNamed,
        kind: 'journal',
        argv: journalArgv(entry),
        fields: entry.journal.fields ?? [],
      }),
    };
  if ('command' in entry)
    return {
      kind: 'command',
      plan: (name, isNamed) => ({ name, isNamed, kind: 'command', argv: entry.command, isTrusted: false }),
    };
  const files =
    'files' in entry ? { globs: entry.files, accepts: everything } : everestFiles[entry.everest](entry.folder);
  const kind = 'files' in entry ? 'files' : entry.everest;
  return { kind, plan: (name, isNamed) => ({ name, isNamed, kind: 'files', ...files }) };
}

/** Their names: those of the file, or their kinds, numbered where one has come before. */
function withNames(entries: readonly LogSourceEntry[], isNamed: boolean): readonly PlannedSource[] {
  const taken = new Set(entries.flatMap(({ name }) => name ?? []));
  return entries.map((entry) => {
    const { kind, plan } = planned(entry);
    if (entry.name !== undefined) return plan(entry.name, isNamed);
    let name = kind;
    for (let number = 2; taken.has(name); number += 1) name = `${kind}-${number}`;
    taken.add(name);
    return plan(name, isNamed);
  });
}

/**
 * The sources of a type: those of the stations file; else, of profile `command` what its command prints, if it has one, and of the
 * others what is usual.
 */
export function plannedSources(entry: Entry, type: LogType): readonly PlannedSource[] {
  const named = entry.logs?.[type];
  if (named) return withNames(named, true);
  if (entry.profile !== 'command') return withNames(defaults[type](entry), false);
  const argv = entry.command?.logs;
  // As it was always called.
  const name = type === 'SecurityLog' ? 'security' : 'logs';
  return argv ? [{ name, isNamed: true, kind: 'command', argv, isTrusted: true }] : [];
}
