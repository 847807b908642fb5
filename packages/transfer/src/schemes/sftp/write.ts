/** Content that is brought by SFTP, with many requests under way. */
import type { Readable } from 'node:stream';
import { unlessAborted } from '@khumbu/shared/runtime/abort';
import type { TransferContext } from '../../port.js';
import { StallTimer } from '../../stall-timer.js';
import { piecesOf } from '../files/source.js';
import type { SftpSession } from './session.js';

/** Of the pieces of `piecesOf`: 2 MiB. */
const AT_ONCE = 64;

export interface Writing {
  readonly session: SftpSession;
  readonly context: TransferContext;
  readonly signal: AbortSignal;
  readonly onProgress: (bytes: number) => void;
}

/** Write all of the source into a file that is open. Resolves with its bytes when all are acknowledged. */
export async function writeAll(
  { session, context, signal, onProgress }: Writing,
  handle: Buffer,
  source: Readable,
): Promise<number> {
  const stall = new StallTimer(session.leg, context.stallMs);
  const either = AbortSignal.any([signal, stall.signal]);
  const underWay: Promise<void>[] = [];
  let bytes = 0;
  let confirmed = 0;
  const confirm = async (): Promise<void> => {
    stall.start();
    await unlessAborted(underWay.shift() as Promise<void>, either);
    stall.pause();
    onProgress(confirmed);
  };
  try {
    for await (const piece of piecesOf(source, context.limiter)) {
      await context.limiter?.take(piece.length, either);
      const position = bytes;
      const writing = session
        .begin((sftp, answered) =>
          sftp.write(handle, piece, 0, piece.length, position, (error) => answered(error, undefined)),
        )
        .then(() => {
          confirmed += piece.length;
        });
      writing.catch(() => {});
      underWay.push(writing);
      bytes += piece.length;
      if (underWay.length >= AT_ONCE) await confirm();
    }
    while (underWay.length > 0) await confirm();
    return bytes;
  } finally {
    stall.end();
    source.destroy();
  }
}
