/** Archives for servers, spooled on disk first: HTTP needs their size ahead, and a try after a cut reads no station again (ADR 50). */
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CodedError, ifExists } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';

const SUFFIX = '.tar.gz';
const CHECK_EVERY_BYTES = 32 * 1024 * 1024;
const DEFAULT_MIN_FREE_BYTES = 256 * 1024 * 1024;

/** The operation of an archive, or of a part of one. */
const operationOf = (name: string): string | undefined =>
  /^([A-Za-z0-9_-]+)\.tar\.gz(\.[0-9a-f]+\.part|\.sent)?$/.exec(name)?.[1];
/** The folder of the log-workers. */
export const logsDir = (spoolDir: string): string => join(spoolDir, 'logs');

/** Where the archive of an operation is spooled. Throws for an id that is no plain name. */
export function spoolPath(spoolDir: string, operationId: string): string {
  if (!/^[A-Za-z0-9_-]+$/.test(operationId)) throw new TypeError('an operation id is letters, digits, - and _');
  return join(logsDir(spoolDir), `${operationId}${SUFFIX}`);
}

const sizeOf = async (path: string): Promise<number | undefined> => (await ifExists(stat(path)))?.size;

/** The size of a spooled archive that is complete. */
export const spooledBytes = (spoolDir: string, operationId: string): Promise<number | undefined> =>
  sizeOf(spoolPath(spoolDir, operationId));

async function assertSpace(directory: string, minFreeBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize < minFreeBytes) {
    const least = `${Math.ceil(minFreeBytes / 2 ** 20)} MiB`;
    throw new CodedError('SPOOL_FULL', `less than ${least} are free in the spool; free space in SPOOL_DIR`);
  }
}

/** An error of the file system as a coded one. */
function spoolError(error: unknown): unknown {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (error instanceof CodedError || typeof code !== 'string' || !/^E[A-Z]+$/.test(code)) return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new CodedError('SPOOL_FULL', 'no space is left in the spool; free space in SPOOL_DIR', { cause: error });
  }
  return new CodedError('SPOOL_UNUSABLE', `the spool folder cannot be used (${code}); check SPOOL_DIR`, {
    cause: error,
  });
}

export interface SpoolInput {
  readonly archive: Readable;
  readonly spoolDir: string;
  readonly operationId: string;
  readonly signal?: AbortSignal;
  /** Bytes that must stay free on the disk; 256 MiB by default. Looked at every 32 MiB. */
  readonly minFreeBytes?: number;
}

/**
 * Write an archive to `<spoolDir>/logs/<operationId>.tar.gz`, whole or not at all. Rejects with the archive's error,
 * `SPOOL_FULL`, `SPOOL_UNUSABLE`, or an abort; then no file is left. Safe to repeat, also by two workers at once.
 */
export async function spoolArchive(input: SpoolInput): Promise<{ path: string; bytes: number }> {
  const path = spoolPath(input.spoolDir, input.operationId);
  const { minFreeBytes = DEFAULT_MIN_FREE_BYTES } = input;
  const temporary = `${path}.${randomBytes(6).toString('hex')}.part`;
  let bytes = 0;
  // Whichever of the two fails first destroys the other with its error.
  let first: 'archive' | 'disk' | undefined;
  input.archive.once('error', () => {
    first ??= 'archive';
  });
  async function* watched(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let checkAt = 0;
    for await (const chunk of source) {
      if (bytes >= checkAt) {
        await assertSpace(logsDir(input.spoolDir), minFreeBytes);
        checkAt = bytes + CHECK_EVERY_BYTES;
      }
      bytes += chunk.length;
      yield chunk;
    }
  }
  try {
    await makeFolder(logsDir(input.spoolDir));
    const file = createWriteStream(temporary, { flags: 'wx', highWaterMark: 1024 * 1024, flush: true });
    file.once('error', () => {
      first ??= 'disk';
    });
    await pipeline(input.archive, watched, file, input.signal === undefined ? {} : { signal: input.signal });
    await rename(temporary, path);
    return { path, bytes };
  } catch (error) {
    input.archive.destroy();
    // A file that cannot be removed now is removed by the sweep; the first error is the cause.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw first === 'archive' ? error : spoolError(error);
  }
}

/** Where an archive lies that the server has accepted. */
export const sentPath = (spoolDir: string, operationId: string): string => `${spoolPath(spoolDir, operationId)}.sent`;

/**
 * The server has accepted the archive: a second run of the job, after a lost lock, must not send it again. Safe to
 * repeat, also by two workers at once.
 */
export async function markSent(spoolDir: string, operationId: string): Promise<void> {
  await ifExists(rename(spoolPath(spoolDir, operationId), sentPath(spoolDir, operationId)));
}

/** The size of an archive that the server has accepted. */
export const sentBytes = (spoolDir: string, operationId: string): Promise<number | undefined> =>
  sizeOf(sentPath(spoolDir, operationId));

/** Names of all files of the log-workers. */
export const spooledNames = async (spoolDir: string): Promise<string[]> =>
  (await ifExists(readdir(logsDir(spoolDir)))) ?? [];

/** Remove the files whose names are to go; resolves with their number. Safe to repeat. */
async function removeSpoolFiles(
  spoolDir: string,
  isToGo: (name: string) => boolean | Promise<boolean>,
): Promise<number> {
  let removed = 0;
  for (const name of await spooledNames(spoolDir)) {
    if (!(await isToGo(name))) continue;
    await rm(join(logsDir(spoolDir), name), { force: true });
    removed += 1;
  }
  return removed;
}

/** Remove an archive, sent or not, with the parts of it that killed workers left. Safe to repeat. */
export const removeSpooled = (spoolDir: string, operationId: string): Promise<number> =>
  removeSpoolFiles(spoolDir, (name) => operationOf(name) === operationId);

/**
 * Remove what ended operations left, parts of killed workers too; resolves with the number of files removed. Files of
 * open operations stay: another try may use them.
 */
export const sweepSpool = (spoolDir: string, isOpen: (operationId: string) => Promise<boolean>): Promise<number> =>
  removeSpoolFiles(spoolDir, async (name) => {
    const operationId = operationOf(name);
    return operationId !== undefined && !(await isOpen(operationId));
  });
