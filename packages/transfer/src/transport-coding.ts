/**
 * Bytes that were compressed in transit although identity was requested are decoded to the file. They are
 * never taken for the file. Whether they were is decided by the bytes themselves, the label and the file's own name:
 *
 * | label | the bytes | the file's name or type | taken |
 * |---|---|---|---|
 * | none we know | any | any | as they come |
 * | a coding | do not begin like it, or are none | any | as they come: the label is a remark |
 * | a coding | are of it | says nothing of it | decoded |
 * | a coding | are of it, once | says that the file is of it | as they come: the label describes the file |
 * | a coding | are of it, twice | says that the file is of it | decoded once |
 * | none | are gzip or zstd, and of another size than the same ETag had before | any | decoded, if that gives the size |
 *
 * Whatever is of the coding but cannot be decoded (cut off, bytes behind its end, several codings, no decoder) is refused
 * with `content_encoding`.
 */
import type { FileHandle } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import type { Coding, Labels } from './labels.js';
import { TransferError } from './transfer-error.js';

const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
const PIECE_BYTES = 256 * 1024;
/** As far as a coding without a mark of its own must be decodable to count as that coding. */
const PROOF_BYTES = 4096;

const isZlib = (begin: Buffer): boolean =>
  begin.length > 2 && ((begin[0] ?? 0) & 0x0f) === 8 && begin.readUInt16BE(0) % 31 === 0;
const beginsWith = (begin: Buffer, mark: readonly number[]): boolean => mark.every((byte, at) => begin[at] === byte);

type Decompressor = zlib.Gunzip | zlib.Inflate | zlib.InflateRaw | zlib.BrotliDecompress;

interface Decoder {
  /** `false`: certainly not of this coding. */
  readonly maybe: (begin: Buffer) => boolean;
  /** A mark long enough that nothing else has it by chance. */
  readonly isMarked: boolean;
  /** Absent where this Node has none. */
  readonly create?: (begin: Buffer) => Decompressor;
}

/** Node 22.15 and newer has it. */
const { createZstdDecompress } = zlib as unknown as { createZstdDecompress?: () => zlib.Gunzip };

const DECODERS: Readonly<Record<Coding, Decoder>> = {
  gzip: { maybe: (begin) => beginsWith(begin, [0x1f, 0x8b, 8]), isMarked: true, create: () => zlib.createGunzip() },
  zstd: {
    maybe: (begin) => beginsWith(begin, ZSTD),
    isMarked: true,
    ...(createZstdDecompress ? { create: createZstdDecompress } : {}),
  },
  compress: { maybe: (begin) => beginsWith(begin, [0x1f, 0x9d]), isMarked: true },
  // Some servers leave the zlib frame out (RFC 9110, 8.4.1.2).
  deflate: {
    maybe: (begin) => begin.length > 0,
    isMarked: false,
    create: (begin) => (isZlib(begin) ? zlib.createInflate() : zlib.createInflateRaw()),
  },
  br: { maybe: (begin) => begin.length > 0, isMarked: false, create: () => zlib.createBrotliDecompress() },
};

/**
 * The first frame of an upload to S3 (Signature Version 4: chunked uploads, signed or only with a checksum behind them): a
 * store that kept it has kept no file.
 */
const AWS_CHUNK = /^([0-9a-f]{1,12})(;chunk-signature=[0-9a-f]{64})?\r\n/i;

/** Whether it begins with a frame: the head of one without a signature may be the first line of a text. */
async function isFramed(file: FileHandle, begin: Buffer): Promise<boolean> {
  const [head, length, signature] = AWS_CHUNK.exec(begin.toString('latin1', 0, 128)) ?? [];
  if (head === undefined || length === undefined) return false;
  if (signature !== undefined) return true;
  const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, head.length + Number.parseInt(length, 16));
  return bytesRead === 2 && buffer.toString('latin1') === '\r\n';
}

const refused = (coding: Coding | 'aws-chunked', why: string, cause?: unknown): TransferError =>
  new TransferError(
    { direction: 'get', scheme: 'https' },
    'content_encoding',
    `the server sent the image as ${coding}, unasked, and ${why}`,
    { cause },
  );

/** What a decoder fails with when the bytes are not what it wants, or end too early. */
const isBadData = (error: unknown): boolean =>
  /^(Z_|ERR_BROTLI|ERR_ZSTD|ERR__ERROR|ERR_ZLIB|ERR_PADDING)/.test((error as NodeJS.ErrnoException).code ?? '');

/** Whether what comes out of one decoding begins like the same coding again. */
async function isCodedTwice(file: FileHandle, sizeBytes: number, begin: Buffer, decoder: Decoder): Promise<boolean> {
  const { create, maybe, isMarked } = decoder;
  if (!create || !isMarked) return false;
  const stream = create(begin);
  const out = new Promise<Buffer>((resolve) => {
    stream.once('data', (piece: Buffer) => resolve(piece));
    stream.once('end', () => resolve(Buffer.alloc(0)));
    stream.once('error', () => resolve(Buffer.alloc(0)));
  });
  const { buffer, bytesRead } = await file.read(Buffer.alloc(64 * 1024), 0, 64 * 1024, 0);
  stream.write(buffer.subarray(0, bytesRead));
  if (bytesRead === sizeBytes) stream.end();
  else stream.flush();
  const first = await out;
  stream.destroy();
  return maybe(first);
}

export interface CodedFile {
  /** Open for reading. */
  readonly file: FileHandle;
  readonly sizeBytes: number;
  /** Its first bytes. */
  readonly begin: Buffer;
  readonly labels: Labels;
  readonly signal: AbortSignal;
}

const isOfAnotherSize = ({ sizeBefore }: Labels, sizeBytes: number): boolean =>
  sizeBefore !== undefined && sizeBefore !== sizeBytes;
const markedCoding = (begin: Buffer): Coding | undefined =>
  (['gzip', 'zstd'] as const).find((coding) => DECODERS[coding].maybe(begin));

/**
 * Which coding is to be taken off, `undefined`: none. Throws `TransferError` `content_encoding` for what has to be taken off
 * and cannot.
 */
export async function codingToRemove({ file, sizeBytes, begin, labels }: CodedFile): Promise<Coding | undefined> {
  const { coding, codedAtRest, moreCodings, awsChunked } = labels;
  if (awsChunked && (await isFramed(file, begin)))
    throw refused('aws-chunked', 'its frames are not the file: its upload to the store was not taken apart');
  if (coding === undefined) return isOfAnotherSize(labels, sizeBytes) ? markedCoding(begin) : undefined;
  const decoder = DECODERS[coding];
  if (!decoder.maybe(begin)) return undefined;
  if (codedAtRest && !(await isCodedTwice(file, sizeBytes, begin, decoder))) return undefined;
  if (!decoder.isMarked) return coding;
  if (moreCodings) throw refused(coding, 'names further codings');
  if (!decoder.create) throw refused(coding, 'there is no decoder for it');
  return coding;
}

/**
 * Hand the decoded bytes to `use`. Resolves with `false` when the bytes are not of this coding after all, which only
 * shows with codings without a mark; what was handed over is void then. Throws `content_encoding`, or what `use` throws.
 */
export async function removeCoding(coded: CodedFile, coding: Coding, use: (piece: Buffer) => void): Promise<boolean> {
  const { file, sizeBytes, begin, signal } = coded;
  const { create, isMarked } = DECODERS[coding];
  if (!create) throw refused(coding, 'there is no decoder for it');
  const decoder = create(begin);
  let decodedBytes = 0;
  const sink = new Writable({
    write(piece: Buffer, _encoding, done) {
      try {
        decodedBytes += piece.length;
        use(piece);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
  try {
    const source = file.createReadStream({ start: 0, autoClose: false, highWaterMark: PIECE_BYTES });
    await pipeline(source, decoder, sink, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!isBadData(error)) throw error;
    if (!isMarked && decodedBytes < PROOF_BYTES) return false;
    throw refused(coding, 'it cannot be decoded', error);
  }
  if (isOfAnotherSize(coded.labels, decodedBytes)) throw refused(coding, 'decoded it is of another size than before');
  if (decoder.bytesWritten === sizeBytes) return true;
  if (!isMarked) return false;
  throw refused(coding, 'something follows behind its end');
}
