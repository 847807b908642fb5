/** What an FTP server does with a file that is brought: it takes it, tells its size, renames it. */
import type { FTPResponse } from 'basic-ftp';
import type { PutOptions, TransferContext, UploadBody } from '../../port.js';
import { TransferError } from '../../transfer-error.js';
import type { Receiver } from '../files/bring-whole.js';
import { faultOfReply } from './replies.js';
import { send } from './send.js';
import type { FtpSession } from './session.js';

/** RFC 959, 5.4: of RNFR and RNTO. `550`, `553` of some servers mean that the user may not. */
const mayNot = (code: number): boolean => code >= 500;

const mayPass = ({ code }: FTPResponse): boolean => code >= 400 && code < 500;

interface ToldSize {
  /** Of a file. */
  readonly bytes: number | undefined;
  /** A refusal that says nothing of the file: the server would tell at another time. */
  readonly busy: FTPResponse | undefined;
}

/** How many bytes the server has under a name. RFC 3659, 4 and 7. */
async function askSize(session: FtpSession, name: string): Promise<ToldSize> {
  const reply = await session.ask(`SIZE ${name}`);
  const bytes = reply.code === 213 ? /^213 (\d+)/.exec(reply.message)?.[1] : undefined;
  if (bytes !== undefined) return { bytes: Number(bytes), busy: undefined };
  const facts = await session.ask(`MLST ${name}`);
  const isFile = facts.code === 250 && !/(?:^|[;\s])type=[cp]?dir;/i.test(facts.message);
  const told = isFile ? /(?:^|[;\s])size=(\d+);/i.exec(facts.message)?.[1] : undefined;
  if (told !== undefined) return { bytes: Number(told), busy: undefined };
  return { bytes: undefined, busy: [reply, facts].find(mayPass) };
}

/** Throws where the server would tell at another time. */
async function sizeOf(session: FtpSession, name: string): Promise<number | undefined> {
  const { bytes, busy } = await askSize(session, name);
  if (busy) throw faultOfReply(session.leg, busy, 'underway', session.say(busy));
  return bytes;
}

async function assertWhole(session: FtpSession, name: string, bytes: number): Promise<void> {
  const found = await sizeOf(session, name);
  if (found === bytes) return;
  const why =
    found === undefined
      ? new TransferError(session.leg, 'size_unknown', 'the server does not tell how many bytes have arrived')
      : new TransferError(session.leg, 'not_whole', `${bytes} bytes were sent, and the server has ${found}`);
  throw why;
}

/** `false`: the server lets nothing be renamed, or not to this name. */
async function renamed(session: FtpSession, from: string, to: string): Promise<boolean> {
  const asked = await session.ask(`RNFR ${from}`);
  if (mayNot(asked.code)) return false;
  const busy = (refusal: FTPResponse): TransferError =>
    faultOfReply(session.leg, refusal, 'rename', session.say(refusal));
  // Not to be asked again: RNTO without RNFR right before it is an error of its own, and a final one.
  if (asked.code >= 400) throw busy(asked);
  const reply = await session.ask(`RNTO ${to}`);
  if (reply.code < 400) return true;
  if (mayNot(reply.code)) return false;
  throw busy(reply);
}

export interface FtpReceiving {
  readonly context: TransferContext;
  readonly body: UploadBody;
  readonly options: PutOptions;
}

/** See `bringWhole`. Names are arguments of commands. */
export function receiverOf(session: FtpSession, { context, body, options }: FtpReceiving): Receiver {
  const { signal, onProgress = () => undefined } = options;
  return {
    async write(name, onBegun) {
      const bytes = await send({ session, context, signal, onProgress, onBegun }, name, await body.open());
      if (body.size !== undefined && bytes !== body.size)
        throw new Error(`the file had ${body.size} bytes, and ${bytes} were read`);
      await assertWhole(session, name, bytes);
      return bytes;
    },
    rename: (from, to) => renamed(session, from, to),
    remove: (name) => session.ask(`DELE ${name}`),
    has: async (name) => {
      const { bytes, busy } = await askSize(session, name);
      return bytes !== undefined || busy !== undefined;
    },
    sizeOf: (name) => sizeOf(session, name),
    close: () => session.close(),
    explain: async (error) => error,
  };
}
