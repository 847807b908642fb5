/** One body brought to an HTTP server that someone named in a request, by PUT or POST. */
import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { DEFAULT_USER_AGENT } from '@khumbu/shared/http/user-agent';
import type { HostLocation } from '@khumbu/shared/locations/location';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import type { TransferReason } from '../../faults/fault.js';
import { chooseProxy } from '../../http/forward-proxy.js';
import { Login, wantedSchemes } from '../../http/login.js';
import { connectToProxy, judgeProxiedName, openTunnel, proxyRefusal } from '../../http/proxy-tunnel.js';
import { MAX_HEAD_BYTES } from '../../http/response-head.js';
import { retryAfterSeconds } from '../../http/retry-after.js';
import { networkFailure } from '../../network-failure.js';
import type { Brought, PutOptions, TransferContext, UploadBody } from '../../port.js';
import { type Leg, TransferError } from '../../transfer-error.js';
import { type SentBody, sentBody } from './upload-body.js';

interface HttpPutInput extends TransferContext, PutOptions {
  readonly location: HostLocation;
  readonly sent: SentBody;
}

/** From this size on `Expect: 100-continue` is sent. RFC 9110, 10.1.1. */
const EXPECT_BYTES = 1024 * 1024;
/** Servers without support for it send nothing. RFC 9110, 10.1.1: a client must not wait for ever. */
const CONTINUE_WAIT_MS = 1000;
/** One without `Expect`, one by POST or without a name, a challenge of the proxy and of the server, and a nonce that was stale. */
const MAX_EXCHANGES = 6;

const PUT: Leg = { direction: 'put', scheme: 'https' };

const isSuccess = (code: number): boolean => code >= 200 && code < 300;

/** The logins of the requests of one delivery, at the server and at its proxy. */
interface Logins {
  readonly server: Login;
  readonly proxy: Login | undefined;
}

interface Detour extends Pick<https.RequestOptions, 'path' | 'createConnection'> {
  readonly headers?: Readonly<Record<string, string>>;
}

const authorities = ({ ca }: TransferContext): { readonly ca?: string[] } =>
  ca === undefined ? {} : { ca: [ca].flat() };

/** What a proxy changes in a request: the connection, and where it only reads the head, that too. */
async function detour(input: HttpPutInput, lookup: LookupFunction, logins: Logins): Promise<Detour> {
  const { location, signal, stallMs, userAgent = DEFAULT_USER_AGENT } = input;
  const { url, port } = location;
  const proxy = chooseProxy(input.proxy, url);
  if (!proxy) return {};
  await judgeProxiedName(lookup, url.hostname, input.proxy?.allowsUnresolved ?? false);
  const deadline = deadlineAfter(stallMs, signal);
  try {
    if (url.protocol === 'https:') {
      const host = url.hostname.replace(/^\[|\]$/g, '');
      const socket = await openTunnel(proxy, { host, port }, { userAgent, signal: deadline.signal });
      const servername = isIP(host) === 0 ? host : '';
      const trusted = authorities(input);
      return { createConnection: () => connectTls({ ...trusted, socket, servername, ALPNProtocols: ['http/1.1'] }) };
    }
    const authorization = logins.proxy?.authorization(input.sent.method, url.href);
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

async function openRequest(input: HttpPutInput, logins: Logins, expect: boolean): Promise<http.ClientRequest> {
  const { location, sent, policy, stallMs, signal } = input;
  const { url, port } = location;
  const lookup = policy.lookupFor(port);
  const { headers, ...way } = await detour(input, lookup, logins);
  const authorization = logins.server.authorization(sent.method, `${url.pathname}${url.search}`);
  const options: https.RequestOptions = {
    method: sent.method,
    // With an agent `createConnection` would not be called.
    ...(way.createConnection ? {} : { agent: false }),
    timeout: stallMs,
    maxHeaderSize: MAX_HEAD_BYTES,
    headers: {
      'user-agent': input.userAgent ?? DEFAULT_USER_AGENT,
      ...input.originHeaders,
      ...sent.headers,
      'content-length': sent.size,
      connection: 'close',
      ...(expect ? { expect: '100-continue' } : {}),
      ...(authorization === undefined ? {} : { authorization }),
      ...headers,
    },
    signal,
    lookup,
    ...authorities(input),
    ...way,
  };
  return url.protocol === 'https:' ? https.request(url, options) : http.request(url, options);
}

/** What of a final answer counts. */
interface Answer {
  readonly code: number;
  readonly headers: http.IncomingHttpHeaders;
}

/** What the body itself fails with: no fault of the network. */
class BodyFailure extends Error {}

/** Resolves with the final answer, or rejects with what broke the connection. */
async function exchange(input: HttpPutInput, logins: Logins, expect: boolean): Promise<Answer> {
  const { stallMs, limiter, signal } = input;
  const { size } = input.sent;
  const request = await openRequest(input, logins, expect);
  // The option of the request is not applied to a connection of our own.
  request.setTimeout(stallMs);
  return new Promise((resolve, reject) => {
    let body: Readable | undefined;
    let isSending = false;
    let isHeldBack = false;
    let sent = 0;
    let waiting: NodeJS.Timeout | undefined;
    let goOn = (): void => undefined;
    const settle = (act: () => void): void => {
      clearTimeout(waiting);
      act();
      body?.destroy();
      request.destroy();
      goOn();
    };
    const fail = (error: Error): void => settle(() => reject(error));
    const failBody = (error: unknown): void => fail(new BodyFailure('the body failed', { cause: error }));
    const handOver = async (chunk: Buffer): Promise<void> => {
      // Whoever limits the rate is waited for, and that is no stall of the server.
      isHeldBack = true;
      await limiter?.take(chunk.length, signal);
      isHeldBack = false;
      sent += chunk.length;
      input.onProgress?.(sent);
      if (request.write(chunk)) return;
      await new Promise<void>((drained) => {
        goOn = drained;
      });
    };
    const begin = async (from: Readable): Promise<void> => {
      body = from;
      body.on('error', failBody);
      for await (const chunk of body as AsyncIterable<Buffer>) {
        const pieceBytes = limiter?.pieceBytes ?? chunk.length;
        for (let at = 0; at < chunk.length; at += pieceBytes)
          await handOver(chunk.subarray(at, at + pieceBytes)).catch(fail);
      }
      request.end();
    };
    const sendBody = (): void => {
      clearTimeout(waiting);
      if (isSending) return;
      isSending = true;
      Promise.resolve(input.sent.open()).then(begin).catch(failBody);
    };
    request.on('error', fail);
    request.on('drain', () => goOn());
    request.on('timeout', () => {
      if (!isHeldBack) fail(new Error(`no progress for ${stallMs} ms`));
    });
    request.once('close', () => fail(new Error('the connection ended early')));
    request.once('response', (response) => {
      const code = response.statusCode ?? 0;
      response.on('error', fail);
      response.resume();
      const done = (): void => settle(() => resolve({ code, headers: response.headers }));
      // A success before all is handed over is not one yet.
      if (!isSuccess(code) || sent === size) done();
      else request.once('finish', done);
    });
    if (!expect) return sendBody();
    request.once('continue', sendBody);
    request.once('socket', (socket) => {
      const isTls = input.location.url.protocol === 'https:';
      const wait = (): void => {
        waiting = setTimeout(sendBody, Math.min(CONTINUE_WAIT_MS, stallMs / 2));
      };
      if (isTls || socket.connecting) socket.once(isTls ? 'secureConnect' : 'connect', wait);
      else wait();
    });
    request.flushHeaders();
  });
}

const allows = (method: string, { allow = '' }: http.IncomingHttpHeaders): boolean =>
  allow.split(',').some((one) => one.trim().toUpperCase() === method);

interface HttpUpload extends TransferContext, PutOptions {
  readonly location: HostLocation;
  readonly body: UploadBody;
  readonly size: number;
}

/**
 * The body, sent again where the server wants another login, knows nothing of `Expect`, takes it by POST alone, or knows
 * nothing of Content-Disposition: by RFC 2616, 9.6 it must refuse a PUT with it (501) then.
 */
async function deliver(input: HttpUpload): Promise<Answer> {
  const { location, body, size } = input;
  const proxy = chooseProxy(input.proxy, location.url);
  const logins = { server: new Login(location.credentials), proxy: proxy && new Login(proxy.credentials) };
  let { method = 'put' } = input;
  let isNamed = true;
  let expect = size > EXPECT_BYTES;
  for (let times = 1; ; times++) {
    const answer = await exchange({ ...input, sent: sentBody(body, size, method, isNamed) }, logins, expect);
    const { code, headers } = answer;
    const mayRepeat = times < MAX_EXCHANGES;
    if (code === 407 && proxy) {
      if (!mayRepeat || !logins.proxy?.refused(headers['proxy-authenticate'])) throw proxyRefusal(code, headers);
    } else if (code === 417 && expect && mayRepeat) expect = false;
    else if (code === 405 && method === 'put' && allows('POST', headers) && mayRepeat) method = 'post';
    else if (code === 501 && method === 'put' && isNamed && body.fileName !== undefined && mayRepeat) isNamed = false;
    else if (code !== 401 || !mayRepeat || !logins.server.refused(headers['www-authenticate'])) return answer;
  }
}

/**
 * Resolves once the server has answered 2xx to the whole body. Throws `TransferError`, what the body fails with, or the
 * signal's reason. Follows no redirect: OCPP 2.1 N01.FR.27. Safe to repeat as far as the server's PUT or POST is.
 */
export async function httpPut(
  location: HostLocation,
  body: UploadBody,
  options: TransferContext & PutOptions,
): Promise<Brought> {
  const { signal } = options;
  const { size } = body;
  if (size === undefined) throw new TransferError(PUT, 'http_411', 'the size of the body is not known');
  signal.throwIfAborted();
  let answer: Answer;
  try {
    answer = await deliver({ ...options, location, body, size });
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof BodyFailure ? error.cause : networkFailure(PUT, error);
  }
  const { code, headers } = answer;
  if (isSuccess(code)) return { bytes: size };
  const reason: TransferReason = `http_${code}`;
  const retryAfterS = retryAfterSeconds(headers['retry-after'], headers.date, Date.now());
  const wanted = code === 401 ? `; it wants ${wantedSchemes(headers['www-authenticate'])}` : '';
  throw new TransferError(PUT, reason, `the server answered ${code}${wanted}`, { retryAfterS });
}
