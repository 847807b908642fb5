/** What an SFTP server does with a file that is brought: it takes it, tells its size, renames it. */
import type { Stats } from 'ssh2';
import type { PutOptions, TransferContext, UploadBody } from '../../port.js';
import { TransferError } from '../../transfer-error.js';
import type { Receiver } from '../files/bring-whole.js';
import { OfSource } from '../files/source.js';
import type { SftpSession } from './session.js';
import { faultOf, STATUS, statusOf } from './statuses.js';
import { writeAll } from './write.js';

export interface SftpReceiving {
  readonly context: TransferContext;
  readonly folder: string;
  readonly body: UploadBody;
  readonly options: PutOptions;
}

/** A path of SFTP: below where the login leads to, unless it begins at the root. */
export const pathOf = (folder: string, name: string): string =>
  folder === '' ? name : `${folder.replace(/\/$/, '')}/${name}`;

async function write(
  session: SftpSession,
  { context, body, options }: SftpReceiving,
  path: string,
  onBegun: () => void,
): Promise<number> {
  const { signal, onProgress = () => undefined } = options;
  const handle = await session.ask<Buffer>((sftp, answered) => sftp.open(path, 'w', answered));
  onBegun();
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

/** See `bringWhole`. `folder`: where the file is to be. */
export function receiverOf(session: SftpSession, receiving: SftpReceiving): Receiver {
  const { folder } = receiving;
  return {
    write: (path, onBegun) => write(session, receiving, path, onBegun),
    rename: (from, to) => renamed(session, from, to),
    // It may be allowed as little as to rename.
    remove: (path) =>
      session.ask((sftp, answered) => sftp.unlink(path, (error) => answered(error, undefined))).catch(() => undefined),
    // Whatever else the server answers, something is there.
    has: (path) =>
      session
        .ask<unknown>((sftp, answered) => sftp.stat(path, answered))
        .then(
          () => true,
          (error: unknown) => statusOf(error) !== STATUS.noSuchFile,
        ),
    sizeOf: (path) =>
      session
        .ask<Stats>((sftp, answered) => sftp.stat(path, answered))
        .then(
          (found) => (found.isDirectory() ? undefined : found.size),
          (error: unknown) => {
            if (statusOf(error) === undefined) throw error;
            return undefined;
          },
        ),
    close: () => session.close(),
    explain: async (error) =>
      error instanceof OfSource ? error.error : faultOf(session, error, folder === '' ? '.' : folder),
  };
}
