/** The logs of a real station: its sources are listed in one call, and each is streamed when it is read. */
import { randomBytes } from 'node:crypto';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { LogNote, LogQuery, LogSource } from '../port.js';
import { openLogStream } from '../station/log-stream.js';
import type { StationParts } from '../station/station-parts.js';
import { plainText, type StationText } from '../station-text.js';
import { commandSource } from './command-source.js';
import { fileParts, sourceNotes } from './file-parts.js';
import { journalParts, mayNotSee } from './journal-parts.js';
import { type FilesListing, type JournalListing, type Listing, readListing } from './listing.js';
import type { LogContext } from './log-context.js';
import { windowOf } from './log-window.js';
import { filesAmong, isJudged, listCall, logCall } from './logs-script.js';
import { newestOfFiles } from './newest-files.js';
import { newestOfJournal } from './newest-journal.js';
import { newestOfCommand } from './newest-of-command.js';
import { type PlannedSource, plannedSources } from './planned-sources.js';

/** A zone that was taken for another; a clock that was ahead by less. */
const MARGIN_MS = 86_400_000;
/** Characters of what is said of all sources together. */
const MOST_WHY = 4000;
const MAX_LISTING_BYTES = 8 * 1024 * 1024;

type Station = Pick<StationParts, 'stateDir' | 'limits' | 'transport' | 'program' | 'texts' | 'options'>;

/** What is to be known of a source before it is read; `isOut`: there is nothing to read. */
interface Standing {
  readonly isOut: boolean;
  readonly notes: readonly LogNote[];
}

const well: Standing = { isOut: false, notes: [] };
const out = (code: LogNote['code'], text: string): Standing => ({ isOut: true, notes: [{ code, text }] });

/** No records and no error can mean that none may be seen. Pure. */
export function standingOfJournal(
  { boots, known, files, readable, said }: JournalListing,
  texts: StationText = plainText,
): Standing {
  const words = said === '' ? '' : `: journalctl says: ${texts.shown(said)}`;
  if (mayNotSee(said)) {
    const note: LogNote = { code: 'no_access', text: `records of others may not be seen${words}` };
    return { isOut: boots.length === 0, notes: [note] };
  }
  if (known > 0)
    return said === ''
      ? well
      : { isOut: false, notes: [{ code: 'incomplete', text: `journalctl says: ${texts.shown(said)}` }] };
  if (/not found/.test(said)) return out('missing', 'there is no journalctl');
  if (files > readable)
    return out('no_access', `${files - readable} of ${files} files of the journal may not be read${words}`);
  if (files === 0) return out('missing', `there are no files of a journal${words}`);
  return said === '' ? well : out('incomplete', `the journal cannot be read${words}`);
}

function standingOfFiles({ files, denied }: FilesListing, accepts: (path: string) => boolean): Standing {
  const found = files.filter(({ path }) => accepts(path));
  if (found.some(({ isReadable }) => isReadable)) return well;
  if (found.length > 0) return { isOut: true, notes: [] };
  if (denied.length > 0) return { isOut: true, notes: [] };
  return out('missing', 'there are no such files');
}

function contextOf(parts: Station, query: LogQuery, now: Listing['now'], signal: AbortSignal): LogContext {
  const { stateDir, limits, transport, program, texts } = parts;
  return {
    window: windowOf(query),
    texts,
    now,
    // The clock of a station that was set back says too little.
    furthest: Math.max(now.ms, Date.now()) + MARGIN_MS,
    begin: (verb, words, input, onSaid) => {
      const argv = logCall(stateDir, verb, words);
      return openLogStream({ transport, program, argv, texts, limitS: limits.logsS, signal, input, onSaid });
    },
    list: (globs) => listAt(parts, [{ kind: 'files', name: '', isNamed: true, globs, accepts: () => true }], signal),
    boundary: () => `khumbu-${randomBytes(16).toString('hex')}`,
  };
}

async function listAt(
  { stateDir, limits, program, texts }: Station,
  sources: readonly PlannedSource[],
  signal: AbortSignal,
): Promise<Listing> {
  const options = { signal, limitS: limits.commandS, maxStdoutBytes: MAX_LISTING_BYTES };
  const { code, stdout, stderr } = await program.run(listCall(stateDir, sources), options);
  if (code !== 0)
    throw new CodedError('LOGS_UNAVAILABLE', `the logs cannot be listed: ${texts.shown(stderr) || `exit ${code}`}`);
  const listing = readListing(stdout);
  if (listing.sources.length !== sources.length)
    throw new CodedError('LOGS_UNAVAILABLE', 'the station lists its logs in no known form');
  return listing;
}

interface Opened {
  readonly plan: PlannedSource;
  readonly standing: Standing;
  readonly source: LogSource;
}

function openListed(
  plan: PlannedSource,
  found: JournalListing | FilesListing | undefined,
  context: LogContext,
): Opened | undefined {
  if (plan.kind === 'journal' && found?.kind === 'journal') {
    const standing = standingOfJournal(found, context.texts);
    return { plan, standing, source: journalParts(plan, found, context, standing.notes) };
  }
  if (plan.kind === 'files' && found?.kind === 'files') {
    const standing = standingOfFiles(found, plan.accepts);
    return { plan, standing, source: fileParts(plan, found, context, standing.notes) };
  }
  return undefined;
}

/** Rejects with `LOGS_UNAVAILABLE`, `STATION_UNREACHABLE`. */
export async function openLogs(
  parts: Station,
  entry: RealDriverEntry,
  query: LogQuery,
  signal: AbortSignal,
): Promise<readonly LogSource[]> {
  signal.throwIfAborted();
  const all = plannedSources(entry, query.type);
  const plans = all.filter(({ name }) => query.sources?.includes(name) ?? true);
  if (plans.length === 0) throw new CodedError('LOGS_UNAVAILABLE', `the station has no source for a ${query.type}`);
  if (query.newest) return openNewest(parts, { all, plans }, query, signal);
  // All of them, whichever are asked for: the gate of a station knows this one call.
  const listed = all.filter(({ kind }) => kind !== 'command');
  const isAsked = plans.some(isJudged);
  if (!isAsked) await parts.program.prepare(parts.options(signal));
  const listing = isAsked ? await listAt(parts, listed, signal) : undefined;
  const context = listing && contextOf(parts, query, listing.now, signal);

  const opened: Opened[] = [];
  for (const plan of plans) {
    if (plan.kind === 'command') {
      const now = isJudged(plan) ? listing?.now : undefined;
      opened.push({ plan, standing: well, source: await commandSource(parts, plan, query, now, signal) });
      continue;
    }
    const one = context && openListed(plan, listing.sources[listed.indexOf(plan)], context);
    if (!one) throw new CodedError('LOGS_UNAVAILABLE', 'the station lists its logs in no known form');
    opened.push(one);
  }
  if (opened.every(({ standing }) => standing.isOut)) throw noneReadable(opened, parts.texts);
  return (
    opened
      // What is usual and is not there was not asked for.
      .filter(
        ({ plan, standing }) =>
          plan.isNamed || !standing.notes.some(({ code }) => standing.isOut && code === 'missing'),
      )
      .map(({ source }) => source)
  );
}

type Plans = Readonly<Record<'all' | 'plans', readonly PlannedSource[]>>;

/** All at once: each begins as soon as the station has begun it. */
async function openNewest(
  parts: Station,
  { all, plans }: Plans,
  query: LogQuery,
  signal: AbortSignal,
): Promise<readonly LogSource[]> {
  const follow = query.follow === true;
  const files = filesAmong(all);
  const isAsked = plans.some((plan) => plan.kind !== 'journal' && isJudged(plan));
  if (!isAsked) await parts.program.prepare(parts.options(signal));
  const listing = isAsked ? await listAt(parts, files, signal) : undefined;
  const now = listing?.now ?? { ms: Date.now(), zoneMinutes: 0, sinceBootMicros: 0, boot: '' };
  const context = contextOf(parts, query, now, signal);
  const open = async (plan: PlannedSource): Promise<LogSource | undefined> => {
    if (plan.kind === 'journal') return newestOfJournal(plan, context, follow);
    if (plan.kind === 'command') {
      const clock = isJudged(plan) ? listing?.now : undefined;
      return newestOfCommand(await commandSource(parts, plan, query, clock, signal), follow);
    }
    const found = listing?.sources[files.indexOf(plan)];
    if (found?.kind !== 'files')
      throw new CodedError('LOGS_UNAVAILABLE', 'the station lists its logs in no known form');
    const { isOut, notes } = standingOfFiles(found, plan.accepts);
    // What is usual and is not there yet may come.
    if (isOut && !plan.isNamed && !follow) return undefined;
    return newestOfFiles(plan, found, context, follow, [...notes, ...sourceNotes(found, plan.accepts)]);
  };
  const opened = await Promise.all(plans.map(open));
  return opened.filter((source) => source !== undefined);
}

function noneReadable(opened: readonly Opened[], texts: StationText): CodedError {
  const why = opened.map(({ plan, source }) => {
    const text = source.notes?.()[0]?.text ?? 'nothing is there';
    // Notes of files have their paths as they are: an archive has rules of its own.
    return `${plan.name}: ${plan.kind === 'files' ? texts.shown(text, MOST_WHY) : text}`;
  });
  return new CodedError(
    'LOGS_UNAVAILABLE',
    `no log of the station can be read: ${texts.again(why.join('; '), MOST_WHY)}`,
  );
}
