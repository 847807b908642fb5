/** An answer that lasts: until its reader leaves, a key is withdrawn, a token runs out or the gateway stops. */
import { setMaxListeners } from 'node:events';
import { onAbort } from '@khumbu/shared/runtime/abort';
import type { FastifyReply, FastifyRequest } from 'fastify';

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface LastingAnswer {
  /** Fires when it is over for any of these reasons. */
  readonly signal: AbortSignal;
  /** Why; `undefined` while it goes on, and for a reader who left. */
  why(): 'stopping' | 'withdrawn' | undefined;
  /** It was sent, or will not be. */
  close(): void;
}

/** From the moment of the call. */
export function lastingAnswer(request: FastifyRequest, { raw }: FastifyReply, stopping: AbortSignal): LastingAnswer {
  const over = new AbortController();
  let why: 'stopping' | 'withdrawn' | undefined;
  const end = (): void => over.abort();
  const endFor = (reason: 'stopping' | 'withdrawn') => (): void => {
    why ??= reason;
    end();
  };
  raw.on('close', end);
  raw.on('error', end);
  // It may have disconnected before there was a listener.
  if (raw.destroyed) end();
  const { expiresAt, withdrawn } = request.caller ?? {};
  if (withdrawn) setMaxListeners(0, withdrawn);
  const withdraw = [onAbort(stopping, endFor('stopping')), onAbort(withdrawn, endFor('withdrawn'))];
  // A longer delay than a timer can have counts as no end.
  const lastsMs = expiresAt === undefined ? LONGEST_TIMER_MS : Math.max(0, expiresAt - Date.now());
  const expiry = setTimeout(endFor('withdrawn'), Math.min(LONGEST_TIMER_MS, lastsMs));
  return {
    signal: over.signal,
    why: () => why,
    close() {
      clearTimeout(expiry);
      for (const remove of withdraw) remove();
    },
  };
}

/** Headers of an answer that goes around what Fastify adds to others. */
export function beginLasting(request: FastifyRequest, reply: FastifyReply, contentType: string): void {
  reply.hijack();
  reply.raw.writeHead(200, {
    'content-type': contentType,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    'x-content-type-options': 'nosniff',
    'x-request-id': request.id,
  });
}

/** A client that does not read would not read the end either. */
export function endLasting({ raw }: FastifyReply): void {
  if (raw.writableNeedDrain) raw.destroy();
  else raw.end();
}
