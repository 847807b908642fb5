/**
 * One call of the S3 client, made safe. The client knows no abort, no timeout, and tries again by its own rules; so
 * every try gets a client of its own whose transport carries the signal and watches for stalls. Clients are cheap:
 * connections belong to the agent.
 */
import http from 'node:http';
import https from 'node:https';
import { sleep } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Client, ClientOptions } from 'minio';
import { type Answered, isUnavailableStatus, StoreError, toStoreError } from './store-error.js';

export const TRIES = 3;
const FIRST_PAUSE_MS = 200;

/** What every aborted call rejects with. */
export const abortedError = (what: string, cause: unknown): CodedError =>
  new CodedError('ABORTED', `${what}: aborted`, { cause });

/** Wait before try number `tries` + 1. Rejects with `ABORTED`. */
export async function pauseAfter(tries: number, what: string, signal: AbortSignal | undefined): Promise<void> {
  await sleep(FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random() / 2), signal);
  if (signal?.aborted) throw abortedError(what, signal.reason);
}

/** Where calls go, and with which region they are signed. */
type Target = Pick<ClientOptions, 'endPoint' | 'port' | 'useSSL' | 'region'>;

interface Exchange {
  answered: Answered;
  failure?: StoreError;
  /** Where a 307 redirected to. */
  movedTo?: { readonly location: string; readonly path: string; readonly host: string };
}

/** The client would leave the body of such an answer unread and the connection stuck. */
const isOursToEnd = (status: number): boolean => status === 307 || (isUnavailableStatus(status) && status !== 501);

const answeredBy = ({ statusCode = 0, headers }: http.IncomingMessage): Answered => {
  const storeTime = Date.parse(headers.date ?? '');
  const region = headers['x-amz-bucket-region'];
  const encryption = headers['x-amz-server-side-encryption'];
  return {
    status: statusCode,
    ourTime: Date.now(),
    ...(Number.isNaN(storeTime) ? {} : { storeTime }),
    ...(typeof region === 'string' ? { region } : {}),
    ...(typeof encryption === 'string' ? { encryption } : {}),
  };
};

/** `http.request` that ends by signal, on a stall, and on a status that means "not now" or "not here". */
function watchedRequest(secure: boolean, stallMs: number, signal: AbortSignal | undefined, exchange: Exchange) {
  return (options: string | URL | http.RequestOptions, ...rest: unknown[]): http.ClientRequest => {
    const onResponse = rest.at(-1) as (response: http.IncomingMessage) => void;
    const send = secure ? https.request : http.request;
    const asked = options as http.RequestOptions;
    let answer: http.IncomingMessage | undefined;
    let watched: http.ClientRequest['socket'];
    const request = send({ ...asked, timeout: stallMs, ...(signal === undefined ? {} : { signal }) }, (response) => {
      answer = response;
      response.once('close', () => watched?.off('timeout', onSilence));
      exchange.answered = answeredBy(response);
      const status = response.statusCode ?? 0;
      if (!isOursToEnd(status)) return onResponse(response);
      const { location } = response.headers;
      if (status === 307 && location !== undefined)
        exchange.movedTo = { location, path: asked.path ?? '/', host: asked.host ?? '' };
      response.resume();
      const said = `the object store answered HTTP ${status}; see its log and its disk`;
      request.emit('error', new StoreError('S3_UNAVAILABLE', said));
    });
    const onSilence = (): void => {
      // What came is not taken yet: it is the reader who pauses, and the store that waits. A socket tells of one silence alone.
      if (answer && (answer.readableLength > 0 || answer.complete)) {
        watched = request.socket;
        watched?.setTimeout(stallMs, onSilence);
        return;
      }
      const said = `the object store made no progress for ${stallMs} ms; see its log and its disk`;
      exchange.failure = new StoreError('S3_UNAVAILABLE', said);
      // Else its reader hears of a reset alone.
      answer?.destroy(exchange.failure);
      request.destroy(exchange.failure);
    };
    request.once('timeout', onSilence);
    return request;
  };
}

/**
 * Where to ask next. S3 API Reference, "Request redirection and the REST API": the same request to another host, signed
 * for that. `undefined`: nowhere we could ask, or without the TLS we began with. Pure.
 */
function redirected(
  target: Target,
  { location, path, host }: NonNullable<Exchange['movedTo']>,
  region?: string,
): Target | undefined {
  const from = `${target.useSSL ? 'https' : 'http'}://${target.endPoint}`;
  if (!URL.canParse(location, from)) return undefined;
  const url = new URL(location, from);
  const secure = url.protocol === 'https:';
  if (!secure && (target.useSSL || url.protocol !== 'http:')) return undefined;
  // The bucket is in the path, or in front of the host: the client asks AWS so.
  const bucket = /^(.+)\.s3[.-][a-z0-9.-]*amazonaws\./.exec(host)?.[1] ?? path.split(/[/?]/)[1] ?? '';
  const isInPath = url.pathname === `/${bucket}` || url.pathname.startsWith(`/${bucket}/`);
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const endPoint = !isInPath && name.startsWith(`${bucket}.`) ? name.slice(bucket.length + 1) : name;
  const signedFor = region ?? /^s3[.-]([a-z0-9-]+)\.amazonaws\./.exec(endPoint)?.[1] ?? target.region;
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return { endPoint, port, useSSL: secure, ...(signedFor === undefined ? {} : { region: signedFor }) };
}

const MAX_REDIRECTS = 3;

/** Requests of one call; what the last answer said comes from `answered`. */
type Run<T> = (client: Client, answered: () => Answered) => Promise<T>;

/**
 * Runs calls against one object store. `stallMs`: how long a connection may stay silent. `what` names a call in errors.
 */
export function createStoreCaller(options: ClientOptions, stallMs: number) {
  const agents = { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) };

  /** One try, at the host that a 307 names if there is one. Rejects with `StoreError` or `ABORTED`. */
  async function once<T>(what: string, signal: AbortSignal | undefined, run: Run<T>): Promise<T> {
    if (signal?.aborted) throw abortedError(what, signal.reason);
    // Loaded by the first call: it costs 35 MB and a quarter of a second, and many processes never make one.
    const minio = await import('minio');
    let target: Target = options;
    for (let redirects = 0; ; redirects += 1) {
      const exchange: Exchange = { answered: {} };
      const secure = target.useSSL === true;
      const client = new minio.Client({
        ...options,
        ...target,
        transport: { request: watchedRequest(secure, stallMs, signal, exchange) },
        transportAgent: secure ? agents.https : agents.http,
        retryOptions: { disableRetry: true },
      });
      try {
        return await run(client, () => exchange.answered);
      } catch (error) {
        if (signal?.aborted) throw abortedError(what, signal.reason);
        const { movedTo, answered, failure } = exchange;
        const next = movedTo && redirects < MAX_REDIRECTS ? redirected(target, movedTo, answered.region) : undefined;
        if (next === undefined) throw failure ?? toStoreError(error, what, answered);
        target = next;
      }
    }
  }

  /** Up to three tries with short pauses: `run` must be safe to repeat. */
  async function call<T>(what: string, signal: AbortSignal | undefined, run: Run<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await once(what, signal, run);
      } catch (error) {
        if (tries === TRIES || !(error instanceof StoreError && error.retryable)) throw error;
        await pauseAfter(tries, what, signal);
      }
    }
  }

  return {
    once,
    call,
    /** Closes idle connections. */
    close(): void {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}
export type StoreCaller = ReturnType<typeof createStoreCaller>;
