/** The bytes of what the depot keeps, for readers that come with ranges and conditions (RFC 9110, 13 and 14), so many at once. */
import { Readable } from 'node:stream';
import { onAbort } from '@khumbu/shared/runtime/abort';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../problems.js';
import { decideContent } from './byte-ranges.js';
import { type ContentSource, partialContent, wholeContent } from './content-stream.js';

export interface Offered {
  readonly source: ContentSource;
  readonly etag: string;
  /** Of every answer, also of one without bytes. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Of an answer with bytes, and of HEAD. */
  readonly contentHeaders?: Readonly<Record<string, string>>;
  /** Bytes are about to be handed out. */
  readonly onHandedOut?: () => void;
}

export interface ContentServerOptions {
  /** All of them read at their own pace. */
  readonly mostReaders: number;
  /** What is said to one more. */
  readonly busy: string;
  /** One who takes nothing for this long is cut off, so that others have the place; who comes again goes on with a range. */
  readonly stallMs: number;
  readonly stopping: AbortSignal;
}

export type ServeContent = (
  request: FastifyRequest,
  reply: FastifyReply,
  find: () => Promise<Offered>,
) => Promise<FastifyReply>;

/**
 * Resolves when the answer has ended, or its reader is gone. Rejects with `READS_BUSY`, `PRECONDITION_FAILED`,
 * `RANGE_NOT_SATISFIABLE`, and with what `find` rejects with.
 */
export function createContentServer({ mostReaders, busy, stallMs, stopping }: ContentServerOptions): ServeContent {
  let readers = 0;

  const serve: ServeContent = async (request, reply, find) => {
    const { source, etag, headers = {}, contentHeaders = {}, onHandedOut } = await find();
    const { size } = source;
    const isHead = request.method === 'HEAD';
    const decision = decideContent(request.headers, { size, etag, isHead });
    reply.header('etag', etag).header('accept-ranges', 'bytes').headers(headers);
    switch (decision.kind) {
      case 'precondition_failed':
        throw new Problem('PRECONDITION_FAILED');
      case 'unsatisfiable':
        reply.header('content-range', `bytes */${size}`);
        throw new Problem('RANGE_NOT_SATISFIABLE');
      case 'not_modified':
        return reply.status(304).send();
      case 'whole':
      case 'parts':
        break;
    }
    const content = decision.kind === 'whole' ? wholeContent(source) : partialContent(source, decision.parts);
    reply
      .status(decision.kind === 'whole' ? 200 : 206)
      .headers(content.headers)
      .headers(contentHeaders);
    // Of an empty stream alone Fastify leaves Content-Length as it is.
    if (isHead) return reply.send(Readable.from([]));
    onHandedOut?.();
    const gone = new AbortController();
    const withdraw = onAbort(stopping, () => gone.abort());
    const stalled = setTimeout(() => reply.raw.destroy(), stallMs);
    try {
      // Until the answer has ended, or its reader is gone, whenever that was.
      return await reply.send(content.body(gone.signal, () => stalled.refresh()));
    } finally {
      clearTimeout(stalled);
      withdraw();
      gone.abort();
    }
  };

  return async (...asked) => {
    if (readers >= mostReaders) throw new Problem('READS_BUSY', busy);
    readers += 1;
    try {
      return await serve(...asked);
    } finally {
      readers -= 1;
    }
  };
}
