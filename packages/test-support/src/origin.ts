/**
 * An HTTP(S) origin on loopback that can do everything a real one does wrong: ignore ranges, cut, stall, crawl, redirect,
 * refuse. It also receives uploads by PUT or POST. It counts what was asked and what left, per path.
 */
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { closeNow, listen } from '@khumbu/shared/runtime/listening';
import { selfSigned } from './certificates.js';
import { awaitUntil, collector } from './events.js';
import { type Behaviour, etagOf, lastModifiedOf, partialAnswer, type Resource, sliceFor } from './origin-behaviour.js';

export type { Behaviour } from './origin-behaviour.js';

const PIECE_BYTES = 16 * 1024;

export interface OriginRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  status: number;
  /** Body bytes of the response given to the socket. */
  bodyBytesSent: number;
  /** Set when the response is over: finished, cut or given up by the client. */
  ended: boolean;
}

export interface Upload extends Pick<OriginRequest, 'path' | 'url' | 'method' | 'headers'> {
  readonly body: Buffer;
  readonly status: number;
}

interface Script {
  readonly behaviours: readonly Behaviour[];
  used: number;
}
type Behaviours = Behaviour | readonly Behaviour[];
const scripted = (behaviours: Behaviours = {}): Script => ({
  behaviours: Array.isArray(behaviours) ? behaviours : [behaviours as Behaviour],
  used: 0,
});
const nextOf = (script: Script): Behaviour =>
  script.behaviours[Math.min(script.used++, script.behaviours.length - 1)] ?? {};

function refusal(
  request: IncomingMessage,
  behaviour: Behaviour,
): { status: number; headers: Record<string, string> } | undefined {
  const { auth } = behaviour;
  const wanted = auth && `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`;
  if (wanted && request.headers.authorization !== wanted) {
    return { status: 401, headers: { 'www-authenticate': 'Basic realm="origin"' } };
  }
  if (behaviour.redirect !== undefined) {
    return { status: behaviour.status ?? 302, headers: { location: behaviour.redirect } };
  }
  return behaviour.status === undefined ? undefined : { status: behaviour.status, headers: {} };
}

/** Start an origin on a free port (or `port`). With `tlsDir` it speaks HTTPS with a certificate made there. */
export async function startOrigin(options: { readonly tlsDir?: string; readonly port?: number } = {}) {
  const resources = new Map<string, Resource & { script: Script }>();
  const receivers = new Map<string, Script>();
  const requests = collector<OriginRequest>((r) => `${r.method} ${r.url} ${r.status} ${r.bodyBytesSent}`);
  const uploads = collector<Upload>((u) => `${u.method} ${u.url} ${u.status} ${u.body.length}`);
  const stalled = new Set<() => void>();
  /** Until `release`, or until the client is gone. */
  const stall = (response: ServerResponse): Promise<void> =>
    new Promise((resolve) => {
      stalled.add(resolve);
      response.once('close', resolve);
    });

  async function sendBody(
    response: ServerResponse,
    body: Buffer,
    behaviour: Behaviour,
    log: OriginRequest,
  ): Promise<void> {
    const { cutAfterBytes = Infinity, stallAfterBytes = Infinity, bytesPerSecond } = behaviour;
    for (let sent = 0; sent < body.length; ) {
      if (sent === stallAfterBytes && !response.destroyed) await stall(response);
      if (response.destroyed) return;
      const borders = [cutAfterBytes, stallAfterBytes].filter((border) => border > sent);
      const piece = body.subarray(sent, Math.min(sent + PIECE_BYTES, ...borders));
      await new Promise<void>((resolve) => {
        response.write(piece, () => resolve());
      });
      sent += piece.length;
      log.bodyBytesSent += piece.length;
      if (sent >= cutAfterBytes) return void response.destroy();
      if (bytesPerSecond) await delay((piece.length / bytesPerSecond) * 1000);
    }
    response.end();
  }

  async function serveResource(request: IncomingMessage, response: ServerResponse, log: OriginRequest): Promise<void> {
    const resource = resources.get(log.path);
    if (!resource) return finish(response, log, 404, {});
    const behaviour = nextOf(resource.script);
    if (behaviour.noAnswer) return void response.destroy();
    const refused = refusal(request, behaviour);
    if (refused) return finish(response, log, refused.status, { ...refused.headers, ...behaviour.headers });
    const etag = etagOf(resource, behaviour);
    const modified = lastModifiedOf(resource, behaviour);
    const validators = { ...(etag ? { etag } : {}), ...(modified ? { 'last-modified': modified } : {}) };
    const asked = request.headers;
    if (
      (etag && asked['if-none-match'] === etag) ||
      (!asked['if-none-match'] && modified && asked['if-modified-since'] === modified)
    ) {
      return finish(response, log, 304, validators);
    }
    const ifRange = asked['if-range'];
    const isOfIt = (ifRange === etag && !etag?.startsWith('W/')) || ifRange === modified;
    const holds = ifRange === undefined || isOfIt || behaviour.ignoresIfRange === true;
    const size = resource.content.length;
    const asks = sliceFor(behaviour.ranges === false ? undefined : asked.range, holds, size);
    if (asks.status === 416) return finish(response, log, 416, { 'content-range': `bytes */${size}` });
    const slice = asks.status === 206 ? partialAnswer(asks, size, behaviour.lie) : { ...asks, contentRange: undefined };
    const { contentRange } = slice;
    log.status = asks.status;
    response.writeHead(asks.status, {
      'content-type': 'application/octet-stream',
      ...validators,
      ...(behaviour.ranges === false ? {} : { 'accept-ranges': 'bytes' }),
      ...(behaviour.contentLength === false ? {} : { 'content-length': slice.end - slice.start }),
      ...(contentRange === undefined ? {} : { 'content-range': contentRange }),
      ...behaviour.headers,
    });
    if (request.method === 'HEAD') return void response.end();
    await sendBody(response, resource.content.subarray(slice.start, slice.end), behaviour, log);
  }

  function finish(response: ServerResponse, log: OriginRequest, status: number, headers: Record<string, string>): void {
    log.status = status;
    response.writeHead(status, { ...headers, 'content-length': '0' }).end();
  }

  async function takeUpload(request: IncomingMessage, response: ServerResponse, log: OriginRequest): Promise<void> {
    const at = [...receivers.keys()].filter((path) => log.path.startsWith(path)).sort((a, b) => b.length - a.length)[0];
    const script = at === undefined ? undefined : receivers.get(at);
    if (!script) return finish(response, log, 404, {});
    const behaviour = nextOf(script);
    const { cutAfterBytes = Infinity, bytesPerSecond } = behaviour;
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of request) {
      parts.push(part as Buffer);
      size += (part as Buffer).length;
      if (size >= cutAfterBytes) return void request.destroy();
      if (bytesPerSecond) await delay(((part as Buffer).length / bytesPerSecond) * 1000);
    }
    if (behaviour.stallAfterBytes !== undefined) await stall(response);
    const refused = refusal(request, behaviour) ?? { status: 201, headers: {} };
    const { path, url, method, headers } = log;
    uploads.push({ path, url, method, headers, body: Buffer.concat(parts), status: refused.status });
    finish(response, log, refused.status, { ...refused.headers, ...behaviour.headers });
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    const method = request.method ?? 'GET';
    const path = url.split('?', 1)[0] ?? url;
    const { headers } = request;
    const log: OriginRequest = { method, path, url, headers, status: 0, bodyBytesSent: 0, ended: false };
    response.once('close', () => {
      log.ended = true;
    });
    requests.push(log);
    const reads = method === 'GET' || method === 'HEAD';
    await (reads ? serveResource(request, response, log) : takeUpload(request, response, log));
  }
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    // A client that goes away in the middle is what many tests are about.
    handle(request, response).catch(() => response.destroy());
  };

  const tls = options.tlsDir
    ? await selfSigned(options.tlsDir, 'origin', { extensions: ['subjectAltName=IP:127.0.0.1,DNS:localhost'] })
    : undefined;
  const server = tls ? createHttps({ key: tls.keyPem, cert: tls.certificatePem }, listener) : createHttp(listener);
  const port = await listen(server, options.port ?? 0);
  const base = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  /** Requests so far and body bytes sent for this path. */
  const stats = (path: string): { readonly requests: number; readonly gets: number; readonly bodyBytes: number } => {
    const own = requests.items.filter((request) => request.path === path);
    const bodyBytes = own.reduce((sum, request) => sum + request.bodyBytesSent, 0);
    return { requests: own.length, gets: own.filter((request) => request.method === 'GET').length, bodyBytes };
  };

  return {
    /** No slash at the end. */
    url: base,
    port,
    /** PEM to trust, of an HTTPS origin. */
    ...(tls ? { caPem: tls.certificatePem } : {}),
    /** Everything asked, in order. */
    requests,
    /** Uploads whose body came completely, in order. */
    uploads,
    /**
     * Serve this content; its URL. The nth request for the path gets the nth behaviour, later ones the last. Call again
     * to change content or behaviour; the behaviours then begin anew, the counts go on.
     */
    serve(
      path: string,
      content: Uint8Array,
      behaviours?: Behaviours,
      modified = new Date(Date.UTC(2026, 0, 1)),
    ): string {
      resources.set(path, { content: Buffer.from(content), modified, script: scripted(behaviours) });
      return `${base}${path}`;
    },
    /** Take uploads at this path and below; the nth gets the nth behaviour, later ones the last. Its URL. */
    receive(path: string, behaviours?: Behaviours): string {
      receivers.set(path, scripted(behaviours));
      return `${base}${path}`;
    },
    stats,
    /** Wait until so many body bytes of this path have left. */
    async awaitBytes(path: string, bytes: number, deadlineMs = 10_000): Promise<void> {
      await awaitUntil(() => stats(path).bodyBytes >= bytes, deadlineMs, `${bytes} bytes of ${path} to leave`);
    },
    /** Let stalled responses go on. */
    release(): void {
      for (const resume of stalled) resume();
      stalled.clear();
    },
    /** Safe to repeat. */
    close: () => closeNow(server),
  };
}
export type Origin = Awaited<ReturnType<typeof startOrigin>>;
