import { setTimeout as pause } from 'node:timers/promises';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';

const RETRY_MS = 200;

/** Try until it is done. Rejects only once the session is over: then it is for the next one to do. */
export type Insist = (what: string, work: () => Promise<unknown>) => Promise<void>;

export const createInsist =
  (over: AbortSignal, log: Logger): Insist =>
  async (what, work) => {
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        if (over.aborted) throw error;
        log.debug({ what, reason: describeError(error) }, 'not done yet');
        await pause(RETRY_MS);
      }
    }
  };
