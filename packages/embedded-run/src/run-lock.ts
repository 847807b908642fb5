/**
 * One run at a time in one folder. The lock is a row of files, `lock.1`, `lock.2` and so on, each with the identity of who
 * made it; the highest one counts, and it counts for as long as that process runs. None is ever taken away from a
 * holder: a process that finds the holder gone makes the next one, which only one can (`link`), and then removes older
 * ones. A single file that is removed when its holder is gone would be removed by two processes that looked at once, the
 * second time with a new holder in it.
 */
import { randomUUID } from 'node:crypto';
import { linkSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import { identityText, isRunning, type ProcessIdentity, parseIdentity } from '@khumbu/shared/runtime/process-identity';

/** Who holds it, for a person who looks; and the whole lock of earlier releases. */
export const HOLDER = 'supervisor.pid';

/** `undefined`: no such file, or it names no process. */
export function readIdentity(file: string): ProcessIdentity | undefined {
  try {
    return parseIdentity(readFileSync(file, 'utf8'));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

const numbers = (folder: string): number[] =>
  readdirSync(folder)
    .map((name) => Number(/^lock\.([1-9]\d{0,14})$/.exec(name)?.[1] ?? 0))
    .filter((number) => number > 0);
const highest = (folder: string): number => Math.max(0, ...numbers(folder));

/** Take the lock of a folder. Throws `DATA_DIR_IN_USE` with the `owner` of the folder in its words. */
export function takeRunLock(folder: string, owner: string) {
  const at = (number: number): string => join(folder, `lock.${number}`);
  const refuseIfHeld = (file: string): void => {
    const holder = readIdentity(file);
    if (!holder || !isRunning(holder)) return;
    throw new CodedError(
      'DATA_DIR_IN_USE',
      `${owner} belongs to a run that is still going (process ${holder.pid}): stop it or choose another DATA_DIR`,
    );
  };
  const claim = (): number => {
    // A link appears with its content or not at all.
    const own = join(folder, `lock.${randomUUID()}.new`);
    writeFileSync(own, identityText(process.pid));
    try {
      for (;;) {
        const last = highest(folder);
        if (last > 0) refuseIfHeld(at(last));
        try {
          linkSync(own, at(last + 1));
        } catch (error) {
          if (hasCode(error, 'EEXIST')) continue;
          throw error;
        }
        if (highest(folder) === last + 1) return last + 1;
        // Others have come and gone meanwhile, and removed the one that was in the way.
        rmSync(at(last + 1), { force: true });
      }
    } finally {
      rmSync(own, { force: true });
    }
  };

  const mine = claim();
  const holderFile = join(folder, HOLDER);
  let held = true;
  /** Let the next one in. Safe to repeat. */
  const release = (): void => {
    if (!held) return;
    held = false;
    rmSync(holderFile, { force: true });
    // Emptied, not removed: the numbers only ever grow.
    truncateSync(at(mine));
  };
  try {
    refuseIfHeld(holderFile);
  } catch (error) {
    // One of an earlier release runs.
    truncateSync(at(mine));
    throw error;
  }
  for (const number of numbers(folder)) if (number < mine) rmSync(at(number), { force: true });
  writeFileSync(holderFile, identityText(process.pid));
  return { release };
}
