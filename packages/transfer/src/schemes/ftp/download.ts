/** One file of an FTP server, as it is at the beginning of a download. */
import { onAbort } from '@khumbu/shared/runtime/abort';
import type { Body, TransferContext } from '../../port.js';
import { StallTimer } from '../../stall-timer.js';
import { TransferError } from '../../transfer-error.js';
import type { TailCheck } from '../files/held-tail.js';
import { timeOfMdtm, type Version } from '../files/version.js';
import { beginTransfer, type DataLine, openData, type Transfer } from './data.js';
import { lastReply, REASON_MS, receive } from './receive.js';
import { faultOfReply } from './replies.js';
import type { FtpSession } from './session.js';

/** Whether the server has told both before: then a refusal that may pass (4xx) says nothing of the file, and is thrown. */
interface Known {
  readonly isKnown: boolean;
}

/** What the server tells of a file while none of it is asked for. Both commands are of RFC 3659, and may be missing. */
export async function versionOf(session: FtpSession, name: string, { isKnown }: Known): Promise<Version> {
  const ask = async (command: string): Promise<string | undefined> => {
    const reply = await session.ask(`${command} ${name}`);
    if (isKnown && reply.code >= 400 && reply.code < 500)
      throw faultOfReply(session.leg, reply, 'underway', session.say(reply));
    return reply.code === 213 ? reply.message : undefined;
  };
  const bytes = /^213 (\d+)/.exec((await ask('SIZE')) ?? '')?.[1];
  if (bytes === undefined) return { size: undefined, modified: undefined, timeMs: undefined };
  const modified = /^213 (\S+)/.exec((await ask('MDTM')) ?? '')?.[1];
  return { size: Number(bytes), modified, timeMs: modified === undefined ? undefined : timeOfMdtm(modified) };
}

export interface FtpFile {
  readonly session: FtpSession;
  readonly context: TransferContext;
  readonly signal: AbortSignal;
  readonly name: string;
  readonly version: Version;
}

export interface Running {
  readonly line: DataLine;
  readonly transfer: Transfer;
}

/** Many servers say the same of a file that is not there, of one that may not be read, and of a folder. */
async function whyRefused({ session, name, version }: FtpFile, reply: { code: number; message: string }) {
  const { leg } = session;
  if (reply.code !== 550) return faultOfReply(leg, reply, 'get', session.say(reply));
  if ((await session.ask(`CWD ${name}`)).code === 250)
    return new TransferError(leg, 'no_such_file', 'the location names a folder, and no file in it');
  if (version.size !== undefined) return new TransferError(leg, 'denied', `the server says ${session.say(reply)}`);
  return faultOfReply(leg, reply, 'get', session.say(reply));
}

/** Ask for the content from `offset` on. `undefined`: the server does not begin there. Throws for a file that it does not send at all. */
export async function beginDownload(file: FtpFile, offset: number): Promise<Running | undefined> {
  const { session, context, signal, name } = file;
  const line = await openData(session, context, signal);
  try {
    if (offset > 0 && (await session.ask(`REST ${offset}`)).code !== 350) {
      line.reset();
      return undefined;
    }
    const transfer = beginTransfer(session, `RETR ${name}`);
    const begun = await session.whole(transfer.begun);
    if (begun.code < 200) return { line, transfer };
    if (offset === 0 || begun.code === 421) throw await whyRefused(file, begun);
    line.reset();
    // The place may be remembered for the next command.
    await session.ask('REST 0');
    return undefined;
  } catch (error) {
    line.reset();
    throw error;
  }
}

/** How reading the overlap ended: with what came beyond it, or why not. */
type OverlapEnd = Buffer | 'other' | 'ended' | 'broken' | 'silent';

/** All that comes passes the limiter, what is beyond the overlap as well. The connection is paused afterwards. */
function compareOverlap({ session, context, signal }: FtpFile, { line }: Running, check: TailCheck) {
  const { socket, incoming } = line;
  const { limiter } = context;
  const stall = new StallTimer(session.leg, context.stallMs);
  const either = AbortSignal.any([signal, stall.signal]);
  return new Promise<OverlapEnd>((resolve, reject) => {
    let isOver = false;
    const waitFor = async (limit: Promise<void>): Promise<void> => {
      stall.pause();
      incoming.hold();
      await limit;
    };
    const goOn = (end: OverlapEnd | undefined): void => {
      if (isOver) return;
      if (end !== undefined) done(end);
      else {
        stall.start();
        incoming.read(onData);
      }
    };
    const onData = (piece: Buffer): void => {
      stall.start();
      const rest = check.rest(piece);
      // The piece is valid no longer than this call.
      const end = rest === undefined ? 'other' : check.isDone ? Buffer.from(rest) : undefined;
      const limit = limiter?.take(piece.length, either);
      if (limit) waitFor(limit).then(() => goOn(end), fail);
      else if (end !== undefined) done(end);
    };
    const onEnd = (): void => done('ended');
    const onClose = (): void => done('broken');
    const finish = (): void => {
      isOver = true;
      incoming.hold();
      socket.off('end', onEnd).off('close', onClose);
      withdraw();
      stall.end();
    };
    const done = (end: OverlapEnd): void => {
      finish();
      resolve(end);
    };
    const fail = (error: unknown): void => {
      finish();
      reject(error as Error);
    };
    const withdraw = onAbort(either, () => done('silent'));
    stall.start();
    socket.once('end', onEnd).once('close', onClose);
    incoming.read(onData);
    if (socket.readableEnded) onEnd();
    else if (session.ftp.closed || socket.closed) onClose();
  });
}

/** Replies that say nothing of the place that was asked for: the server goes away, or the line has broken. */
const OF_THE_LINE: readonly number[] = [421, 425, 426];

/**
 * Read so many bytes as `check` compares. Resolves with what came beyond them; `undefined`: they are others, or the server says
 * that it has ended before. Throws when the line was cut or is silent: what is held may be good, and is kept for the next try.
 */
export async function readOverlap(file: FtpFile, running: Running, check: TailCheck): Promise<Buffer | undefined> {
  const { session, context, signal } = file;
  const { leg } = session;
  signal.throwIfAborted();
  const end = await compareOverlap(file, running, check);
  signal.throwIfAborted();
  if (typeof end !== 'string') return end;
  if (end === 'other') return undefined;
  if (end === 'silent') throw new TransferError(leg, 'stalled', `nothing came for ${context.stallMs} ms`);
  const receiving = { transfer: running.transfer, signal };
  const reply = await lastReply(receiving, end === 'ended' ? context.stallMs : REASON_MS);
  if (!reply) throw new TransferError(leg, 'cut', 'the connection ended before what is held could be compared');
  if (OF_THE_LINE.includes(reply.code)) throw faultOfReply(leg, reply, 'underway', session.say(reply));
  return undefined;
}

/** Whether it is still the file that it was at the beginning. Throws when it is not. */
async function assertUnchanged({ session, name, version }: FtpFile): Promise<void> {
  if (version.size === undefined || session.ftp.closed) return;
  const now = await versionOf(session, name, { isKnown: version.modified !== undefined });
  if (now.size !== version.size || now.modified !== version.modified)
    throw new TransferError(session.leg, 'content_changed', 'the file was changed while it was read');
}

/** The content from `offset` on, of which `first` has come already. */
export function bodyOf(file: FtpFile, running: Running, offset: number, first: Buffer): Body {
  const { session, context, signal, version } = file;
  const { size } = version;
  return {
    async readBody(use) {
      let at = offset;
      const take = (piece: Buffer): void => {
        at += piece.length;
        if (size !== undefined && at > size)
          throw new TransferError(session.leg, 'content_changed', 'the server sends more bytes than the file had');
        use(piece);
      };
      try {
        if (first.length > 0) take(first);
        await receive({ session, ...running, context, signal }, take, () => at === size);
        // A server may have said that all is sent while it was still on its way.
        if (size !== undefined && at < size)
          throw new TransferError(session.leg, 'cut', `the content ended after ${at} of ${size} bytes`);
        await assertUnchanged(file);
      } finally {
        running.line.reset();
        session.close();
      }
    },
    drop() {
      running.line.reset();
      session.close();
    },
  };
}
