/** PUT of one file to an HTTP server that someone named in a request. */
import { createReadStream, type ReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { chooseProxy, type ProxyRules } from '@khumbu/shared/http/forward-proxy';
import { Login, wantedSchemes } from '@khumbu/shared/http/login';
import {
  connectToProxy,
  judgeProxiedName,
  openTunnel,
  ProxyError,
  proxyRefusal,
} from '@khumbu/shared/http/proxy-tunnel';
import { MAX_HEAD_BYTES } from '@khumbu/shared/http/response-head';
import { retryAfterSeconds } from '@khumbu/shared/http/retry-after';
import { DEFAULT_USER_AGENT } from '@khumbu/shared/http/user-agent';
import type { Credentials } from '@khumbu/shared/locations/location';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { statusOfHttp, UploadError } from './failure-status.js';

export interface HttpPutInput {
  /** Without credentials. */
  readonly url: string;
  /** To log in with, Basic at first, then as the server wants. */
  readonly credentials?: Credentials | undefined;
  readonly path: string;
  readonly contentType: string;
  /** Resolves the host; may refuse an address. Not called for a host that is an address already. */
  readonly lookup?: LookupFunction | undefined;
  /** What the request calls itself; `khumbu/<version>` by default. */
  readonly userAgent?: string | undefined;
  /** Which servers are reached through a forward proxy; none by default. */
  readonly proxy?: ProxyRules | undefined;
  /** PEM certificates to trust instead of the system's. */
  readonly ca?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without any progress; 30 s by default. */
  readonly stallMs?: number | undefined;
  /** Bytes handed to the connection so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** From this size on `Expect: 100-continue` is sent. RFC 9110, 10.1.1. */
const EXPECT_BYTES = 1024 * 1024;
/** Servers without support for it send nothing. RFC 9110, 10.1.1: a client must not wait for ever. */
const CONTINUE_WAIT_MS = 1000;
/** One without `Expect`, a challenge of the proxy and of the server, and a nonce that was stale. */
const MAX_EXCHANGES = 5;

const stallMsOf = ({ stallMs = 30_000 }: HttpPutInput): number => stallMs;

/** The logins of the requests of one delivery, at the server and at its proxy. */
interface Logins {
  readonly server: Login;
  readonly proxy: Login | undefined;
}

interface Detour extends Pick<https.RequestOptions, 'path' | 'createConnection'> {
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a proxy changes in a request: the connection, and where it only reads the head, that too. */
async function detour(input: HttpPutInput, url: URL, logins: Logins): Promise<Detour> {
  const proxy = chooseProxy(input.proxy, url);
  if (!proxy) return {};
  await judgeProxiedName(input.lookup, url.hostname, input.proxy?.allowsUnresolved ?? false);
  const { signal, userAgent = DEFAULT_USER_AGENT } = input;
  const deadline = deadlineAfter(stallMsOf(input), signal);
  try {
    if (url.protocol === 'https:') {
      const host = url.hostname.replace(/^\[|\]$/g, '');
      const port = url.port === '' ? 443 : Number(url.port);
      const socket = await openTunnel(proxy, { host, port }, { userAgent, signal: deadline.signal });
      const servername = isIP(host) === 0 ? host : '';
      const ca = input.ca === undefined ? {} : { ca: input.ca };
      return { createConnection: () => connectTls({ ...ca, socket, servername, ALPNProtocols: ['http/1.1'] }) };
    }
    const authorization = logins.proxy?.authorization('PUT', url.href);
    const socket = await connectToProxy(proxy, deadline.signal);
    return {
      path: url.href,
      headers: authorization === undefined ? {} : { 'proxy-authorization': authorization },
      createConnection: () => socket,
    };
  } finally {
    deadline.clear();
  }
}

async function openRequest(
  input: HttpPutInput,
  logins: Logins,
  size: number,
  expect: boolean,
): Promise<http.ClientRequest> {
  const url = new URL(input.url);
  const { headers, ...way } = await detour(input, url, logins);
  const authorization = logins.server.authorization('PUT', `${url.pathname}${url.search}`);
  const options: https.RequestOptions = {
    method: 'PUT',
    // With an agent `createConnection` would not be called.
    ...(way.createConnection ? {} : { agent: false }),
    timeout: stallMsOf(input),
    maxHeaderSize: MAX_HEAD_BYTES,
    headers: {
      'user-agent': input.userAgent ?? DEFAULT_USER_AGENT,
      'content-type': input.contentType,
      'content-length': size,
      connection: 'close',
      ...(expect ? { expect: '100-continue' } : {}),
      ...(authorization === undefined ? {} : { authorization }),
      ...headers,
    },
    ...(input.signal === undefined ? {} : { signal: input.signal }),
    ...(input.lookup === undefined ? {} : { lookup: input.lookup }),
    ...(input.ca === undefined ? {} : { ca: input.ca }),
    ...way,
  };
  return url.protocol === 'https:' ? https.request(url, options) : http.request(url, options);
}

/** What of a final answer counts. */
interface Answer {
  readonly code: number;
  readonly headers: http.IncomingHttpHeaders;
}

/** Resolves with the final answer, or rejects with what broke the connection. */
async function exchange(input: HttpPutInput, logins: Logins, size: number, expect: boolean): Promise<Answer> {
  const stallMs = stallMsOf(input);
  const request = await openRequest(input, logins, size, expect);
  // The option of the request is not applied to a connection of our own.
  request.setTimeout(stallMs);
  return new Promise((resolve, reject) => {
    let body: ReadStream | undefined;
    let sent = 0;
    let waiting: NodeJS.Timeout | undefined;
    const settle = (act: () => void): void => {
      clearTimeout(waiting);
      act();
      body?.destroy();
      request.destroy();
    };
    const fail = (error: Error): void => settle(() => reject(error));
    const sendBody = (): void => {
      clearTimeout(waiting);
      if (body !== undefined) return;
      body = createReadStream(input.path, { highWaterMark: 256 * 1024 });
      body.on('error', fail);
      body.on('data', (chunk) => {
        sent += chunk.length;
        input.onProgress?.(sent);
      });
      body.pipe(request);
    };
    request.on('error', fail);
    request.once('timeout', () => fail(new Error(`no progress for ${stallMs} ms`)));
    request.once('close', () => fail(new Error('the connection ended early')));
    request.once('response', (response) => {
      const code = response.statusCode ?? 0;
      response.on('error', fail);
      response.resume();
      const done = (): void => settle(() => resolve({ code, headers: response.headers }));
      // A success before all is handed over is not one yet.
      if (statusOfHttp(code) !== undefined || sent === size) done();
      else request.once('finish', done);
    });
    if (!expect) return sendBody();
    request.once('continue', sendBody);
    request.once('socket', (socket) => {
      const isTls = input.url.startsWith('https:');
      const wait = (): void => {
        waiting = setTimeout(sendBody, Math.min(CONTINUE_WAIT_MS, stallMs / 2));
      };
      if (isTls || socket.connecting) socket.once(isTls ? 'secureConnect' : 'connect', wait);
      else wait();
    });
    request.flushHeaders();
  });
}

/** The file, sent again where the server wants another login, or knows nothing of `Expect`. */
async function deliver(input: HttpPutInput, size: number): Promise<Answer> {
  const proxy = chooseProxy(input.proxy, new URL(input.url));
  const logins = { server: new Login(input.credentials), proxy: proxy && new Login(proxy.credentials) };
  let expect = size > EXPECT_BYTES;
  for (let sent = 1; ; sent++) {
    const answer = await exchange(input, logins, size, expect);
    const { code, headers } = answer;
    const mayRepeat = sent < MAX_EXCHANGES;
    if (code === 407 && proxy) {
      if (!mayRepeat || !logins.proxy?.refused(headers['proxy-authenticate'])) throw proxyRefusal(code, headers);
    } else if (code === 417 && expect && mayRepeat) expect = false;
    else if (code !== 401 || !mayRepeat || !logins.server.refused(headers['www-authenticate'])) return answer;
  }
}

/** A host with several addresses fails with an error that has a code and no words. */
const explain = (error: unknown): string =>
  describeError(error) || ((error as { code?: string }).code ?? 'the connection failed');

/**
 * Resolves once the server has answered 2xx to the whole file. Rejects with `UPLOAD_FAILED` (its status by
 * failure-status.ts) or `ABORTED`. Follows no redirect. Safe to repeat as far as the server's PUT is.
 */
export async function httpPut(input: HttpPutInput): Promise<{ bytes: number }> {
  const { size } = await stat(input.path);
  try {
    const { code, headers } = await deliver(input, size);
    const status = statusOfHttp(code);
    if (status !== undefined) {
      const retryAfterS = retryAfterSeconds(headers['retry-after'], headers.date, Date.now());
      const wanted = code === 401 ? `; it wants ${wantedSchemes(headers['www-authenticate'])}` : '';
      throw new UploadError(status, `the server answered ${code}${wanted}`, { reason: `http_${code}`, retryAfterS });
    }
    return { bytes: size };
  } catch (error) {
    if (input.signal?.aborted)
      throw new CodedError('ABORTED', 'the upload was aborted', { cause: input.signal.reason });
    if (error instanceof UploadError) throw error;
    if (error instanceof ProxyError) {
      const status = (error.status === undefined ? undefined : statusOfHttp(error.status)) ?? 'UploadFailure';
      throw new UploadError(status, error.message, { cause: error, reason: error.reason });
    }
    throw new UploadError('UploadFailure', explain(error), { cause: error, reason: 'connection' });
  }
}
