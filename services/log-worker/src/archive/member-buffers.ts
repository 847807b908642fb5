/**
 * Buffers of members, used again once their bytes are compressed. V8 collects what lies outside of its heap only when there is much of
 * it: two thousand buffers of a megabyte each, one after the other, are tens of megabytes more.
 */
export interface MemberBuffers {
  /** One of `size` bytes, with anything in it. */
  readonly take: (size: number) => Buffer;
  /** `bytes`, from the beginning of one of them, go on towards the reader. */
  readonly lend: (bytes: Buffer) => void;
  /** A piece is not needed any more. Only one that was lent as it is comes back: part of it may be anything. */
  readonly absorbed: (piece: Uint8Array) => void;
}

export function createMemberBuffers(largest: number): MemberBuffers {
  const spare: Buffer[] = [];
  const lent = new Map<ArrayBufferLike, number>();
  return {
    take: (size) => (size === largest ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(size),
    lend(bytes) {
      if (bytes.buffer.byteLength === largest) lent.set(bytes.buffer, bytes.length);
    },
    absorbed({ buffer, byteOffset, length }) {
      if (byteOffset !== 0 || lent.get(buffer) !== length) return;
      lent.delete(buffer);
      spare.push(Buffer.from(buffer));
    },
  };
}
