/**
 * A process that makes folders which others make at the same time: `folder-maker.js <folder> <calls>`. Ten calls at once
 * want the same folder, four levels below one that is new to them. Writes what went wrong, by code, as JSON.
 */
import { mkdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';

const AT_ONCE = 10;
const [, , folder = '', calls = '0', how] = process.argv;
const failures: Record<string, number> = {};
const note = (what: string): void => {
  failures[what] = (failures[what] ?? 0) + 1;
};

/** Take away what is empty, from below. */
function removeEmpty(...paths: string[]): void {
  for (const path of paths) {
    try {
      rmdirSync(path);
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOTEMPTY')) throw error;
    }
  }
}

mkdirSync(folder, { recursive: true });
for (let round = 0; round * AT_ONCE < Number(calls); round += 1) {
  const top = join(folder, how === 'remove' ? 'same' : String(round));
  const deep = join(top, 'a', 'b', 'c');
  const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, () => makeFolder(deep)));
  for (const result of results)
    if (result.status === 'rejected') note(String((result.reason as { code?: string }).code));
  if (how === 'remove') removeEmpty(deep, join(top, 'a', 'b'), join(top, 'a'), top);
  else if (!statSync(deep).isDirectory()) note('not there');
}
process.stdout.write(JSON.stringify(failures));
