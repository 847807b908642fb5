/**
 * The beginning of a part: the last bytes that are held, once more. Heads prove nothing of a body: a server may answer the range that
 * was asked for with bytes from elsewhere, or keep the validators of a file that it has replaced.
 */
import type { Body } from '../../port.js';
import { TailCheck } from '../files/held-tail.js';
import type { HttpGetResponse } from './get.js';

type Use = (piece: Buffer) => void;
type Deferred = { readonly promise: Promise<void>; readonly resolve: () => void };

function deferred(): Deferred {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Other bytes came: ends the reading. */
const OTHER = new Error('what comes is not of what is held');

/**
 * Read so many bytes as are compared; what comes behind them waits for its reader. `undefined`: they are others, or the body ended
 * before; its connection is closed then. Throws as `readBody` does.
 */
export async function passOverlap(
  answer: Pick<HttpGetResponse, 'readBody' | 'drop'>,
  tail: Buffer,
): Promise<Body | undefined> {
  const check = new TailCheck(tail);
  /** Beyond the overlap, before there was a reader. */
  const early: Buffer[] = [];
  const compared = deferred();
  const begun = deferred();
  let reader: Use | undefined;
  const reading = answer.readBody((piece) => {
    if (reader) {
      reader(piece);
      return undefined;
    }
    const rest = check.isDone ? piece : check.rest(piece);
    if (!rest) throw OTHER;
    if (rest.length > 0) early.push(Buffer.from(rest));
    if (!check.isDone) return undefined;
    compared.resolve();
    return begun.promise;
  });
  try {
    await Promise.race([compared.promise, reading]);
  } catch (error) {
    if (error === OTHER) return undefined;
    throw error;
  }
  if (!check.isDone) return undefined;
  // Its end may come before anybody reads; whoever does hears of it then.
  reading.catch(() => undefined);
  return {
    async readBody(use) {
      try {
        for (const piece of early.splice(0)) use(piece);
      } catch (error) {
        answer.drop();
        throw error;
      }
      reader = use;
      begun.resolve();
      await reading;
    },
    drop: () => answer.drop(),
  };
}
