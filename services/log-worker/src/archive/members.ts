/** Cut a log stream at line ends. */
import type { Readable } from 'node:stream';

export interface Member {
  readonly bytes: Buffer;
  /** Lines that end here. */
  readonly records: number;
}

const NEWLINE = 0x0a;

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines += 1;
  return lines;
}

const asBuffer = (chunk: Buffer | string): Buffer => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk);

/**
 * Members of at most `memberBytes`, together exactly the bytes of `stream`. Each ends with a line end, except a line
 * longer than a member, and a last line that has none (it counts as a record). An empty stream has no members.
 */
export async function* membersOf(stream: Readable, memberBytes: number): AsyncGenerator<Member> {
  let buffer = Buffer.allocUnsafeSlow(memberBytes);
  let used = 0;
  for await (const chunk of stream as AsyncIterable<Buffer | string>) {
    const bytes = asBuffer(chunk);
    for (let from = 0; from < bytes.length; ) {
      if (used === memberBytes) {
        const end = buffer.lastIndexOf(NEWLINE) + 1 || memberBytes;
        const full = buffer;
        // The archive still holds the old buffer: no reuse.
        buffer = Buffer.allocUnsafeSlow(memberBytes);
        used = full.copy(buffer, 0, end);
        yield { bytes: full.subarray(0, end), records: countLines(full.subarray(0, end)) };
      }
      const copied = bytes.copy(buffer, used, from);
      from += copied;
      used += copied;
    }
  }
  if (used === 0) return;
  const last = buffer.subarray(0, used);
  yield { bytes: last, records: countLines(last) + (last[used - 1] === NEWLINE ? 0 : 1) };
}
