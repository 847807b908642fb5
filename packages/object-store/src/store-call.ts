/**
 * One call of the S3 client, made safe. The client knows no abort, no timeout, and tries again by its own rules; so
 * every try gets a client of its own whose transport carries the signal and watches for stalls. Clients are cheap:
 * connections belong to the agent.
 */
import http from 'node:http';
import https from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Client, ClientOptions } from 'minio';
import { isUnavailableStatus, StoreError, toStoreError } from './store-error.js';

export const TRIES = 3;
const FIRST_PAUSE_MS = 200;

/** Runs calls against one object store. `what` names a call in errors. */
export interface StoreCaller {
  /** One try. Rejects with `StoreError` or `ABORTED`. */
  once<T>(what: string, signal: AbortSignal | undefined, run: (client: Client) => Promise<T>): Promise<T>;
  /** Up to three tries with short pauses: `run` must be safe to repeat. */
  call<T>(what: string, signal: AbortSignal | undefined, run: (client: Client) => Promise<T>): Promise<T>;
  /** Closes idle connections. */
  close(): void;
}

/** What every aborted call rejects with. */
export const abortedError = (what: string, signal: AbortSignal): CodedError =>
  new CodedError('ABORTED', `${what}: aborted`, { cause: signal.reason });

/** Wait before try number `tries` + 1. Rejects with `ABORTED`. */
export async function pauseAfter(tries: number, what: string, signal: AbortSignal | undefined): Promise<void> {
  const pauseMs = FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random() / 2);
  try {
    await delay(pauseMs, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted) throw abortedError(what, signal);
    throw error;
  }
}

interface Exchange {
  status?: number;
  failure?: StoreError;
}

/** `http.request` that ends by signal, on a stall, and on a status that means "not now". */
function watchedRequest(secure: boolean, stallMs: number, signal: AbortSignal | undefined, exchange: Exchange) {
  return (options: string | URL | http.RequestOptions, ...rest: unknown[]): http.ClientRequest => {
    const onResponse = rest.at(-1) as (response: http.IncomingMessage) => void;
    const send = secure ? https.request : http.request;
    const request = send(
      { ...(options as http.RequestOptions), timeout: stallMs, ...(signal === undefined ? {} : { signal }) },
      (response) => {
        exchange.status = response.statusCode ?? 0;
        // The client would leave the body of such an answer unread and the connection stuck.
        if (isUnavailableStatus(exchange.status) && exchange.status !== 501) {
          response.resume();
          const said = `the object store answered HTTP ${exchange.status}; see its log and its disk`;
          request.emit('error', new StoreError('S3_UNAVAILABLE', said));
        } else onResponse(response);
      },
    );
    request.once('timeout', () => {
      exchange.failure = new StoreError(
        'S3_UNAVAILABLE',
        `the object store made no progress for ${stallMs} ms; see its log and its disk`,
      );
      request.destroy(exchange.failure);
    });
    return request;
  };
}

/** `stallMs`: how long a connection may stay silent. */
export function createStoreCaller(options: ClientOptions, stallMs: number): StoreCaller {
  const secure = options.useSSL === true;
  const agent = secure ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true });

  const once: StoreCaller['once'] = async (what, signal, run) => {
    if (signal?.aborted) throw abortedError(what, signal);
    const exchange: Exchange = {};
    // Loaded by the first call: it costs 35 MB and a quarter of a second, and many processes never make one.
    const minio = await import('minio');
    const client = new minio.Client({
      ...options,
      transport: { request: watchedRequest(secure, stallMs, signal, exchange) },
      transportAgent: agent,
      retryOptions: { disableRetry: true },
    });
    try {
      return await run(client);
    } catch (error) {
      if (signal?.aborted) throw abortedError(what, signal);
      throw exchange.failure ?? toStoreError(error, what, exchange.status);
    }
  };

  const call: StoreCaller['call'] = async (what, signal, run) => {
    for (let tries = 1; ; tries += 1) {
      try {
        return await once(what, signal, run);
      } catch (error) {
        if (tries === TRIES || !(error instanceof StoreError && error.retryable)) throw error;
        await pauseAfter(tries, what, signal);
      }
    }
  };

  return { once, call, close: () => agent.destroy() };
}
