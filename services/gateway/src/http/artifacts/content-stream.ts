/** Bytes of what the depot holds as a stream that reads no faster than its reader takes them. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Bytes } from './byte-ranges.js';

export const IMAGE_TYPE = 'application/octet-stream';

export interface ContentSource {
  /** At least one byte; the stream may have more of them, and they are not passed on. */
  readonly read: (part: Bytes, signal: AbortSignal) => Promise<Readable>;
  /** For errors. */
  readonly what: string;
  readonly type: string;
  readonly size: number;
}

/** Fails when fewer bytes come: what the reader gets is cut off, and never filled up. */
async function* piecesOf({ read, what }: ContentSource, part: Bytes, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const stream = await read(part, signal);
  try {
    let left = part.length;
    for await (const piece of stream as AsyncIterable<Uint8Array>) {
      yield piece.subarray(0, left);
      left -= Math.min(left, piece.length);
      if (left === 0) return;
    }
    if (left > 0) throw new Error(`the bytes of ${what} are not as many as they were`);
  } finally {
    stream.destroy();
  }
}

const contentRange = ({ offset, length }: Bytes, size: number): string =>
  `bytes ${offset}-${offset + length - 1}/${size}`;

async function* framed(
  source: ContentSource,
  parts: readonly Bytes[],
  heads: readonly string[],
  end: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const [index, part] of parts.entries()) {
    yield Buffer.from(heads[index] ?? '');
    yield* piecesOf(source, part, signal);
  }
  yield Buffer.from(end);
}

export interface Content {
  readonly headers: Readonly<Record<string, string>>;
  /** Opened when it is read. */
  readonly body: (signal: AbortSignal, onAsked: OnAsked) => Readable;
}

/** A reader has taken what there was, `bytes` of it, and wants more. */
type OnAsked = (bytes: number) => void;

async function* asked(pieces: AsyncGenerator<Uint8Array>, onAsked: OnAsked): AsyncGenerator<Uint8Array> {
  onAsked(0);
  for await (const piece of pieces) {
    yield piece;
    onAsked(piece.length);
  }
}

const asStream = (pieces: AsyncGenerator<Uint8Array>, onAsked: OnAsked): Readable =>
  Readable.from(asked(pieces, onAsked), { objectMode: false });

/** All of it. */
export const wholeContent = (source: ContentSource): Content => ({
  headers: { 'content-type': source.type, 'content-length': String(source.size) },
  body: (signal, onAsked) => asStream(piecesOf(source, { offset: 0, length: source.size }, signal), onAsked),
});

/** Some of it: RFC 9110, 15.3.7. */
export function partialContent(source: ContentSource, parts: readonly Bytes[]): Content {
  const { size, type } = source;
  const [only, ...more] = parts;
  if (only && more.length === 0) {
    const headers = { 'content-type': type, 'content-range': contentRange(only, size) };
    return {
      headers: { ...headers, 'content-length': String(only.length) },
      body: (signal, onAsked) => asStream(piecesOf(source, only, signal), onAsked),
    };
  }
  const boundary = `khumbu${randomBytes(18).toString('hex')}`;
  const heads = parts.map(
    (part, index) =>
      `${index === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${contentRange(part, size)}\r\n\r\n`,
  );
  const end = `\r\n--${boundary}--\r\n`;
  const bytes = parts.reduce((sum, { length }) => sum + length, 0);
  const length = heads.reduce((sum, head) => sum + head.length, bytes + end.length);
  return {
    headers: { 'content-type': `multipart/byteranges; boundary=${boundary}`, 'content-length': String(length) },
    body: (signal, onAsked) => asStream(framed(source, parts, heads, end, signal), onAsked),
  };
}
