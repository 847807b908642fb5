/** Names under which files are brought: nobody takes a half for a whole before it is renamed. */
import { randomBytes } from 'node:crypto';

/** Longest name of a file that most file systems take. */
const MAX_NAME_BYTES = 255;

/** Another one for each try: two that bring the same file do not write into each other's. */
export function temporaryName(name: string): string {
  const end = `.${randomBytes(4).toString('hex')}.part`;
  let begin = name;
  while (Buffer.byteLength(begin) + end.length > MAX_NAME_BYTES) begin = begin.slice(0, -1);
  return `${begin}${end}`;
}
