/** The bytes of what the depot keeps, for readers that come with ranges and conditions (RFC 9110, 13 and 14), so many at once. */
import { Readable } from 'node:stream';
import { onAbort } from '@khumbu/shared/runtime/abort';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from '../problems.js';
import { decideContent } from './byte-ranges.js';
import { type ContentSource, partialContent, wholeContent } from './content-stream.js';
import { createReaders, LEAST_PACE, type Pace, type Reader } from './readers.js';

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
  /** Who is slower makes room for one more when there is none: else a few who take a little now and then would keep all others out. */
  readonly leastPace?: Pace;
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
export function createContentServer(options: ContentServerOptions): ServeContent {
  const { mostReaders, busy, stallMs, leastPace = LEAST_PACE, stopping } = options;
  const readers = createReaders(mostReaders, leastPace);

  const serve = async (
    reader: Reader,
    request: FastifyRequest,
    reply: FastifyReply,
    find: () => Promise<Offered>,
  ): Promise<FastifyReply> => {
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
      const body = content.body(gone.signal, (bytes) => {
        stalled.refresh();
        reader.took(bytes);
      });
      return await reply.send(body);
    } finally {
      clearTimeout(stalled);
      withdraw();
      gone.abort();
    }
  };

  return async (request, reply, find) => {
    const reader = readers.admit(() => reply.raw.destroy());
    if (!reader) throw new Problem('READS_BUSY', busy);
    try {
      return await serve(reader, request, reply, find);
    } finally {
      reader.leave();
    }
  };
}
