/** Cut a log stream at line ends. */
import type { MemberBuffers } from './member-buffers.js';

export interface Member {
  readonly bytes: Buffer;
  /** Lines that end here. */
  readonly records: number;
}

const NEWLINE = 0x0a;
const FIRST_BYTES = 64 * 1024;

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines += 1;
  return lines;
}

const asBuffer = (chunk: Buffer | string): Buffer => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk);

/**
 * Members of at most `memberBytes`, together exactly the bytes of `stream`. Each ends with a line end, except a line
 * longer than a member, and a last line that has none (it counts as a record). An empty stream has no members. Of a stream that
 * breaks what came before is there first, then its error. Bytes are copied: the stream may use its buffers again. Those of a member are
 * used again when `buffers` hears that they are not needed.
 */
export async function* membersOf(
  stream: AsyncIterable<Buffer | string>,
  memberBytes: number,
  buffers: MemberBuffers,
): AsyncGenerator<Member, void, undefined> {
  // Small at first: a source may have a thousand small files.
  let buffer = buffers.take(Math.min(FIRST_BYTES, memberBytes));
  let used = 0;
  let failure: { readonly error: unknown } | undefined;
  const chunks = stream[Symbol.asyncIterator]();
  const nextChunk = async (): Promise<Buffer | undefined> => {
    try {
      const { done, value } = await chunks.next();
      return done ? undefined : asBuffer(value);
    } catch (error) {
      failure = { error };
      return undefined;
    }
  };
  try {
    for (let bytes = await nextChunk(); bytes !== undefined; bytes = await nextChunk()) {
      for (let from = 0; from < bytes.length; ) {
        if (used === memberBytes) {
          const end = buffer.lastIndexOf(NEWLINE) + 1 || memberBytes;
          const full = buffer;
          buffer = buffers.take(memberBytes);
          used = full.copy(buffer, 0, end);
          const bytes = full.subarray(0, end);
          buffers.lend(bytes);
          yield { bytes, records: countLines(bytes) };
        }
        if (used === buffer.length) {
          const larger = buffers.take(Math.min(2 * used, memberBytes));
          buffer.copy(larger);
          buffer = larger;
        }
        const copied = bytes.copy(buffer, used, from);
        from += copied;
        used += copied;
      }
    }
  } finally {
    await chunks.return?.();
  }
  if (used > 0) {
    const last = buffer.subarray(0, used);
    buffers.lend(last);
    yield { bytes: last, records: countLines(last) + (last[used - 1] === NEWLINE ? 0 : 1) };
  }
  if (failure) throw failure.error;
}
