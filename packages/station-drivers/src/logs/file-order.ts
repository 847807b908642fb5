/** Files of a source: which matter, how each is unpacked, and in which order they were written. Pure. */
import type { ListedFile } from './listing.js';
import type { LogWindow } from './log-window.js';

/** `gzip` is unpacked here, the others by a program of the station. */
export type Packing = 'cat' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

const PACKINGS: Readonly<Record<string, Packing>> = { gz: 'gzip', zst: 'zstd', xz: 'xz', bz2: 'bzip2' };
const PACKED = /\.(gz|zst|xz|bz2)$/;
/** What rotation puts behind a name: a number, a year with a month or a week, or a date with or without a time. */
const ROTATED =
  /[.-](?:\d{1,4}|\d{4}-?W?\d\d|\d{8}(?:[.-]?\d{2,6})?|\d{10}|\d{14}|\d{4}-\d\d-\d\d(?:[T_.-]?\d[\d:.-]*)?)$/;

/** A zone that was taken for another, a clock that was wrong by less: such a file is still looked into. */
const MARGIN_MS = 86_400_000;

export const packingOf = (path: string): Packing => PACKINGS[PACKED.exec(path)?.[1] ?? ''] ?? 'cat';

export const unpackedPath = (path: string): string => path.replace(PACKED, '');

export const isRotated = (path: string): boolean => PACKED.test(path) || ROTATED.test(path);

const stemOf = (path: string): string => unpackedPath(path).replace(ROTATED, '');

/** The higher, the older; -1: no number but a date (`.2026-11-09`, `-20261109-1234`), a month (`.2026-11`, `-202611`) or a year. */
const turnOf = (path: string): number => {
  const [suffix = ''] = ROTATED.exec(unpackedPath(path)) ?? [];
  return /^.\d{1,3}$/.test(suffix) ? Number(suffix.slice(1)) : -1;
};

/** Whether it has been written to since the window began, but for a margin. */
const isRecent = ({ modifiedMs }: ListedFile, { oldest }: LogWindow): boolean => modifiedMs + 999 + MARGIN_MS >= oldest;

/** Whether a file whose records have no times counts: by when it was written last. */
export const countsAsWhole = ({ modifiedMs }: ListedFile, { oldest }: LogWindow): boolean => modifiedMs + 999 >= oldest;

/** `x.1.gz` beside `x.1` is being made from it right now, and is no further file. */
function isBeingPacked({ path }: ListedFile, paths: ReadonlySet<string>): boolean {
  const unpacked = unpackedPath(path);
  return unpacked !== path && ROTATED.test(unpacked) && paths.has(unpacked);
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const byTime = (a: ListedFile, b: ListedFile): number =>
  a.modifiedMs - b.modifiedMs || turnOf(b.path) - turnOf(a.path) || compareText(a.path, b.path);

/** How often a file was written to last before the one that it comes after. */
const inversions = (files: readonly ListedFile[]): number =>
  files.filter(({ modifiedMs }, at) => modifiedMs < (files[at - 1]?.modifiedMs ?? modifiedMs)).length;

/**
 * The files of one log, oldest first. What is written to now comes last. Those that were put aside come by their numbers, of which mostly
 * the higher is the older: a clock that was set back leaves times that say nothing. Where the times speak for it, the other way round.
 */
function inTurn(log: readonly ListedFile[]): readonly ListedFile[] {
  const timed = log.toSorted(byTime);
  const live = timed.filter(({ path }) => !isRotated(path));
  const aside = timed.filter(({ path }) => isRotated(path));
  if (live.length === 0 || aside.some(({ path }) => turnOf(path) === -1)) return [...aside, ...live];
  const usual = [...aside.toSorted((a, b) => turnOf(b.path) - turnOf(a.path)), ...live];
  const other = [...aside.toSorted((a, b) => turnOf(a.path) - turnOf(b.path)), ...live];
  return inversions(other) < inversions(usual) ? other : usual;
}

/**
 * Those of one log that may have records of the window: written to since it began, or after one that was. Such a one seems older where it
 * was written to last while the clock was set back.
 */
function mattering(log: readonly ListedFile[], window: LogWindow): readonly ListedFile[] {
  const highest = Math.max(
    ...log.map((file) => (isRecent(file, window) ? turnOf(file.path) : Number.NEGATIVE_INFINITY)),
  );
  if (highest === Number.NEGATIVE_INFINITY) return [];
  return log.filter((file) => {
    if (isRecent(file, window) || !isRotated(file.path)) return true;
    const turn = turnOf(file.path);
    return turn !== -1 && turn < highest;
  });
}

function logsOf(files: readonly ListedFile[]): ReadonlyMap<string, readonly ListedFile[]> {
  const logs = new Map<string, ListedFile[]>();
  for (const file of files) {
    const stem = stemOf(file.path);
    const log = logs.get(stem);
    if (log) log.push(file);
    else logs.set(stem, [file]);
  }
  return logs;
}

/**
 * Each file once, those of one log after the other, oldest first. `nowMs`: the station's clock; where it is before the window itself, the
 * times of files do not say which of them count.
 */
export function filesToRead(files: readonly ListedFile[], window: LogWindow, nowMs: number): readonly ListedFile[] {
  const readable = files.filter(({ isReadable }) => isReadable);
  const paths = new Set(readable.map(({ path }) => path));
  const once = new Map(readable.toReversed().map((file) => [file.inode, file]));
  const isSetBack = nowMs + MARGIN_MS < window.oldest;
  const logs = logsOf([...once.values()].filter((file) => file.sizeBytes > 0 && !isBeingPacked(file, paths)));
  return [...logs.entries()]
    .toSorted(([a], [b]) => compareText(a, b))
    .flatMap(([, log]) => inTurn(isSetBack ? log : mattering(log, window)));
}

/** Of each file, whether it goes on with the one before it. Names with numbers alone may be those of several logs. */
export function whichGoOn(files: readonly ListedFile[]): readonly boolean[] {
  const live = new Set(files.map(({ path }) => unpackedPath(path)).filter((path) => !isRotated(path)));
  const stems = files.map(({ path }) => stemOf(path));
  return stems.map((stem, at) => stem === stems[at - 1] && live.has(stem));
}
