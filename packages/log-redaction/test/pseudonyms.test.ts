/** What a redactor keeps of the values that it has seen. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { createPseudonyms } from '../src/pseudonyms.js';
import { KEY } from './golden-logs.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const MIB = 1024 * 1024;

/** What is held beyond the call of `use`. */
function heldBytes(use: () => void): number {
  collect();
  const before = process.memoryUsage().heapUsed;
  use();
  collect();
  return process.memoryUsage().heapUsed - before;
}

void t.test('values as long as a text are not kept, nor the text that a short one was cut out of', (t) => {
  const pseudonym = createPseudonyms(KEY);
  const long = (n: number): string => `${n} ${'x'.repeat(64 * 1024)}`;
  t.ok(heldBytes(() => Array.from({ length: 500 }, (_, n) => pseudonym('secret', long(n)))) < 8 * MIB, 'long values');
  const cutOut = (n: number): string => Buffer.from(long(n)).toString('latin1').slice(0, 40);
  t.ok(heldBytes(() => Array.from({ length: 500 }, (_, n) => pseudonym('secret', cutOut(n)))) < 8 * MIB, 'short ones');
  for (const value of [long(1), 'x'.repeat(256), 'x'.repeat(257), 'Μ Ÿ ß 04']) {
    t.equal(pseudonym('secret', value), pseudonym('secret', value));
    t.equal(pseudonym('secret', value), createPseudonyms(KEY)('secret', value));
  }
  t.end();
});
