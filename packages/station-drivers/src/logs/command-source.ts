/** What a command of a station prints, as a source. */
import { Readable } from 'node:stream';
import type { LogQuery, LogSource } from '../port.js';
import { withValues } from '../profiles/verbs.js';
import { openLogStream } from '../station/log-stream.js';
import type { StationParts } from '../station/station-parts.js';
import { notesOfLines } from './line-notes.js';
import type { Listing } from './listing.js';
import { windowOf } from './log-window.js';
import type { PlannedSource } from './planned-sources.js';
import { linesInside } from './window-lines.js';

type CommandPlan = Extract<PlannedSource, { kind: 'command' }>;

export const commandArgv = (argv: readonly string[], { type, oldest, latest }: LogQuery): readonly string[] =>
  withValues(argv, { type, oldest: oldest?.toISOString() ?? '', latest: latest?.toISOString() ?? '' });

/** Begins it. What it prints beside the window is left out, by the station's clock `now`; absent: it is trusted to keep to it. */
export async function commandSource(
  { transport, program, texts, limits }: Pick<StationParts, 'transport' | 'program' | 'texts' | 'limits'>,
  { name, argv }: CommandPlan,
  query: LogQuery,
  now: Listing['now'] | undefined,
  signal: AbortSignal,
): Promise<LogSource> {
  const stream = await openLogStream({
    transport,
    program,
    texts,
    argv: commandArgv(argv, query),
    limitS: limits.logsS,
    signal,
    input: '',
  });
  if (!now) return { name, stream };
  const { zoneMinutes, zone, ms } = now;
  const context = { zoneMinutes, zone, modifiedMs: ms, takesWhole: true };
  const { bytes, seen } = linesInside(stream as AsyncIterable<Buffer>, windowOf(query), context);
  const lines = Readable.from(bytes, { objectMode: false });
  // Whoever reads it hears of it; before that, it is kept there.
  stream.on('error', (error) => lines.destroy(error));
  lines.on('error', () => {});
  lines.once('close', () => stream.destroy());
  return { name, stream: lines, notes: () => notesOfLines(seen, now) };
}
