/**
 * A file that is followed while a service runs. Its content is taken when it is whole: read in one piece, not cut off,
 * accepted by its reader. Whatever else is there (half written, empty, broken, unreadable, gone) is reported, and the
 * last good content stays in use.
 *
 * What counts is the state of the file behind the path, looked at once a second: that also sees another file by way of a
 * symbolic link (the `..data` of a Kubernetes config map), a folder that was replaced, mode bits, and file systems that
 * tell of no changes. Where they are told of, it is read at once.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, type FSWatcher, fstatSync, openSync, readFileSync, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { CodedError, describeError } from './errors.js';

/** How a file does; `FileHealth` keeps it for people. */
export interface FileReports {
  /** What is there now cannot be used. Told again when the reason changes. */
  readonly unusable: (setting: string, error: CodedError) => void;
  /** What is there now is in use. */
  readonly usable: (setting: string, content?: FileContent) => void;
}

/** What is in use, for who looks after changes. */
export interface FileContent {
  /** Lower-case hex. */
  readonly sha256: string;
  /** What it grants, in short lines without secrets: see `FollowedFileOptions.summary`. */
  readonly lines: readonly string[];
}

export interface FollowedFileOptions<T> {
  /** The variable that names the file; every message begins with it. */
  readonly setting: string;
  readonly path: string;
  /** The content as it is used. Throws for what is not whole or not right, and repeats no secret. */
  readonly read: (bytes: Buffer) => T;
  /** Code of the errors, for what a bad file is at the start. */
  readonly code: string;
  /** How it is written that there is nothing, where that can be: an empty file says so in its message. */
  readonly nothing?: string;
  readonly reports: FileReports;
  /** Short lines that say what the content grants, so that people see what has changed. Repeats no secret. */
  readonly summary?: (content: T) => readonly string[];
  /** Another content is in use. */
  readonly onChange?: (() => void) | undefined;
}

export interface FollowedFile<T> {
  /** The last good content. */
  readonly current: () => T;
  readonly close: () => void;
}

/** Nothing that is followed comes near it. */
const MAX_BYTES = 16 * 1024 * 1024;
/** It is read when it has been left alone for this long: what is written in place is empty in between. */
const QUIET_MS = 50;
const LOOK_MS = 1000;
/** So often a file that changes while it is read is read again at once. */
const READS_AT_ONCE = 5;

/** White space, and the zeros that a power cut leaves in place of what was written. */
const BLANK: ReadonlySet<number> = new Set([0x00, 0x09, 0x0a, 0x0d, 0x20]);

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Bytes as text, without a byte order mark. Throws when they are not UTF-8. */
export function textOf(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new CodedError('TEXT_INVALID', 'it is not UTF-8', { cause: error });
  }
}

/** `undefined`: it changed while it was read. */
function readOnce(path: string): Buffer | undefined {
  // Opening a pipe would wait for its writer.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const before = fstatSync(fd, { bigint: true });
    if (!before.isFile()) throw new CodedError('TEXT_INVALID', 'it is no regular file');
    if (before.size > MAX_BYTES) throw new CodedError('TEXT_INVALID', `it is longer than ${MAX_BYTES} bytes`);
    const bytes = readFileSync(fd);
    const after = fstatSync(fd, { bigint: true });
    const isSame = after.mtimeNs === before.mtimeNs && after.size === before.size;
    return isSame && BigInt(bytes.length) === after.size ? bytes : undefined;
  } finally {
    closeSync(fd);
  }
}

function readWhole(path: string, nothing?: string): Buffer {
  for (let i = 0; i < READS_AT_ONCE; i += 1) {
    const bytes = readOnce(path);
    if (bytes?.every((byte) => BLANK.has(byte)))
      throw new CodedError(
        'TEXT_INVALID',
        nothing === undefined ? 'it is empty' : `it is empty: write ${nothing} for none`,
      );
    if (bytes) return bytes;
  }
  throw new CodedError('TEXT_INVALID', 'it is being written');
}

/**
 * Pure: `next` is what is left of `last` after it was cut off within a line. To take away whole lines at the end is a
 * change like any other.
 */
export function isCutOff(next: Buffer, last: Buffer): boolean {
  if (next.length >= last.length || !last.subarray(0, next.length).equals(next)) return false;
  const isLineEnd = (byte: number | undefined): boolean => byte === 0x0a || byte === 0x0d;
  return !isLineEnd(next.at(-1)) && !isLineEnd(last[next.length]);
}

/** The state of the file behind a path, as text to compare. */
async function stateOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  }
}

/** The folder is watched, not the file: editors and config maps replace the file by renaming another over it. */
function watchFolder(path: string, onTouched: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
      if (name === null || name === basename(path) || name.startsWith('..')) onTouched();
    });
    // Looking goes on without it.
    return watcher.on('error', () => watcher.close());
  } catch {
    return undefined;
  }
}

/**
 * Read a file and follow it. Throws with `code` for a file that cannot be used at the start; the message names the
 * setting, and the line and column where the reader knows them.
 */
export function followFile<T>(options: FollowedFileOptions<T>): FollowedFile<T> {
  const { setting, path, read, code, nothing, reports, summary, onChange } = options;

  const coded = (error: unknown): CodedError => {
    const system = error instanceof CodedError ? undefined : (error as NodeJS.ErrnoException).syscall;
    const why =
      system === undefined ? describeError(error) : `cannot be read (${(error as NodeJS.ErrnoException).code})`;
    const text = system === undefined ? `${setting}: ${why}` : `${setting} ${why}`;
    return new CodedError(code, why.startsWith(setting) ? why : text, { cause: error });
  };

  let bytes: Buffer;
  let content: T;
  try {
    bytes = readWhole(path, nothing);
    content = read(bytes);
  } catch (error) {
    throw coded(error);
  }
  const tellUsable = (): void =>
    reports.usable(setting, {
      sha256: createHash('sha256').update(bytes).digest('hex'),
      lines: summary?.(content) ?? [],
    });
  tellUsable();

  let problem: string | undefined;
  const take = (): void => {
    let changed = false;
    try {
      const next = readWhole(path, nothing);
      changed = !next.equals(bytes);
      if (changed) {
        if (isCutOff(next, bytes)) throw new CodedError('TEXT_INVALID', 'it is cut off within a line');
        content = read(next);
        bytes = next;
      }
    } catch (error) {
      const reason = coded(error);
      if (reason.message !== problem) reports.unusable(setting, reason);
      problem = reason.message;
      return;
    }
    if (changed || problem !== undefined) tellUsable();
    problem = undefined;
    if (changed) onChange?.();
  };

  let closed = false;
  let quiet: NodeJS.Timeout | undefined;
  const takeSoon = (): void => {
    if (closed) return;
    clearTimeout(quiet);
    quiet = setTimeout(take, QUIET_MS).unref();
  };
  let state: string | undefined;
  let looking = false;
  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    const seen = await stateOf(path);
    looking = false;
    // The first look, too: it may have changed since it was read. A file that could not be read may be readable now.
    if (seen !== state || problem !== undefined) takeSoon();
    state = seen;
  };
  const watcher = watchFolder(path, takeSoon);
  const timer = setInterval(() => void look(), LOOK_MS).unref();
  void look();
  return {
    current: () => content,
    close() {
      closed = true;
      clearInterval(timer);
      clearTimeout(quiet);
      watcher?.close();
    },
  };
}
