/** The live view of the logs of a station, line by line. */
import type { FollowDeps } from './follow-events.js';
import type { LogViewLine } from './generated/rest-api.js';
import { abortable } from './pause.js';
import { problemOf } from './problem-error.js';

export interface ViewLogsOptions {
  /** Default: `DiagnosticsLog`. */
  readonly type?: 'DiagnosticsLog' | 'SecurityLog';
  /** By the clock of the station. */
  readonly since?: Date;
  /** Not with `follow`. */
  readonly until?: Date;
  /** An expression of RE2; only lines that it fits somewhere. */
  readonly grep?: string;
  /** Names of sources; default: all. */
  readonly source?: readonly string[];
  /** Go on with what is written. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** A view that says nothing for longer than this is dead: a gateway says every quarter of a minute that it goes on. */
const SILENCE_MS = 60_000;

function addressOf(baseUrl: string, station: string, { since, until, source = [], ...rest }: ViewLogsOptions): string {
  const query = new URLSearchParams();
  for (const name of ['type', 'grep', 'follow'] as const)
    if (rest[name] !== undefined) query.set(name, String(rest[name]));
  for (const [name, time] of Object.entries({ since, until })) if (time) query.set(name, time.toISOString());
  for (const one of source) query.append('source', one);
  const text = query.toString();
  return `${baseUrl}/v1/stations/${encodeURIComponent(station)}/logs${text === '' ? '' : `?${text}`}`;
}

async function* linesOf(body: ReadableStream<Uint8Array>, onPiece: () => void): AsyncGenerator<LogViewLine, void> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = '';
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    onPiece();
    const lines = (rest + decoder.decode(next.value, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield JSON.parse(line) as LogViewLine;
  }
}

/**
 * Records, notes and at last `end` with its reason; `lost`, where the answer was cut off. It comes as fast as it is read: to leave the iteration ends the view, and
 * what runs for it at the station. Nothing is asked again. Throws `ProblemError` when it is refused, and ends when the signal fires.
 */
export async function* viewLogs(
  deps: FollowDeps,
  station: string,
  options: ViewLogsOptions = {},
): AsyncGenerator<LogViewLine, void> {
  const { signal, end, release } = abortable(options.signal);
  let silence: ReturnType<typeof setTimeout> | undefined;
  const listen = (): void => {
    clearTimeout(silence);
    silence = setTimeout(end, SILENCE_MS);
  };
  let isWhole = false;
  try {
    listen();
    const headers = { accept: 'application/jsonl' };
    const response = await deps.fetch(new Request(addressOf(deps.baseUrl, station, options), { headers, signal }));
    if (!response.ok || !response.body) throw await problemOf(response);
    try {
      for await (const line of linesOf(response.body, listen)) {
        if (line.type === 'alive') continue;
        isWhole ||= line.type === 'end';
        yield line;
      }
    } catch (error) {
      if (error instanceof SyntaxError) throw error;
      // It broke off, which is told below.
    }
    if (!isWhole && !options.signal?.aborted) yield { type: 'end', reason: 'lost' };
  } finally {
    clearTimeout(silence);
    end();
    release();
  }
}
