/** The log of one child: a file that is set aside when it grows large, and at each start. */
import { closeSync, existsSync, openSync, renameSync, writeSync } from 'node:fs';
import { hasCode } from '@khumbu/shared/runtime/errors';

const MAX_BYTES = 20 * 1024 * 1024;

/** What a disk without room, or one that takes no writes, says. */
const DISK_TROUBLE = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'] as const;

/**
 * Open a fresh log; an earlier one is kept as `<path>.1`. A disk that is full costs the words of that time and nothing
 * else: the writer keeps a cluster alive. `writeTo` is for tests.
 */
export function openLogFile(path: string, maxBytes = MAX_BYTES, writeTo: typeof writeSync = writeSync) {
  let size = 0;
  let tail = '';
  const open = (): number => {
    if (existsSync(path)) renameSync(path, `${path}.1`);
    const opened = openSync(path, 'a', 0o640);
    size = 0;
    return opened;
  };
  let fd: number | undefined = open();
  return {
    path,
    write(chunk: Uint8Array): void {
      if (fd === undefined) return;
      tail = (tail + Buffer.from(chunk).toString('utf8')).slice(-4000);
      try {
        if (size + chunk.length > maxBytes) {
          const full = fd;
          fd = open();
          closeSync(full);
        }
        // Written at once: what explains a death must not die in a buffer.
        size += writeTo(fd, chunk);
      } catch (error) {
        if (!hasCode(error, ...DISK_TROUBLE)) throw error;
      }
    },
    /** The last lines written, the newest first, for the words of a failure. */
    lastLines: (): string[] =>
      tail
        .split('\n')
        .filter((line) => line.trim() !== '')
        .reverse(),
    close(): void {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
