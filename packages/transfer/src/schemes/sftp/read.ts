/** The content of a file of SFTP, in order, with many requests under way: one at a time would wait for the line each time. */
import { unlessAborted } from '@khumbu/shared/runtime/abort';
import type { TransferContext } from '../../port.js';
import { StallTimer } from '../../stall-timer.js';
import { TransferError } from '../../transfer-error.js';
import type { SftpSession } from './session.js';

/**
 * ssh2 cuts larger requests where the server does not say that it answers them, and asks for the rest of each behind all others: what has
 * come would have holes, and after a cut only what is before the first one counts. For the same reason a server that gives less is asked
 * for no more than that.
 */
const PIECE_BYTES = 30 * 1024;
const LEAST_BYTES = 4 * 1024;
/** 960 KiB: enough for 10 MB/s over 90 ms; what is under way when we are killed comes again. */
const AT_ONCE = 32;
/**
 * Pieces of an even rate, where it is limited: what is under way was not counted yet. Four tenths of a second of the rate of the WAN: a line
 * with that delay is still used in full, and half a minute has 1.3 percent more at most.
 */
const EVEN_PIECES = 4;

export interface Reading {
  readonly session: SftpSession;
  readonly context: TransferContext;
  readonly signal: AbortSignal;
  readonly handle: Buffer;
}

/** Fill the buffer from this place on; less than that where the file ends. `onLess`: the server gives so many bytes, and not the end. */
async function fill(
  { session, handle }: Reading,
  buffer: Buffer,
  position: number,
  onLess: (bytes: number) => void,
): Promise<Buffer> {
  let filled = 0;
  while (filled < buffer.length) {
    const got = await session.begin<number>((sftp, answered) =>
      sftp.read(handle, buffer, filled, buffer.length - filled, position + filled, (error, bytes) =>
        answered(error, bytes),
      ),
    );
    if (got === 0) break;
    filled += got;
    if (filled < buffer.length) onLess(got);
  }
  return buffer.subarray(0, filled);
}

/** How many bytes are asked for at once, and how often. Pure. */
function requestsFor(evenBytes: number | undefined): { readonly most: number; readonly atOnce: number } {
  if (evenBytes === undefined) return { most: PIECE_BYTES, atOnce: AT_ONCE };
  const most = Math.min(PIECE_BYTES, Math.max(LEAST_BYTES, evenBytes));
  return { most, atOnce: Math.min(AT_ONCE, Math.max(1, Math.floor((EVEN_PIECES * evenBytes) / most))) };
}

/** Hand over the bytes from `from` to before `to`. Throws `content_changed` when the file ends before. */
export async function readFrom(
  reading: Reading,
  from: number,
  to: number,
  use: (piece: Buffer) => void,
): Promise<void> {
  const { session, context, signal } = reading;
  const stall = new StallTimer(session.leg, context.stallMs);
  const either = AbortSignal.any([signal, stall.signal]);
  const { atOnce, ...first } = requestsFor(context.limiter?.pieceBytes);
  const buffers = Array.from({ length: atOnce }, () => Buffer.allocUnsafe(first.most));
  let { most } = first;
  const underWay: { readonly wanted: number; readonly filling: Promise<Buffer> }[] = [];
  let asked = 0;
  let position = from;
  const onLess = (bytes: number): void => {
    most = Math.max(LEAST_BYTES, Math.min(most, bytes));
  };
  const ask = (): void => {
    while (underWay.length < atOnce && position < to) {
      const buffer = (buffers[asked % atOnce] as Buffer).subarray(0, Math.min(most, to - position));
      const filling = fill(reading, buffer, position, onLess);
      filling.catch(() => {});
      underWay.push({ wanted: buffer.length, filling });
      asked += 1;
      position += buffer.length;
    }
  };
  try {
    for (;;) {
      ask();
      const next = underWay.shift();
      if (!next) return;
      stall.start();
      const piece = await unlessAborted(next.filling, either);
      stall.pause();
      if (piece.length < next.wanted)
        throw new TransferError(session.leg, 'content_changed', 'the file ends before its size');
      // Its buffer is used again only when more is asked for.
      use(piece);
      await context.limiter?.take(piece.length, either);
    }
  } finally {
    stall.end();
  }
}
