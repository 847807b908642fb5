/** An operator's own expressions, line by line, by an engine whose time grows with the line alone. */
import { isAscii } from 'node:buffer';
import { compileOwn, type OwnRedactionRule } from '@khumbu/shared/stations/redact-rules';
import type { Secret } from './finder.js';

export interface OwnFinder {
  readonly name: string;
  readonly find: (bytes: Buffer, from: number, to: number) => Iterable<Secret>;
}

/** Throws what `redactProblem` has words for. */
export function createOwnFinder({ name, expression, group = 0 }: OwnRedactionRule): OwnFinder {
  const compiled = compileOwn(expression);
  return {
    name,
    *find(bytes, from, to) {
      const line = bytes.subarray(from, to);
      const isPlain = isAscii(line);
      const text = line.toString(isPlain ? 'latin1' : 'utf8');
      const bytesTo = (end: number): number => (isPlain ? end : Buffer.byteLength(text.slice(0, end)));
      const matcher = compiled.matcher(text);
      while (matcher.find()) {
        const [start, end] = [matcher.start(group), matcher.end(group)];
        if (end > start && start >= 0) yield { from: from + bytesTo(start), to: from + bytesTo(end) };
      }
    },
  };
}
