/**
 * How long a connection may keep a request unfinished. Node.js ends what is late from the first byte of a request on
 * (its headers, then its body) and what is idle between two. One thing it does not count: the empty lines that RFC 9112,
 * 2.2 allows ahead of a request. Sent one by one after an answer they would keep a connection for ever.
 */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';

/** A reader that takes nothing of its answer for this long is let go. */
const READER_STALL_MS = 60_000;
/** How often connections are looked at: a late one is found within a tenth of its time, and within a second. */
const checkEveryMs = (timeoutMs: number): number => Math.min(1000, Math.max(20, Math.round(timeoutMs / 10)));

/** Requests that begin in one turn of the event loop: two hundred that come at once do not keep a station waiting. */
const BEGIN_AT_ONCE = 4;

export interface ServerOptions {
  readonly requestTimeoutMs: number;
  readonly https?: { readonly cert: string | Buffer; readonly key: string | Buffer } | undefined;
}

/** Hands requests on a few at a time, in the order they came. */
function fewAtATime(handle: RequestListener): RequestListener {
  let waiting: Parameters<RequestListener>[] = [];
  const next = (): void => {
    const some = waiting.slice(0, BEGIN_AT_ONCE);
    waiting = waiting.slice(BEGIN_AT_ONCE);
    if (waiting.length > 0) setImmediate(next);
    for (const one of some) handle(...one);
  };
  return (...one) => {
    waiting.push(one);
    if (waiting.length === 1) setImmediate(next);
  };
}

/** The server of Node.js with all of its limits. */
export function createServer(handle: RequestListener, { requestTimeoutMs, https }: ServerOptions): Server {
  const options = {
    requestTimeout: requestTimeoutMs,
    headersTimeout: requestTimeoutMs,
    keepAliveTimeout: requestTimeoutMs,
    connectionsCheckingInterval: checkEveryMs(requestTimeoutMs),
    // Refused by us, as a problem.
    requireHostHeader: false,
  };
  const server = https
    ? // Until the handshake is over there is no request.
      createHttpsServer({ ...options, ...https, handshakeTimeout: requestTimeoutMs }, fewAtATime(handle))
    : createHttpServer(options, fewAtATime(handle));
  return server.setTimeout(Math.max(READER_STALL_MS, 2 * requestTimeoutMs));
}

interface Watched {
  /** Requests that came and are not answered. */
  readonly answering: Set<ServerResponse>;
  /** `bytesRead` when there was nothing left to answer. */
  bytesThen: number;
  /** When something came after that. */
  since?: number;
}

/** The server as far as it is watched: that of `node:http` or `node:https`. */
export interface WatchedServer {
  on(event: 'connection' | 'secureConnection', listener: (socket: Socket) => void): unknown;
  on(event: 'request', listener: (request: IncomingMessage, response: ServerResponse) => void): unknown;
}

/** `late` ends a connection that sent something, and no request, for as long as a request may take. */
export function watchConnections(
  server: WatchedServer,
  timeoutMs: number,
  late: (socket: Socket) => void,
  isTls: boolean,
) {
  const sockets = new Map<Socket, Watched>();
  server.on(isTls ? 'secureConnection' : 'connection', (socket) => {
    sockets.set(socket, { answering: new Set(), bytesThen: 0 });
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('request', ({ socket }, response) => {
    const watched = sockets.get(socket);
    if (!watched) return;
    watched.answering.add(response);
    response.once('close', () => {
      watched.answering.delete(response);
      if (watched.answering.size > 0) return;
      watched.bytesThen = socket.bytesRead;
      delete watched.since;
    });
  });
  const everyMs = checkEveryMs(timeoutMs);
  const look = (): void => {
    const now = performance.now();
    for (const [socket, watched] of sockets) {
      if (watched.answering.size > 0 || socket.bytesRead === watched.bytesThen) continue;
      watched.since ??= now;
      // Later than Node.js, which knows whether it is a request.
      if (now - watched.since < timeoutMs + everyMs) continue;
      watched.since = now;
      late(socket);
    }
  };
  const timer = setInterval(look, everyMs).unref();
  return {
    /** The answers that a connection waits for, in order. */
    answering: (socket: Socket): readonly ServerResponse[] => [...(sockets.get(socket)?.answering ?? [])],
    stop: (): void => clearInterval(timer),
  };
}
