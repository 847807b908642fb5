/** One file brought by SFTP: under a name of its own, measured, and only then under its final one. */
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import type { Brought, PutOptions, TransferContext, UploadBody } from '../../port.js';
import { TransferError } from '../../transfer-error.js';
import { OfSource } from '../files/source.js';
import { temporaryName } from '../files/temporary-name.js';
import type { SftpSession } from './session.js';
import { faultOf, statusOf } from './statuses.js';
import { writeAll } from './write.js';

/** For tidying up after a try that has failed. Only a final name is waited for: the next try may bring its file there. */
const TIDY_MS = 5000;

export interface Bringing {
  readonly session: SftpSession;
  readonly context: TransferContext;
  readonly folder: string;
  readonly name: string;
  readonly body: UploadBody;
  readonly options: PutOptions;
  /** A session for tidying up. */
  readonly openAnother: (signal: AbortSignal) => Promise<SftpSession>;
}

/** A path of SFTP: below where the login leads to, unless it begins at the root. */
export const pathOf = (folder: string, name: string): string =>
  folder === '' ? name : `${folder.replace(/\/$/, '')}/${name}`;

async function write(
  { session, context, body, options }: Bringing,
  path: string,
  onOpen: (path: string) => void,
): Promise<number> {
  const { signal, onProgress = () => undefined } = options;
  const handle = await session.ask<Buffer>((sftp, answered) => sftp.open(path, 'w', answered));
  onOpen(path);
  const bytes = await writeAll({ session, context, signal, onProgress }, handle, await body.open());
  await session.ask((sftp, answered) => sftp.close(handle, (error) => answered(error, undefined)));
  if (body.size !== undefined && bytes !== body.size)
    throw new OfSource(new Error(`the file had ${body.size} bytes, and ${bytes} were read`));
  // A full disk was seen to be confirmed.
  const { size } = await session.ask<{ size: number }>((sftp, answered) => sftp.stat(path, answered));
  if (size !== bytes)
    throw new TransferError(session.leg, 'not_whole', `${bytes} bytes were sent, and the server has ${size}`);
  return bytes;
}

/** `posix-rename@openssh.com` takes the place of a file that is there; the plain request does not. `false`: the server refuses it. */
async function renamed(session: SftpSession, from: string, to: string): Promise<boolean> {
  const tries: ((answered: (error: Error | undefined | null) => void) => void)[] = [
    (answered) => session.sftp.ext_openssh_rename(from, to, answered),
    (answered) => session.sftp.rename(from, to, answered),
  ];
  for (const request of tries) {
    try {
      await session.ask((_sftp, answered) => request((error) => answered(error, undefined)));
      return true;
    } catch (error) {
      // Without a status: the server does not have the extension, or the connection is lost, which the next request tells.
      if (statusOf(error) === undefined && !/does not support/.test(String(error))) throw error;
    }
  }
  return false;
}

async function tidy(session: SftpSession, path: string, openAnother: () => Promise<SftpSession>): Promise<void> {
  session.close();
  const another = await openAnother().catch(() => undefined);
  if (!another) return;
  await another
    .ask((sftp, answered) => sftp.unlink(path, (error) => answered(error, undefined)))
    .catch(() => undefined);
  another.close();
}

/** Resolves when all of it is there under its name. See `Transport.put`. */
export async function bring(bringing: Bringing): Promise<Brought> {
  const { session, folder, name, openAnother } = bringing;
  const final = pathOf(folder, name);
  const temporary = pathOf(folder, temporaryName(name));
  /** What a failed try would leave behind. */
  let open: string | undefined;
  const onOpen = (path: string): void => {
    open = path;
  };
  try {
    const bytes = await write(bringing, temporary, onOpen);
    if (!(await renamed(session, temporary, final))) {
      await session
        .ask((sftp, answered) => sftp.unlink(temporary, (error) => answered(error, undefined)))
        // It may be allowed as little as to rename.
        .catch(() => undefined);
      open = undefined;
      // Under its final name nobody can tell a half from the whole until it is measured.
      await write(bringing, final, onOpen);
    }
    session.close();
    return { bytes };
  } catch (error) {
    const fault = error instanceof OfSource ? error.error : await faultOf(session, error, folder === '' ? '.' : folder);
    const deadline = deadlineAfter(TIDY_MS);
    if (open === undefined) session.close();
    else {
      const tidied = tidy(session, open, () => openAnother(deadline.signal)).finally(deadline.clear);
      if (open === final && !bringing.options.signal.aborted) await tidied;
    }
    throw fault;
  }
}
