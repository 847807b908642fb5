/** Whether anything has to be compiled: to let the compiler find out takes seconds of processor time. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const STAMP = join(ROOT, 'node_modules', '.khumbu-compiled');

/** Paths, times and sizes: a file that is back at an earlier time counts as changed too. */
export function stateOf(files) {
  const hash = createHash('sha256').update(ROOT);
  for (const file of files) {
    const { mtimeMs = 0, size = 0 } = statSync(file, { throwIfNoEntry: false }) ?? {};
    hash.update(`${file} ${mtimeMs} ${size}\n`);
  }
  return hash.digest('hex');
}

export const filesBelow = (folder) =>
  existsSync(folder) ? readdirSync(folder, { recursive: true }).map((name) => join(folder, name)) : [];

/** What the compiler reads. */
export const sourcesOf = (folders) =>
  stateOf([
    ...['tsconfig.json', 'tsconfig.base.json', 'node_modules/.package-lock.json'].map((name) => join(ROOT, name)),
    ...folders.flatMap((folder) => [
      join(folder, 'tsconfig.json'),
      join(folder, 'package.json'),
      ...['src', 'test'].flatMap((part) => filesBelow(join(folder, part))),
    ]),
  ]);

/** The compiler's own notes: whoever calls it beside us changes them. */
const outputsOf = (folders) => stateOf(folders.map((folder) => join(folder, 'dist', '.tsbuildinfo')));

export const isCompiled = (folders) =>
  existsSync(STAMP) && readFileSync(STAMP, 'utf8') === `${sourcesOf(folders)} ${outputsOf(folders)}`;

/** `sources` as they were before they were compiled: one that changed meanwhile is compiled with the next start. */
export const noteCompiled = (folders, sources) => writeFileSync(STAMP, `${sources} ${outputsOf(folders)}`);
