/** Folders are shared: what was listed may be gone when it is looked at. */
import { hasCode } from './errors.js';

/** `undefined` for a file that is not, or no longer, there. */
export async function ifExists<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
