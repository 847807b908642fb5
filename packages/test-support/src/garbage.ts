/** Garbage collected over and over, as in a process that has run for long: what is not referenced is freed at once. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const EVERY_MS = 50;

/** Stop it with what is returned. */
export function keepCollecting(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const timer = setInterval(collect, EVERY_MS);
  return () => clearInterval(timer);
}
