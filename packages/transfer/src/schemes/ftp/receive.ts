/** Content that comes over a data connection of FTP. */

import { deadlineAfter, onAbort, unlessAborted } from '@khumbu/shared/runtime/abort';
import type { FTPResponse } from 'basic-ftp';
import { networkFailure } from '../../network-failure.js';
import type { TransferContext } from '../../port.js';
import { StallTimer } from '../../stall-timer.js';
import { TransferError } from '../../transfer-error.js';
import type { DataLine, Transfer } from './data.js';
import { faultOfReply } from './replies.js';
import type { FtpSession } from './session.js';

/** For the last reply, when the data connection has broken off: it says why. */
export const REASON_MS = 5000;

interface Receiving {
  readonly session: FtpSession;
  readonly line: DataLine;
  readonly transfer: Transfer;
  readonly context: TransferContext;
  readonly signal: AbortSignal;
}

/** Throws what `use` throws as it is, marked for the caller to tell it from the network's. */
class FromReader {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

/** All that comes until the server ends it. */
function pump({ session, line, context, signal }: Receiving, use: (piece: Buffer) => void): Promise<void> {
  const { socket, incoming } = line;
  const { stallMs, limiter } = context;
  const stall = new StallTimer(session.leg, stallMs);
  const either = AbortSignal.any([signal, stall.signal]);
  return new Promise<void>((resolve, reject) => {
    const fail = (error: unknown): void => reject(error as Error);
    const withdraw = onAbort(either, () => fail(either.reason));
    const waitFor = async (limit: Promise<void>): Promise<void> => {
      socket.pause();
      await limit;
      socket.resume();
      stall.start();
    };
    // Of an empty file the end may have come before anybody looked.
    if (socket.readableEnded) resolve();
    else if (socket.closed) fail(new Error('the data connection was closed'));
    socket.once('end', resolve);
    socket.once('error', fail);
    socket.once('close', () => fail(new Error('the data connection was closed')));
    socket.once('close', withdraw);
    const take = (piece: Buffer): void => {
      stall.pause();
      try {
        use(piece);
      } catch (error) {
        fail(new FromReader(error));
        return;
      }
      const limit = limiter?.take(piece.length, either);
      if (limit) waitFor(limit).catch(fail);
      else stall.start();
    };
    stall.start();
    incoming.read(take);
  }).finally(() => stall.end());
}

/** The last reply; `undefined`: the control connection was lost, or says nothing in time. */
export async function lastReply(
  { transfer, signal }: Pick<Receiving, 'transfer' | 'signal'>,
  ms: number,
): Promise<FTPResponse | undefined> {
  const deadline = deadlineAfter(ms, signal);
  try {
    return await unlessAborted(transfer.ended, deadline.signal);
  } catch {
    signal.throwIfAborted();
    return undefined;
  } finally {
    deadline.clear();
  }
}

/**
 * Hand over all content. Resolves when the server has confirmed that it is all; where the control connection is lost meanwhile (a
 * firewall that forgets it while content flows elsewhere), what came is as good as its number of bytes, which `isAll` judges.
 */
export async function receive(receiving: Receiving, use: (piece: Buffer) => void, isAll: () => boolean): Promise<void> {
  const { session, line, context, signal } = receiving;
  const { leg } = session;
  let broken: unknown;
  try {
    await pump(receiving, use);
  } catch (error) {
    line.reset();
    if (error instanceof FromReader) throw error.error;
    if (error instanceof TransferError || signal.aborted) throw signal.aborted ? signal.reason : error;
    broken = error;
  }
  const reply = await lastReply(receiving, broken === undefined ? context.stallMs : REASON_MS);
  if (reply && reply.code >= 400) throw faultOfReply(leg, reply, 'underway', session.say(reply));
  if (broken !== undefined) throw networkFailure(leg, broken);
  // A connection that owes a reply is of no more use: the next command would be taken for a mistake of ours.
  if (!reply) session.close();
  if (!reply && !isAll())
    throw new TransferError(leg, 'cut', 'the connection ended before the server had confirmed that it has sent all');
}
