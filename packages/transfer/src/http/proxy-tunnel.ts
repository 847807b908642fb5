/** The way through a forward proxy: plain requests are sent to it (RFC 9112, 3.2.2), TLS goes through a tunnel (RFC 9110, 9.3.6). */
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { connect as connectTcp, isIP, isIPv6, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { onAbort, resolveWithin } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { ForwardProxy } from './forward-proxy.js';
import { Login, wantedSchemes } from './login.js';
import { MAX_HEAD_BYTES } from './response-head.js';

/**
 * `PROXY_UNREACHABLE`: no connection to the proxy, or it broke off. `PROXY_REFUSED`: it answered with `status` and made no
 * way. Messages hold neither its credentials nor the location.
 */
export class ProxyError extends CodedError {
  readonly status?: number;
  constructor(message: string, options: { cause?: unknown; status?: number } = {}) {
    super(options.status === undefined ? 'PROXY_UNREACHABLE' : 'PROXY_REFUSED', message, { cause: options.cause });
    this.name = 'ProxyError';
    if (options.status !== undefined) this.status = options.status;
  }
  /** A stable word. */
  get reason(): `proxy_${number}` | 'proxy_unreachable' {
    return this.status === undefined ? 'proxy_unreachable' : `proxy_${this.status}`;
  }
}

/** What a refusal of the proxy means, for people. tinyproxy answers a wrong password with 401. */
export const proxyRefusal = (status: number, headers: http.IncomingHttpHeaders): ProxyError =>
  new ProxyError(
    status === 407 || status === 401
      ? `the forward proxy answered ${status}; it wants ${wantedSchemes(headers['proxy-authenticate'] ?? headers['www-authenticate'])}: check the user and password of its setting`
      : `the forward proxy answered ${status}`,
    { status },
  );

/** A challenge, and a nonce that was stale. */
export const MAX_PROXY_LOGINS = 3;

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly socket: Socket;
}

function connectOnce(
  proxy: ForwardProxy,
  headers: Record<string, string>,
  target: string,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const { host, port, isTls } = proxy;
  const options = { host, port, method: 'CONNECT', path: target, agent: false, headers: { ...headers, host: target } };
  const limits = { maxHeaderSize: MAX_HEAD_BYTES, ...(signal ? { signal } : {}) };
  return new Promise((resolve, reject) => {
    const request = (isTls ? https : http).request({ ...options, ...limits });
    request.once('connect', ({ statusCode = 0, headers: answered }, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve({ status: statusCode, headers: answered, socket: socket as Socket });
    });
    request.once('error', reject);
    request.once('close', () => reject(new Error('no answer to CONNECT')));
    request.end();
  });
}

/** A connection to the proxy itself, for one plain request. Rejects with `ProxyError`, or with the signal's reason. */
export async function connectToProxy({ host, port, isTls }: ForwardProxy, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = isTls ? connectTls({ host, port, servername: isIP(host) === 0 ? host : '' }) : connectTcp(port, host);
  const withdraw = onAbort(signal, () => void socket.destroy());
  try {
    await once(socket, isTls ? 'secureConnect' : 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    throw unreachable(error);
  } finally {
    withdraw();
  }
}

/**
 * A connection to `host` and `port` through the proxy, on which nothing was said yet. Rejects with `ProxyError`, or with
 * the signal's reason.
 */
export async function openTunnel(
  proxy: ForwardProxy,
  { host, port }: { readonly host: string; readonly port: number },
  { userAgent, signal }: { readonly userAgent: string; readonly signal?: AbortSignal | undefined },
): Promise<Socket> {
  const target = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const login = new Login(proxy.credentials);
  for (let asked = 1; ; asked++) {
    const authorization = login.authorization('CONNECT', target);
    const headers = {
      'user-agent': userAgent,
      ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
    };
    let answer: Answer;
    try {
      answer = await connectOnce(proxy, headers, target, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw unreachable(error);
    }
    const { status, headers: answered, socket } = answer;
    if (status >= 200 && status < 300) return socket;
    socket.destroy();
    const isAgain = status === 407 && asked < MAX_PROXY_LOGINS && login.refused(answered['proxy-authenticate']);
    if (!isAgain) throw proxyRefusal(status, answered);
  }
}

/** What the way to the proxy fails with. */
export const unreachable = (error: unknown): ProxyError => {
  const code = (error as NodeJS.ErrnoException).code ?? describeError(error);
  return new ProxyError(`the forward proxy cannot be reached (${code})`, { cause: error });
};

/** Longer than any name server in reach takes. */
const RESOLVE_MS = 5000;

/**
 * The rule for names that go to a proxy: what the depot can resolve is judged by the policy (`lookup`) and refused with
 * its error; what it cannot is left to the proxy, or refused with the error of DNS where that is not allowed.
 */
export async function judgeProxiedName(
  lookup: LookupFunction | undefined,
  hostname: string,
  allowsUnresolved: boolean,
): Promise<void> {
  const host = hostname.replace(/^\[|\]$/g, '');
  if (!lookup || isIP(host) !== 0) return;
  const late = Object.assign(new Error('no name server has answered'), { code: 'EAI_AGAIN' });
  const answer = new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    lookup(host, { all: true }, (error) => resolve(error ?? undefined));
  });
  const failure = await resolveWithin(answer, RESOLVE_MS, late);
  if (failure && (!allowsUnresolved || failure instanceof CodedError)) throw failure;
}
