/** What the statuses of SFTP servers mean. OpenSSH answers "Failure" to a full disk, a folder in place of a file, and a name that is taken. */
import type { TransferReason } from '../../faults/fault.js';
import { type Leg, TransferError } from '../../transfer-error.js';
import type { SftpSession } from './session.js';

/** draft-ietf-secsh-filexfer-02, 7. */
export const STATUS = { noSuchFile: 2, permissionDenied: 3, failure: 4, unsupported: 8 } as const;

export const statusOf = (error: unknown): number | undefined => {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'number' ? code : undefined;
};

/** `undefined`: the server does not tell. */
async function hasRoom(session: SftpSession, folder: string): Promise<boolean | undefined> {
  try {
    const found = await session.ask<{ f_bavail?: number }>((sftp, answered) =>
      sftp.ext_openssh_statvfs(folder, answered as (error: Error | undefined, info: unknown) => void),
    );
    return found.f_bavail === undefined ? undefined : found.f_bavail > 0;
  } catch {
    // Also thrown at once where the server has no such request.
    return undefined;
  }
}

function reasonOf({ direction }: Leg, status: number): TransferReason {
  if (status === STATUS.noSuchFile) return direction === 'get' ? 'no_such_file' : 'no_such_folder';
  return status === STATUS.permissionDenied ? 'denied' : 'sftp_failure';
}

/** What a request failed with. `folder`: where something was to be written. */
export async function faultOf(session: SftpSession, error: unknown, folder?: string): Promise<unknown> {
  const status = statusOf(error);
  if (status === undefined || error instanceof TransferError) return session.fault(error);
  const { leg } = session;
  if (status === STATUS.failure && folder !== undefined && (await hasRoom(session, folder)) === false)
    return new TransferError(leg, 'remote_full', 'the disk of the server is full', { cause: error });
  return new TransferError(leg, reasonOf(leg, status), `the server answers with status ${status} of SFTP`, {
    cause: error,
  });
}
