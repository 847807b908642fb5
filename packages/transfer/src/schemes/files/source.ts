/** What is brought, told apart from the network it is brought by: an error of it is the caller's own. */
import type { Readable } from 'node:stream';

export class OfSource {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

/**
 * Each one that is taken proves that the line moves: with larger ones a good slow line would count as stalled. ssh2 cuts requests of SFTP at
 * 32 KiB less their heads, and sends the rest of one behind all others.
 */
const PIECE_BYTES = 30 * 1024;

/** Small ones, whatever the source reads at once. Throws `OfSource`. */
export async function* piecesOf(source: Readable, { pieceBytes = PIECE_BYTES } = {}): AsyncGenerator<Buffer> {
  const most = Math.min(pieceBytes, PIECE_BYTES);
  try {
    for await (const read of source)
      for (let at = 0; at < (read as Buffer).length; at += most) yield (read as Buffer).subarray(at, at + most);
  } catch (error) {
    throw new OfSource(error);
  }
}
