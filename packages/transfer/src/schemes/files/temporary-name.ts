/** Names under which files are brought: nobody takes a half for a whole before it is renamed. */
import { createHash, randomBytes } from 'node:crypto';

/** Longest name of a file that most file systems take. */
const MAX_NAME_BYTES = 255;

function named(name: string, word: string): string {
  const end = `.${word}.part`;
  let begin = name;
  while (Buffer.byteLength(begin) + end.length > MAX_NAME_BYTES) begin = begin.slice(0, -1);
  return `${begin}${end}`;
}

/** Another one for each try: two that bring the same file do not write into each other's. */
export const temporaryName = (name: string): string => named(name, randomBytes(4).toString('hex'));

/** One that follows from the word, so that what a killed try has left is found by the next. */
export const markedName = (name: string, word: string): string =>
  named(name, createHash('sha256').update(word).digest('hex').slice(0, 8));
