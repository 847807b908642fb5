/** The events of `/v1/events`, from where they broke off. Over `fetch`, which can send a key; `EventSource` cannot. */
import { createEventParser, type Message } from './event-stream.js';
import type { Event } from './generated/rest-api.js';
import { abortable, pause } from './pause.js';
import { ProblemError, problemOf } from './problem-error.js';
import { pauseBefore } from './retries.js';

export interface FollowOptions {
  readonly station?: readonly string[];
  readonly kind?: readonly string[];
  readonly type?: readonly ('operation' | 'station' | 'progress')[];
  /** Go on after this event; absent: only what happens from now on. */
  readonly lastEventId?: string;
  readonly signal?: AbortSignal;
  /** Whether the stream is open, each time that changes. */
  readonly onState?: (state: 'open' | 'lost') => void;
}

export interface Followed {
  /** Where to go on after this one; progress has none. */
  readonly id?: string;
  readonly event: Event;
}

export interface FollowDeps {
  readonly baseUrl: string;
  readonly fetch: (request: Request) => Promise<Response>;
}

/** Gateways send something every quarter of a minute; a connection that is silent for longer is dead. */
const SILENCE_MS = 60_000;

function addressOf(baseUrl: string, { station, kind, type }: FollowOptions): string {
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries({ station, kind, type }))
    for (const value of values ?? []) query.append(name, value);
  const text = query.toString();
  return `${baseUrl}/v1/events${text === '' ? '' : `?${text}`}`;
}

/** The messages of one connection, until it ends or breaks. Throws `ProblemError` when it is refused. */
async function* connect(deps: FollowDeps, options: FollowOptions, lastEventId: string | undefined) {
  const { signal: connection, end, release } = abortable(options.signal);
  let silence = setTimeout(end, SILENCE_MS);
  try {
    const headers = { accept: 'text/event-stream', ...(lastEventId ? { 'last-event-id': lastEventId } : {}) };
    const response = await deps.fetch(new Request(addressOf(deps.baseUrl, options), { headers, signal: connection }));
    if (!response.ok || !response.body) throw await problemOf(response);
    options.onState?.('open');
    const parse = createEventParser();
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      clearTimeout(silence);
      silence = setTimeout(end, SILENCE_MS);
      yield* parse(decoder.decode(next.value, { stream: true }));
    }
  } finally {
    clearTimeout(silence);
    end();
    release();
  }
}

const followed = ({ id, data }: Message & { data: string }): Followed => ({
  ...(id === undefined ? {} : { id }),
  event: JSON.parse(data) as Event,
});

/**
 * Every event in order, from any gateway, also over restarts: after a break it goes on behind the last one. An event may
 * come twice. A `gap` says that some are not kept any more: read stations and operations anew. Ends when the signal fires.
 * Throws `ProblemError` when the stream is refused for good, as for a wrong key.
 */
export async function* followEvents(deps: FollowDeps, options: FollowOptions = {}): AsyncGenerator<Followed, void> {
  const { signal } = options;
  let { lastEventId } = options;
  let tried = 0;
  let isOpen = false;
  const onState = (state: 'open' | 'lost'): void => {
    isOpen = state === 'open';
    options.onState?.(state);
  };
  while (!signal?.aborted) {
    let pauseMs: number | undefined;
    try {
      for await (const message of connect(deps, { ...options, onState }, lastEventId)) {
        tried = 0;
        if (message.id !== undefined) lastEventId = message.id;
        if (message.data !== undefined) yield followed({ ...message, data: message.data });
      }
    } catch (error) {
      if (error instanceof ProblemError) {
        pauseMs = pauseBefore(tried + 1, error, Math.random());
        if (pauseMs === undefined) throw error;
      }
    }
    if (isOpen) onState('lost');
    tried += 1;
    pauseMs ??= pauseBefore(tried, undefined, Math.random()) ?? 0;
    // The loop looks at the signal.
    await pause(pauseMs, signal).catch(() => undefined);
  }
}
