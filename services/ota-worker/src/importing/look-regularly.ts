/** Looks at the import folder until the worker stops. */
import { sleep } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';

const LOOK_MS = 5000;

/** Never rejects: a look that failed is logged when its reason is another one than before, and made again. */
export async function lookRegularly(
  folder: { readonly look: (signal: AbortSignal) => Promise<number> },
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  let before = '';
  while (!signal.aborted) {
    try {
      await folder.look(signal);
      before = '';
    } catch (error) {
      const reason = describeError(error);
      if (!signal.aborted && reason !== before) log.warn({ reason }, 'the import folder was not looked at');
      before = reason;
    }
    await sleep(LOOK_MS, signal);
  }
}
