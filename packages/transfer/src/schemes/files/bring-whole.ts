/** One file brought to a file server: under a name of its own, measured, and only then under its final one. */
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import type { Brought, PutOptions } from '../../port.js';
import { markedName, temporaryName } from './temporary-name.js';

/** For tidying up after a try that has failed. Only a final name is waited for: the next try may bring its file there. */
const TIDY_MS = 5000;

/** What a session at the server does for it. */
export interface Receiver {
  /** Bring all of it under this path. Resolves with its bytes once the server was seen to have as many. `onBegun`: a file is there now. */
  write(path: string, onBegun: () => void): Promise<number>;
  /** `false`: the server lets nothing be renamed, or not to this path. Rejects for a refusal that may pass. */
  rename(from: string, to: string): Promise<boolean>;
  /** Whether it was allowed to does not matter. */
  remove(path: string): Promise<unknown>;
  /** Whether something has this path, as far as the server tells. */
  has(path: string): Promise<boolean>;
  /** Bytes of a file; `undefined`: there is none, or the server does not tell. */
  sizeOf(path: string): Promise<number | undefined>;
  close(): void;
  /** What a failure means to the caller, while the session still stands. */
  explain(error: unknown): Promise<unknown>;
}

export interface Bringing {
  readonly receiver: Receiver;
  /** A session for tidying up. */
  readonly openAnother: (signal: AbortSignal) => Promise<Pick<Receiver, 'remove' | 'close'>>;
  /** The path of a name. */
  readonly pathOf: (name: string) => string;
  readonly name: string;
  /** Bytes of what is brought, where that is known. */
  readonly size: number | undefined;
  readonly options: Pick<PutOptions, 'signal' | 'mark'>;
}

/**
 * Where it is written first. What an earlier try of the same upload left is removed, and its name not taken again at once: a worker that
 * was frozen may hold it open or still be about to remove it, and servers lock files that are being written.
 */
async function placeFor({ receiver, pathOf, name, options: { mark } }: Bringing): Promise<string> {
  let free: string | undefined;
  for (const word of mark === undefined ? [] : [mark.value, `${mark.value} again`]) {
    const path = pathOf(markedName(name, word));
    if (await receiver.has(path)) await receiver.remove(path);
    else free ??= path;
  }
  return free ?? pathOf(temporaryName(name));
}

/**
 * The name of what is whole and measured while the file that has the final name is removed, where the server puts nothing in the place of
 * another: who is killed in between leaves all of it to the next try.
 */
const wholeName = ({ name, options: { mark } }: Bringing): string =>
  mark === undefined ? temporaryName(name) : markedName(name, `${mark.value} whole`);

interface Paths {
  readonly whole: string;
  readonly final: string;
}

/** `false`: the server does not let it; then nothing may be left under the final name. */
async function takePlace({ receiver }: Bringing, { whole, final }: Paths): Promise<boolean> {
  await receiver.remove(final);
  return receiver.rename(whole, final);
}

/** Finish what a killed try has brought whole. Resolves with its bytes if that is what is to be brought. */
async function finishEarlier(bringing: Bringing, paths: Paths): Promise<number | undefined> {
  const { receiver, size, options } = bringing;
  const bytes = options.mark === undefined ? undefined : await receiver.sizeOf(paths.whole);
  if (bytes === undefined) return undefined;
  // Of another size where another worker made the archive anew: until that one is there, the earlier one is better than none.
  if (await takePlace(bringing, paths)) return bytes === size ? bytes : undefined;
  await receiver.remove(paths.whole);
  return undefined;
}

/** Remove what this try has left there. Resolves whatever comes of it, in `TIDY_MS`. */
async function tidy(path: string, { receiver, openAnother }: Bringing): Promise<void> {
  receiver.close();
  const deadline = deadlineAfter(TIDY_MS);
  try {
    const another = await openAnother(deadline.signal).catch(() => undefined);
    await another?.remove(path).catch(() => undefined);
    another?.close();
  } finally {
    deadline.clear();
  }
}

/** Resolves when all of it is there under its name. See `Transport.put`. */
export async function bringWhole(bringing: Bringing): Promise<Brought> {
  const { receiver, pathOf, name, options } = bringing;
  const paths: Paths = { whole: pathOf(wholeName(bringing)), final: pathOf(name) };
  const { whole, final } = paths;
  /** What a failed try would leave behind. */
  let left: string | undefined;
  const write = (path: string): Promise<number> =>
    receiver.write(path, () => {
      left = path;
    });
  const isPlaced = async (temporary: string): Promise<boolean> => {
    if (await receiver.rename(temporary, final)) return true;
    // It also proves that files may be renamed: where none may, the one that is there is not removed for nothing.
    const isNamed = await receiver.rename(temporary, whole);
    if (isNamed) {
      left = undefined;
      if (await takePlace(bringing, paths)) return true;
    }
    await receiver.remove(isNamed ? whole : temporary);
    left = undefined;
    return false;
  };
  const bring = async (): Promise<number> => {
    const earlier = await finishEarlier(bringing, paths);
    if (earlier !== undefined) return earlier;
    const temporary = await placeFor(bringing);
    const bytes = await write(temporary);
    // Under its final name nobody can tell a half from the whole until it is measured.
    return (await isPlaced(temporary)) ? bytes : write(final);
  };
  try {
    const bytes = await bring();
    receiver.close();
    return { bytes };
  } catch (error) {
    const fault = await receiver.explain(error);
    if (left === undefined) receiver.close();
    else {
      const tidied = tidy(left, bringing);
      if (left === final && !options.signal.aborted) await tidied;
    }
    throw fault;
  }
}
