/** Content that is brought over a data connection of FTP. */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { deadlineAfter, unlessAborted } from '@khumbu/shared/runtime/abort';
import type { FTPResponse } from 'basic-ftp';
import { networkFailure } from '../../network-failure.js';
import type { TransferContext } from '../../port.js';
import { StallTimer } from '../../stall-timer.js';
import { TransferError } from '../../transfer-error.js';
import { OfSource, piecesOf } from '../files/source.js';
import { beginTransfer, type DataLine, openData } from './data.js';
import { faultOfReply, type Phase } from './replies.js';
import type { FtpSession } from './session.js';

/** For the last reply, when the data connection has broken off: it says why (a full disk is a reset, and 452 after it). */
const REASON_MS = 5000;

export interface Sending {
  readonly session: FtpSession;
  readonly context: TransferContext;
  readonly signal: AbortSignal;
  /** Bytes handed over so far. */
  readonly onProgress: (bytes: number) => void;
  /** The server has opened a file under the name. */
  readonly onBegun: () => void;
}

const write = (line: DataLine, piece: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    line.socket.write(piece, (error) => (error ? reject(error) : resolve()));
  });

/** `refused`: the server has given up in the midst, and reads no more. */
async function pump(line: DataLine, source: Readable, sending: Sending, refused: AbortSignal): Promise<number> {
  const { session, context, signal, onProgress } = sending;
  const stall = new StallTimer(session.leg, context.stallMs);
  const either = AbortSignal.any([signal, stall.signal, refused]);
  const patient = async (work: Promise<unknown>): Promise<void> => {
    stall.start();
    await unlessAborted(work, either);
    stall.pause();
  };
  let bytes = 0;
  try {
    await patient(line.ready);
    for await (const piece of piecesOf(source, context.limiter)) {
      await context.limiter?.take(piece.length, either);
      await patient(write(line, piece));
      bytes += piece.length;
      onProgress(bytes);
    }
    const closed = once(line.socket, 'finish');
    line.socket.end();
    await patient(closed);
    return bytes;
  } finally {
    stall.end();
  }
}

/**
 * STOR: bring the content under a name. Resolves with its bytes when the server has confirmed all of it. Throws `TransferError`,
 * what the source fails with, or the signal's reason; then the data connection was reset, so that the server knows of the cut.
 */
export async function send(sending: Sending, name: string, source: Readable): Promise<number> {
  const { session, context, signal } = sending;
  const { leg } = session;
  let line: DataLine | undefined;
  try {
    line = await openData(session, context, signal);
    const transfer = beginTransfer(session, `STOR ${name}`);
    const fail = (reply: FTPResponse, phase: Phase = 'underway'): never => {
      throw faultOfReply(leg, reply, phase, session.say(reply));
    };
    const begun = await session.whole(transfer.begun);
    if (begun.code >= 200) fail(begun, 'put');
    sending.onBegun();
    const refused = transfer.ended.then((reply) => (reply.code >= 400 ? fail(reply) : new Promise<never>(() => {})));
    const refusal = new AbortController();
    refused.catch((error: unknown) => refusal.abort(error));
    const bytes = await pump(line, source, sending, refusal.signal).catch(async (error: unknown) => {
      if (error instanceof TransferError || error instanceof OfSource || signal.aborted) throw error;
      // The socket has failed, which says less than the reply.
      await unlessAborted(refused, deadlineAfter(REASON_MS, signal).signal).catch((said: unknown) => {
        if (said instanceof TransferError) throw said;
      });
      throw networkFailure(leg, error);
    });
    session.ftp.socket.setTimeout(session.ftp.timeout);
    const reply = await session.whole(transfer.ended);
    if (reply.code >= 400) fail(reply);
    return bytes;
  } catch (error) {
    line?.reset();
    source.destroy();
    throw error instanceof OfSource ? error.error : session.fault(error);
  }
}
