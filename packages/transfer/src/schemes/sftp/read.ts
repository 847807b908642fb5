/** The content of a file of SFTP, in order, with many requests under way: one at a time would wait for the line each time. */
import { unlessAborted } from '@khumbu/shared/runtime/abort';
import type { TransferContext } from '../../port.js';
import { StallTimer } from '../../stall-timer.js';
import { TransferError } from '../../transfer-error.js';
import type { SftpSession } from './session.js';

const PIECE_BYTES = 64 * 1024;
const AT_ONCE = 32;

export interface Reading {
  readonly session: SftpSession;
  readonly context: TransferContext;
  readonly signal: AbortSignal;
  readonly handle: Buffer;
}

/** Fill the buffer from this place on; less than that where the file ends. Servers may give less than they are asked for. */
async function fill({ session, handle }: Reading, buffer: Buffer, position: number): Promise<Buffer> {
  let filled = 0;
  while (filled < buffer.length) {
    const got = await session.begin<number>((sftp, answered) =>
      sftp.read(handle, buffer, filled, buffer.length - filled, position + filled, (error, bytes) =>
        answered(error, bytes),
      ),
    );
    if (got === 0) break;
    filled += got;
  }
  return buffer.subarray(0, filled);
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
  const buffers = Array.from({ length: AT_ONCE }, () => Buffer.allocUnsafe(PIECE_BYTES));
  const underWay: Promise<Buffer>[] = [];
  let asked = 0;
  let position = from;
  const ask = (): void => {
    while (underWay.length < AT_ONCE && position < to) {
      const buffer = (buffers[asked % AT_ONCE] as Buffer).subarray(0, Math.min(PIECE_BYTES, to - position));
      const filling = fill(reading, buffer, position);
      filling.catch(() => {});
      underWay.push(filling);
      asked += 1;
      position += buffer.length;
    }
  };
  let at = from;
  try {
    for (;;) {
      ask();
      const wanted = Math.min(PIECE_BYTES, to - at);
      const next = underWay.shift();
      if (!next) return;
      stall.start();
      const piece = await unlessAborted(next, either);
      stall.pause();
      if (piece.length < wanted)
        throw new TransferError(session.leg, 'content_changed', 'the file ends before its size');
      at += piece.length;
      // Its buffer is used again only when more is asked for.
      use(piece);
      await context.limiter?.take(piece.length, either);
    }
  } finally {
    stall.end();
  }
}
