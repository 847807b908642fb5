/** A stream cut into the parts of a multipart upload. */
import type { Readable } from 'node:stream';

export interface Part {
  readonly number: number;
  /** A view of `buffer`. */
  readonly bytes: Buffer;
  readonly buffer: Buffer;
  readonly last: boolean;
}

const asBuffer = (chunk: Buffer | Uint8Array | string): Buffer =>
  typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);

/** Cut a stream into parts. The last part is marked so, so a full one waits for the byte after it. */
export async function* partsOf(
  { body, onRead }: { readonly body: Readable; readonly onRead?: ((bytes: Buffer) => void) | undefined },
  takeBuffer: () => Buffer,
): AsyncGenerator<Part> {
  let number = 1;
  let buffer = takeBuffer();
  let used = 0;
  for await (const chunk of body as AsyncIterable<Buffer | Uint8Array | string>) {
    let rest = asBuffer(chunk);
    onRead?.(rest);
    while (rest.length > 0) {
      if (used === buffer.length) {
        yield { number, bytes: buffer, buffer, last: false };
        number += 1;
        buffer = takeBuffer();
        used = 0;
      }
      const copied = rest.copy(buffer, used);
      used += copied;
      rest = rest.subarray(copied);
    }
  }
  yield { number, bytes: buffer.subarray(0, used), buffer, last: true };
}
