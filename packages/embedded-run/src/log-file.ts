/** The log of one child: a file that is set aside when it grows large, and at each start. */
import { closeSync, existsSync, openSync, renameSync, writeSync } from 'node:fs';

const MAX_BYTES = 20 * 1024 * 1024;

export interface LogFile {
  readonly path: string;
  write(chunk: Uint8Array): void;
  /** The last lines written, for the words of a failure. */
  lastLine(): string;
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
    lastLine: () => tail.trimEnd().split('\n').at(-1) ?? '',
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
