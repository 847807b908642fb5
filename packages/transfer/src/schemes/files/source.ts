/** What is brought, told apart from the network it is brought by: an error of it is the caller's own. */
import type { Readable } from 'node:stream';

export class OfSource {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

/** Throws `OfSource`. */
export async function* piecesOf(source: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const piece of source) yield piece as Buffer;
  } catch (error) {
    throw new OfSource(error);
  }
}
