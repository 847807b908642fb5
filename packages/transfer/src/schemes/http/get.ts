/** One GET over `node:http` or `node:https`: policy for names and addresses, redirects followed here, an end to stalls. */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { DEFAULT_USER_AGENT } from '@khumbu/shared/http/user-agent';
import type { HostLocation } from '@khumbu/shared/locations/location';
import { checkedLocation } from '../../checked-location.js';
import type { TransferReason } from '../../faults/fault.js';
import { chooseProxy, type ForwardProxy } from '../../http/forward-proxy.js';
import { type Login, wantedSchemes } from '../../http/login.js';
import { judgeProxiedName, MAX_PROXY_LOGINS, openTunnel, proxyRefusal, unreachable } from '../../http/proxy-tunnel.js';
import { MAX_HEAD_BYTES } from '../../http/response-head.js';
import { networkFailure } from '../../network-failure.js';
import type { TransferContext } from '../../port.js';
import { StallTimer } from '../../stall-timer.js';
import { type Leg, TransferError } from '../../transfer-error.js';
import { type Detour, DirectBody } from './direct-body.js';
import { redirectTarget } from './redirect-target.js';
import type { Session } from './session.js';

export interface HttpGetOptions extends TransferContext {
  /** Of the download this request belongs to. */
  readonly session: Session;
  /** Sent to every hop. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface HttpGetResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Where redirects led to in the end. */
  readonly url: URL;
  /**
   * At most once: hand the body to `use`, piece by piece, each valid only during the call. If that returns a promise, nothing more
   * is read until it resolves, but for what was deciphered already. Throws what `use` throws, else `TransferError` or the signal's
   * reason. Time that `use` takes is no stall.
   */
  readBody(use: (piece: Buffer) => Promise<void> | undefined): Promise<void>;
  /** The rest of the body is not wanted: ends the connection. */
  drop(): void;
}

const MAX_REDIRECTS = 5;
/** A challenge, and a nonce that was stale. */
const MAX_LOGINS = 3;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

export const GET: Leg = { direction: 'get', scheme: 'https' };

/** A redirect is judged as the location itself. */
async function nextHop(text: string, { policy }: HttpGetOptions): Promise<HostLocation> {
  const location = await checkedLocation(policy, text, GET);
  if (location.scheme !== 'http' && location.scheme !== 'https')
    throw new TransferError(GET, 'scheme_unsupported', `${location.scheme}: is not fetched over HTTP`);
  return location;
}

/** The proxy of a hop, with the login it is used with. */
interface ProxyRoute {
  readonly proxy: ForwardProxy;
  readonly login: Login;
}

interface RequestPath {
  readonly detour?: Detour;
  /** What the request line and the headers have of it. */
  readonly path?: string;
  readonly headers?: Record<string, string>;
}

/** The way to the origin: the policy judges the name before it is sent to a proxy. */
async function pathTo(
  { url, port }: HostLocation,
  route: ProxyRoute | undefined,
  options: HttpGetOptions,
  signal: AbortSignal,
): Promise<RequestPath> {
  if (!route) return {};
  const { proxy, login } = route;
  await judgeProxiedName(options.policy.lookupFor(port), url.hostname, options.proxy?.allowsUnresolved ?? false).catch(
    (error: unknown) => {
      throw networkFailure(GET, error);
    },
  );
  signal.throwIfAborted();
  if (url.protocol === 'https:') {
    const target = { host: url.hostname.replace(/^\[|\]$/g, ''), port };
    const userAgent = options.headers['user-agent'] ?? DEFAULT_USER_AGENT;
    return { detour: { kind: 'tunnel', socket: await openTunnel(proxy, target, { userAgent, signal }) } };
  }
  const authorization = login.authorization('GET', url.href);
  return {
    detour: { kind: 'proxy', host: proxy.host, port: proxy.port, isTls: proxy.isTls },
    path: url.href,
    headers: authorization === undefined ? {} : { 'proxy-authorization': authorization },
  };
}

const isUnconnected = (failure: unknown): boolean =>
  failure instanceof TransferError && ['dns', 'connect', 'tls'].includes(failure.reason);

/** One hop. The response is not read yet. */
async function send(
  hop: HostLocation,
  route: ProxyRoute | undefined,
  headers: Record<string, string>,
  options: HttpGetOptions,
): Promise<HttpGetResponse> {
  const { url, port } = hop;
  const { policy, ca, stallMs, limiter, signal } = options;
  const stall = new StallTimer(GET, stallMs);
  const either = AbortSignal.any([signal, stall.signal]);
  const translate = (error: unknown): unknown => (either.aborted ? either.reason : networkFailure(GET, error));
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  try {
    signal.throwIfAborted();
    stall.start();
    const way = await pathTo(hop, route, options, either);
    const body = new DirectBody(url.protocol, way.detour, limiter?.pieceBytes);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request(url, {
        headers: { ...headers, ...way.headers },
        ...(way.path === undefined ? {} : { path: way.path }),
        lookup: policy.lookupFor(port),
        createConnection: body.createConnection,
        signal: either,
        maxHeaderSize: MAX_HEAD_BYTES,
        ...(ca === undefined ? {} : { ca: [ca].flat() }),
      });
      outgoing.on('response', (answer) => {
        body.begin(answer);
        resolve(answer);
      });
      outgoing.on('error', reject);
      // An unrequested switch of protocols (101) closes it without an error.
      outgoing.on('close', () =>
        reject(new TransferError(GET, 'bad_response', 'the server gave no answer to the request')),
      );
      outgoing.end();
    });
    // Errors reject `readBody`; before it is called they must not end the process.
    response.on('error', () => {});
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      url,
      async readBody(use) {
        let isWithReader = false;
        /** For the limiter, or for the reader: what was deciphered already comes all the same. */
        let waits = 0;
        try {
          stall.start();
          await body.read((piece) => {
            stall.pause();
            isWithReader = true;
            const isHeldUp = use(piece);
            isWithReader = false;
            const limit = limiter?.take(piece.length, either);
            const wait = isHeldUp && limit ? Promise.all([isHeldUp, limit]).then(() => undefined) : (isHeldUp ?? limit);
            if (wait) waits += 1;
            else if (waits === 0) stall.start();
            return wait?.then(() => {
              waits -= 1;
              if (waits === 0) stall.start();
            });
          });
        } catch (error) {
          // What the reader threw is its own; the rest is the network's.
          throw isWithReader ? error : translate(error);
        } finally {
          stall.end();
          response.destroy();
        }
      },
      drop() {
        stall.end();
        response.destroy();
      },
    };
  } catch (error) {
    stall.end();
    const failure = translate(error);
    // Errors of a tunnel name the proxy already.
    const isOfProxy = route && url.protocol === 'http:' && isUnconnected(failure) && failure !== error;
    throw isOfProxy ? networkFailure(GET, unreachable(error)) : failure;
  } finally {
    stall.pause();
  }
}

/** Send the request to one origin, and log in by the scheme it wants. */
async function getFromOrigin(
  hop: HostLocation,
  first: HostLocation,
  options: HttpGetOptions,
): Promise<HttpGetResponse> {
  const { session } = options;
  const isHome = hop.url.origin === first.url.origin;
  const login = session.login(hop, hop.credentials ?? (isHome ? first.credentials : undefined));
  const proxy = chooseProxy(options.proxy, hop.url);
  const route = proxy && { proxy, login: session.login({ url: new URL(proxy.origin) }, proxy.credentials) };
  let refusals = 0;
  for (let asked = 1; ; asked++) {
    const authorization = login.authorization('GET', `${hop.url.pathname}${hop.url.search}`);
    const headers = {
      ...options.headers,
      ...(isHome ? options.originHeaders : {}),
      ...session.cookies(hop),
      ...(authorization === undefined ? {} : { authorization }),
    };
    const answer = await send(hop, route, headers, options);
    if (route && answer.status === 407) {
      answer.drop();
      refusals += 1;
      if (refusals < MAX_PROXY_LOGINS && route.login.refused(answer.headers['proxy-authenticate'])) continue;
      throw networkFailure(GET, proxyRefusal(answer.status, answer.headers));
    }
    await session.learn(hop.url, answer.headers);
    const isAgain = answer.status === 401 && asked < MAX_LOGINS && login.refused(answer.headers['www-authenticate']);
    if (!isAgain) return answer;
    answer.drop();
  }
}

/** A failed response, for people: a 401 names the schemes that the server wants. */
export function explain(
  { status, headers }: Pick<HttpGetResponse, 'status' | 'headers'>,
  reason: TransferReason,
): string {
  const plain = `the server answered ${status}`;
  if (reason === 'transfer_encoding') return `${plain}, with a transfer coding that was not asked for`;
  return status === 401 ? `${plain}; it wants ${wantedSchemes(headers['www-authenticate'])}` : plain;
}

/**
 * GET a location that was checked and follow its redirects, each checked like the location itself. Credentials of the location go
 * to its own origin only, cookies to the one that set them. Throws `TransferError`, or the signal's reason when aborted.
 */
export async function httpGet(first: HostLocation, options: HttpGetOptions): Promise<HttpGetResponse> {
  let hop = first;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const answer = await getFromOrigin(hop, first, options);
    const target = answer.headers.location;
    if (!REDIRECTS.includes(answer.status) || target === undefined) return answer;
    answer.drop();
    const next = redirectTarget(target, hop.url);
    if (!next) throw new TransferError(GET, 'bad_response', 'the redirect leads nowhere');
    hop = await nextHop(next.href, options);
  }
  throw new TransferError(GET, 'too_many_redirects', `more than ${MAX_REDIRECTS} redirects`);
}
