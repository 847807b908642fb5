/** Cut a log stream at line ends. */
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
 * breaks what came before is there first, then its error. Bytes are copied: the stream may use its buffers again.
 */
export async function* membersOf(
  stream: AsyncIterable<Buffer | string>,
  memberBytes: number,
): AsyncGenerator<Member, void, undefined> {
  // Small at first: a source may have a thousand small files.
  let buffer = Buffer.allocUnsafeSlow(Math.min(FIRST_BYTES, memberBytes));
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
          // The archive still holds the old buffer: no reuse.
          buffer = Buffer.allocUnsafeSlow(memberBytes);
          used = full.copy(buffer, 0, end);
          yield { bytes: full.subarray(0, end), records: countLines(full.subarray(0, end)) };
        }
        if (used === buffer.length) {
          const larger = Buffer.allocUnsafeSlow(Math.min(2 * used, memberBytes));
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
    yield { bytes: last, records: countLines(last) + (last[used - 1] === NEWLINE ? 0 : 1) };
  }
  if (failure) throw failure.error;
}
