/** One file brought to a file server: under a name of its own, measured, and only then under its final one. */
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import type { Brought, PutOptions } from '../../port.js';
import { type Leg, TransferError } from '../../transfer-error.js';
import { markedName, temporaryName } from './temporary-name.js';

/** For tidying up after a try that has failed. Only what has to do with the final name is waited for: the next try may bring its file there. */
const TIDY_MS = 5000;

/** What a session at the server does for it. */
export interface Receiver {
  /** Bring all of it under this path. Resolves with its bytes once the server was seen to have as many. `onBegun`: a file is there now. */
  write(path: string, onBegun: () => void): Promise<number>;
  /** `false`: the server lets nothing be renamed, or not to this path, or there is nothing to rename. Rejects for a refusal that may pass. */
  rename(from: string, to: string): Promise<boolean>;
  /** Whether it was allowed to does not matter. */
  remove(path: string): Promise<unknown>;
  /** Whether something has this path, as far as the server tells. */
  has(path: string): Promise<boolean>;
  /** Bytes of a file; `undefined`: there is none, or the server never tells. Rejects for a refusal that may pass. */
  sizeOf(path: string): Promise<number | undefined>;
  close(): void;
  /** What a failure means to the caller, while the session still stands. */
  explain(error: unknown): Promise<unknown>;
}

export interface Bringing {
  readonly leg: Leg;
  readonly receiver: Receiver;
  /** A session for tidying up. */
  readonly openAnother: (signal: AbortSignal) => Promise<Receiver>;
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

interface Paths {
  /**
   * Of what is whole and measured while the file that has the final name is set aside, where the server puts nothing in the place of
   * another: who is killed in between leaves all of it to the next try.
   */
  readonly whole: string;
  /** Of the file that had the final name, until another one has it. */
  readonly aside: string;
  readonly final: string;
}

function pathsOf({ name, pathOf, options: { mark } }: Bringing): Paths {
  const own = (word: string): string =>
    pathOf(mark === undefined ? temporaryName(name) : markedName(name, `${mark.value} ${word}`));
  return { whole: own('whole'), aside: own('aside'), final: pathOf(name) };
}

/** What a failed try would leave behind. */
interface Traces {
  /** The path of a file. */
  left?: string | undefined;
  /** Something may have been set aside. */
  isAside: boolean;
}

/** What was set aside has its name again; where that is taken, it is of no more use. */
async function giveBack(receiver: Receiver, { aside, final }: Paths): Promise<void> {
  if (await receiver.has(final)) await receiver.remove(aside);
  else await receiver.rename(aside, final);
}

/**
 * After a rename that was refused. What is gone has been put in its place, or removed, by another worker while this one was frozen: that
 * worker may have told its archive as uploaded, so what has the final name is not touched.
 */
async function assertThere({ receiver, leg }: Bringing, path: string): Promise<void> {
  if ((await receiver.sizeOf(path)) === undefined)
    throw new TransferError(leg, 'not_whole', 'what was sent is gone from the server');
}

/** `false`: the server does not let it; what had the final name has it again. Throws where `whole` is gone. */
async function takePlace(bringing: Bringing, paths: Paths, traces: Traces): Promise<boolean> {
  const { receiver } = bringing;
  const { whole, aside, final } = paths;
  // A folder stays where it is.
  if ((await receiver.sizeOf(final)) !== undefined) {
    // Of a killed try: while something has the final name, it is of no use.
    await receiver.remove(aside);
    traces.isAside = true;
    await receiver.rename(final, aside);
  }
  if (await receiver.rename(whole, final)) {
    // Also where a killed try has set it aside.
    traces.isAside = true;
    return true;
  }
  await giveBack(receiver, paths);
  traces.isAside = false;
  await assertThere(bringing, whole);
  return false;
}

/** Finish what a killed try has brought whole. Resolves with its bytes if that is what is to be brought. */
async function finishEarlier(bringing: Bringing, paths: Paths, traces: Traces): Promise<number | undefined> {
  const { receiver, size, options } = bringing;
  const bytes = options.mark === undefined ? undefined : await receiver.sizeOf(paths.whole);
  if (bytes === undefined) return undefined;
  // Of another size where another worker made the archive anew: until that one is there, the earlier one is better than none.
  if (await takePlace(bringing, paths, traces)) return bytes === size ? bytes : undefined;
  await receiver.remove(paths.whole);
  return undefined;
}

/**
 * What this try has left there. A whole under the final name may be of another worker, and stays; where the server does not tell, it
 * counts as a half.
 */
async function clear(
  receiver: Receiver,
  paths: Paths,
  { left, isAside }: Traces,
  size: number | undefined,
): Promise<void> {
  const bytes = left === paths.final ? await receiver.sizeOf(left).catch(() => undefined) : undefined;
  if (left !== undefined && (bytes === undefined || bytes !== size)) await receiver.remove(left);
  if (isAside) await giveBack(receiver, paths);
}

/** Resolves whatever comes of it, in `TIDY_MS`. */
async function tidy({ receiver, openAnother, size }: Bringing, paths: Paths, traces: Traces): Promise<void> {
  receiver.close();
  const deadline = deadlineAfter(TIDY_MS);
  try {
    const another = await openAnother(deadline.signal).catch(() => undefined);
    if (another) await clear(another, paths, traces, size).catch(() => undefined);
    another?.close();
  } finally {
    deadline.clear();
  }
}

/** Resolves when all of it is there under its name. See `Transport.put`. */
export async function bringWhole(bringing: Bringing): Promise<Brought> {
  const { receiver, options } = bringing;
  const paths = pathsOf(bringing);
  const { whole, final } = paths;
  const traces: Traces = { isAside: false };
  const write = (path: string): Promise<number> =>
    receiver.write(path, () => {
      traces.left = path;
    });
  const isPlaced = async (temporary: string): Promise<boolean> => {
    if (await receiver.rename(temporary, final)) return true;
    // It also proves that files may be renamed: where none may, the one that is there is not set aside for nothing.
    const isNamed = await receiver.rename(temporary, whole);
    if (isNamed) {
      traces.left = undefined;
      if (await takePlace(bringing, paths, traces)) return true;
    } else await assertThere(bringing, temporary);
    await receiver.remove(isNamed ? whole : temporary);
    traces.left = undefined;
    return false;
  };
  const bring = async (): Promise<number> => {
    const earlier = await finishEarlier(bringing, paths, traces);
    if (earlier !== undefined) return earlier;
    const temporary = await placeFor(bringing);
    const bytes = await write(temporary);
    // Under its final name nobody can tell a half from the whole until it is measured.
    if (!(await isPlaced(temporary))) await write(final);
    traces.left = undefined;
    return bytes;
  };
  try {
    const bytes = await bring();
    // The older file that is left is worth no second upload.
    if (traces.isAside) await receiver.remove(paths.aside).catch(() => tidy(bringing, paths, traces));
    receiver.close();
    return { bytes };
  } catch (error) {
    const fault = await receiver.explain(error);
    const { left, isAside } = traces;
    if (left === undefined && !isAside) receiver.close();
    else {
      const tidied = tidy(bringing, paths, traces);
      if ((isAside || left === final) && !options.signal.aborted) await tidied;
    }
    throw fault;
  }
}
