/** One file brought to an FTP server: under a name of its own, measured, and only then under its final one. */
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import type { FTPResponse } from 'basic-ftp';
import type { Brought, PutOptions, TransferContext, UploadBody } from '../../port.js';
import { TransferError } from '../../transfer-error.js';
import { temporaryName } from '../files/temporary-name.js';
import { faultOfReply } from './replies.js';
import { type Sending, send } from './send.js';
import type { FtpSession } from './session.js';

/** For tidying up after a try that has failed. Only a final name is waited for: the next try may bring its file there. */
const TIDY_MS = 5000;
/** RFC 959, 5.4: of RNFR and RNTO. `550`, `553` of some servers mean that the user may not. */
const mayNot = (code: number): boolean => code >= 500;

/** How many bytes the server has under a name; `undefined`: it never tells. Throws for a refusal that may pass. RFC 3659, 4 and 7. */
async function sizeOf(session: FtpSession, name: string): Promise<number | undefined> {
  const size = await session.ask(`SIZE ${name}`);
  const bytes = size.code === 213 ? /^213 (\d+)/.exec(size.message)?.[1] : undefined;
  if (bytes !== undefined) return Number(bytes);
  const facts = await session.ask(`MLST ${name}`);
  const told = facts.code === 250 ? /(?:^|[;\s])size=(\d+);/i.exec(facts.message)?.[1] : undefined;
  if (told !== undefined) return Number(told);
  // It would tell at another time.
  if (size.code >= 400 && size.code < 500) throw faultOfReply(session.leg, size, 'underway', session.say(size));
  return undefined;
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

/** Remove what this try has left there. Resolves whatever comes of it, in `TIDY_MS`. */
async function tidy(session: FtpSession, name: string, openAnother: () => Promise<FtpSession>): Promise<void> {
  session.close();
  const another = await openAnother().catch(() => undefined);
  if (!another) return;
  await another.ask(`DELE ${name}`).catch(() => undefined);
  another.close();
}

export interface Bringing {
  readonly session: FtpSession;
  readonly context: TransferContext;
  readonly name: string;
  readonly body: UploadBody;
  readonly options: PutOptions;
  /** A session for tidying up. */
  readonly openAnother: (signal: AbortSignal) => Promise<FtpSession>;
}

/** Resolves when all of it is there under its name. See `Transport.put`. */
export async function bring({ session, context, name, body, options, openAnother }: Bringing): Promise<Brought> {
  const { signal, onProgress = () => undefined } = options;
  /** What a failed try would leave behind. */
  let open: string | undefined;
  const onBegun = (as: string): void => {
    open = as;
  };
  const sending: Sending = { session, context, signal, onProgress, onBegun };
  const bringAs = async (as: string): Promise<number> => {
    const bytes = await send(sending, as, await body.open());
    if (body.size !== undefined && bytes !== body.size)
      throw new Error(`the file had ${body.size} bytes, and ${bytes} were read`);
    await assertWhole(session, as, bytes);
    return bytes;
  };
  const temporary = temporaryName(name);
  try {
    const bytes = await bringAs(temporary);
    if (!(await renamed(session, temporary, name))) {
      await session.ask(`DELE ${temporary}`);
      open = undefined;
      // Under its final name nobody can tell a half from the whole until it is measured.
      await bringAs(name);
    }
    session.close();
    return { bytes };
  } catch (error) {
    const deadline = deadlineAfter(TIDY_MS);
    if (open === undefined) session.close();
    else {
      const tidied = tidy(session, open, () => openAnother(deadline.signal)).finally(deadline.clear);
      if (open === name && !signal.aborted) await tidied;
    }
    throw error;
  }
}
