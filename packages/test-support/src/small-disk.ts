/** A file system of its own, small enough to be filled: memory, mounted over a folder. Needs root. */
import { execFile } from 'node:child_process';
import { mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hasCode } from '@khumbu/shared/runtime/errors';

const run = promisify(execFile);
const BALLAST = 'ballast';
const PIECE = Buffer.alloc(1024 * 1024, 0x55);

/** Mount it; `undefined` where this machine refuses. It is unmounted with the end, also when something holds it. */
export async function mountSmallDisk(ending: { teardown(clean: () => unknown): void }, path: string, bytes: number) {
  await mkdir(path, { recursive: true });
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path]);
  } catch {
    return undefined;
  }
  ending.teardown(() => run('umount', ['-l', path]));

  const freeBytes = async (): Promise<number> => {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  };
  const ballast = join(path, BALLAST);
  const free = (): Promise<void> => rm(ballast, { force: true });
  return {
    path,
    /** Fill it with other files, so that only so many bytes are left. Safe to repeat. */
    async fill(leaveBytes: number): Promise<void> {
      await free();
      const file = await open(ballast, 'w');
      try {
        for (let rest = (await freeBytes()) - leaveBytes; rest > 0; ) {
          const { bytesWritten } = await file.write(PIECE, 0, Math.min(rest, PIECE.length));
          rest -= bytesWritten;
        }
      } catch (error) {
        // Others filled it at the same time.
        if (!hasCode(error, 'ENOSPC')) throw error;
      } finally {
        await file.close();
      }
    },
    /** Take that away again. Safe to repeat. */
    free,
    freeBytes,
    /** Bytes of files that are not our ballast. */
    async usedBytes(): Promise<number> {
      let sum = 0;
      for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
        const file = join(entry.parentPath, entry.name);
        if (!entry.isFile() || file === ballast) continue;
        sum += await stat(file).then(
          ({ size: bytes }) => bytes,
          () => 0,
        );
      }
      return sum;
    },
    /** Refuse every write, or take them again. */
    readOnly: async (on: boolean): Promise<void> =>
      void (await run('mount', ['-o', `remount,${on ? 'ro' : 'rw'}`, path])),
  };
}
export type SmallDisk = NonNullable<Awaited<ReturnType<typeof mountSmallDisk>>>;
