/** The log of one child: a file that is set aside when it grows large, and at each start. */
import { closeSync, existsSync, openSync, renameSync, writeSync } from 'node:fs';

const MAX_BYTES = 20 * 1024 * 1024;

export interface LogFile {
  readonly path: string;
  write(chunk: Uint8Array): void;
  /** The last lines written, the newest first, for the words of a failure. */
  lastLines(): string[];
  close(): void;
}

/** Open a fresh log; an earlier one is kept as `<path>.1`. */
export function openLogFile(path: string, maxBytes = MAX_BYTES): LogFile {
  let size = 0;
  let tail = '';
  const open = (): number => {
    if (existsSync(path)) renameSync(path, `${path}.1`);
    size = 0;
    return openSync(path, 'a', 0o640);
  };
  let fd: number | undefined = open();
  return {
    path,
    write(chunk) {
      if (fd === undefined) return;
      if (size + chunk.length > maxBytes) {
        closeSync(fd);
        fd = open();
      }
      // Written at once: what explains a death must not die in a buffer.
      writeSync(fd, chunk);
      size += chunk.length;
      tail = (tail + Buffer.from(chunk).toString('utf8')).slice(-4000);
    },
    lastLines: () =>
      tail
        .split('\n')
        .filter((line) => line.trim() !== '')
        .reverse(),
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
