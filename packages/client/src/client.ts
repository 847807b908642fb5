/**
 * REST of a depot, typed: every path, parameter, body and answer of docs/openapi.json. For Node and browsers.
 *
 * ```ts
 * const khumbu = createKhumbuClient({ baseUrl: 'http://127.0.0.1:8080', key: () => process.env.KHUMBU_KEY });
 * const { items } = await answered(khumbu.GET('/v1/stations', { params: { query: { limit: 10 } } }));
 * for await (const { event } of khumbu.follow({ type: ['operation'] })) console.log(event);
 * ```
 */
import createOpenApiClient, { type Client } from 'openapi-fetch';
import { type Followed, type FollowOptions, followEvents } from './follow-events.js';
import type { LogViewLine, Problem, paths } from './generated/rest-api.js';
import { createPatientFetch } from './patient-fetch.js';
import { ProblemError } from './problem-error.js';
import { type ViewLogsOptions, viewLogs } from './view-logs.js';

export interface ClientOptions {
  /** Of a gateway, without path. */
  readonly baseUrl: string;
  /** An API key or a JSON Web Token, asked for each request: it may be renewed. Absent: cookies of a browser session. */
  readonly key?: () => string | undefined | Promise<string | undefined>;
  /** Headers of each request, as a browser session needs one against forged requests. */
  readonly headers?: () => Readonly<Record<string, string>>;
  /** How long one request is asked again while nothing was accepted, in milliseconds; default 30 000, 0: once. */
  readonly retryForMs?: number;
  readonly fetch?: (request: Request) => Promise<Response>;
}

export interface KhumbuClient extends Client<paths> {
  /** See `followEvents`. */
  follow(options?: FollowOptions): AsyncGenerator<Followed, void>;
  /** See `viewLogs`. */
  viewLogs(station: string, options?: ViewLogsOptions): AsyncGenerator<LogViewLine, void>;
}

export function createKhumbuClient(options: ClientOptions): KhumbuClient {
  const baseUrl = options.baseUrl.replace(/\/+$/, '');
  const send = options.fetch ?? ((request: Request) => fetch(request));
  const signed = async (request: Request): Promise<Response> => {
    const key = await options.key?.();
    if (key !== undefined) request.headers.set('authorization', `Bearer ${key}`);
    for (const [name, value] of Object.entries(options.headers?.() ?? {})) request.headers.set(name, value);
    return send(request);
  };
  const patient = createPatientFetch({ fetch: signed, retryForMs: options.retryForMs ?? 30_000 });
  const client = createOpenApiClient<paths>({ baseUrl, fetch: patient });
  const streams = { baseUrl, fetch: signed };
  return {
    ...client,
    follow: (following) => followEvents(streams, following),
    viewLogs: (station, viewing) => viewLogs(streams, station, viewing),
  };
}

interface Answer<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

/** The body of a good answer. Throws `ProblemError` for any other. */
export async function answered<T>(asked: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await asked;
  if (response.ok) return data as T;
  const problem = typeof error === 'object' && error !== null && 'code' in error ? (error as Problem) : undefined;
  throw new ProblemError(response.status, problem, response.headers.get('retry-after'));
}
