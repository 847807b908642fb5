/** Files of a source: which matter, how each is unpacked, and in which order they were written. Pure. */
import type { ListedFile } from './listing.js';
import type { LogWindow } from './log-window.js';

/** `gzip` is unpacked here, the others by a program of the station. */
export type Packing = 'cat' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

const PACKINGS: Readonly<Record<string, Packing>> = { gz: 'gzip', zst: 'zstd', xz: 'xz', bz2: 'bzip2' };
const PACKED = /\.(gz|zst|xz|bz2)$/;
/** What rotation puts behind a name: a number, or a date with or without a time. */
const ROTATED = /[.-](?:\d{1,4}|\d{8}(?:[.-]?\d{2,6})?|\d{10}|\d{14}|\d{4}-\d\d-\d\d(?:[T_.-]?\d[\d:.-]*)?)$/;

/** A clock that was set back to before the window, or a zone that was taken for another: such a file is still looked into. */
const MARGIN_MS = 86_400_000;

export const packingOf = (path: string): Packing => PACKINGS[PACKED.exec(path)?.[1] ?? ''] ?? 'cat';

export const unpackedPath = (path: string): string => path.replace(PACKED, '');

export const isRotated = (path: string): boolean => PACKED.test(path) || ROTATED.test(path);

const stemOf = (path: string): string => unpackedPath(path).replace(ROTATED, '');

/** The higher, the older; dates the other way round. */
const turnOf = (path: string): number => {
  const [, digits = ''] = /[.-](\d{1,4})$/.exec(unpackedPath(path)) ?? [];
  return digits === '' ? -1 : Number(digits);
};

/** A file that may be looked into has been written to since the window began, but for a margin. */
const matters = ({ modifiedMs, sizeBytes }: ListedFile, { oldest }: LogWindow): boolean =>
  sizeBytes > 0 && modifiedMs + 999 + MARGIN_MS >= oldest;

/** Whether a file whose records have no times counts: by when it was written last. */
export const countsAsWhole = ({ modifiedMs }: ListedFile, { oldest }: LogWindow): boolean => modifiedMs + 999 >= oldest;

/** `x.1.gz` beside `x.1` is being made from it right now, and is no further file. */
function isBeingPacked({ path }: ListedFile, paths: ReadonlySet<string>): boolean {
  const unpacked = unpackedPath(path);
  return unpacked !== path && ROTATED.test(unpacked) && paths.has(unpacked);
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Each file once, those of one log after the other, oldest first. */
export function filesToRead(files: readonly ListedFile[], window: LogWindow): readonly ListedFile[] {
  const readable = files.filter(({ isReadable }) => isReadable);
  const paths = new Set(readable.map(({ path }) => path));
  const once = new Map(readable.toReversed().map((file) => [file.inode, file]));
  return [...once.values()]
    .filter((file) => matters(file, window) && !isBeingPacked(file, paths))
    .toSorted(
      (a, b) =>
        compareText(stemOf(a.path), stemOf(b.path)) ||
        a.modifiedMs - b.modifiedMs ||
        turnOf(b.path) - turnOf(a.path) ||
        compareText(a.path, b.path),
    );
}
