/** Journals of systemd with records of any content and time, written by systemd-journal-remote, for a real journalctl to read. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianFiles } from './debian-files.js';

const PACKAGES = ['systemd-journal-remote', 'libmicrohttpd12'];
const PROGRAM = 'lib/systemd/systemd-journal-remote';
const WRITE_MS = 60_000;
/** journalctl looks for files below a folder that is named as a machine. */
const MACHINE = 'c'.repeat(32);

export interface JournalEntry {
  /** Microseconds since 1970, and since the boot. */
  readonly realtime: bigint;
  readonly monotonic: bigint;
  /** 32 hexadecimal digits. */
  readonly boot: string;
  /** A field that comes more than once is a list. */
  readonly fields: Readonly<Record<string, string | Buffer | readonly (string | Buffer)[]>>;
}

/** Resolves with why no journals can be made. */
export async function whyNoJournal(): Promise<string | undefined> {
  if (!existsSync('/usr/bin/journalctl') && !existsSync('/bin/journalctl')) return 'there is no journalctl';
  const files = await debianFiles(PACKAGES);
  if (typeof files === 'string') return files;
  const env = { ...process.env, LD_LIBRARY_PATH: files.libraries };
  try {
    await promisify(execFile)(join(files.root, PROGRAM), ['--version'], { env, timeout: WRITE_MS });
    return undefined;
  } catch (error) {
    return `systemd-journal-remote does not run: ${(error as Error).message}`;
  }
}

/** A field in the export format: as bytes, whatever is in them. */
function field(name: string, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(`${name}\n`), size, bytes, Buffer.from('\n')]);
}

const exported = ({ realtime, monotonic, boot, fields }: JournalEntry): Buffer => {
  const times = `__REALTIME_TIMESTAMP=${realtime}\n__MONOTONIC_TIMESTAMP=${monotonic}\n_BOOT_ID=${boot}\n`;
  const values = Object.entries(fields).flatMap(([name, value]) =>
    (Array.isArray(value) ? (value as readonly (string | Buffer)[]) : [value as string | Buffer]).map((one) =>
      field(name, one),
    ),
  );
  return Buffer.concat([Buffer.from(times), ...values, Buffer.from('\n')]);
};

/** Each write wakes the program that reads. */
const PIECE_ENTRIES = 256;

function* exportedPieces(entries: Iterable<JournalEntry>): Generator<Buffer> {
  let piece: Buffer[] = [];
  for (const entry of entries) {
    piece.push(exported(entry));
    if (piece.length < PIECE_ENTRIES) continue;
    yield Buffer.concat(piece);
    piece = [];
  }
  yield Buffer.concat(piece);
}

/**
 * Writes one journal file, and further ones beside it when it is as large as journald makes them; resolves with its path. Several in
 * one folder are one journal.
 */
export async function writeJournal(
  directory: string,
  entries: Iterable<JournalEntry>,
  name = 'system',
  limitMs = WRITE_MS,
): Promise<string> {
  const files = await debianFiles(PACKAGES);
  if (typeof files === 'string') throw new Error(files);
  const folder = join(directory, MACHINE);
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.journal`);
  const env = { ...process.env, LD_LIBRARY_PATH: files.libraries };
  const child = execFile(join(files.root, PROGRAM), [`--output=${path}`, '-'], { env, timeout: limitMs });
  const ended = once(child, 'close');
  for (const piece of exportedPieces(entries))
    if (child.stdin?.write(piece) === false) await once(child.stdin, 'drain');
  child.stdin?.end();
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new Error(`systemd-journal-remote ended with ${code}`);
  return path;
}
