/** One order for many stations, sent until each of them has decided. */
import type { BulkResult } from '@khumbu/client/generated/rest-api';
import { pause } from '@khumbu/client/pause';
import { pauseBefore } from '@khumbu/client/retries';

type Result = BulkResult['results'][number];

/** For how long those that were put off are asked again. */
const GO_ON_MS = 60_000;

/** The depot had no time, or its store was away: sent again, the same order is decided there. */
const isPutOff = ({ status }: Result): boolean => status === 503;
/** The gateway keeps no answer for it: the same order goes on there when it is sent again. */
export const isUndecided = (result: Result): boolean => isPutOff(result) || result.status === 500;

/**
 * `send`: the same order under the same `Idempotency-Key`, which does nothing twice. Tells each result, the last one too. Rejects
 * as `send` does: what was told before holds, and it is safe to begin again.
 */
export async function sendUntilDecided(
  send: () => Promise<BulkResult>,
  onResult: (result: BulkResult) => void,
  goOnMs = GO_ON_MS,
): Promise<void> {
  const until = performance.now() + goOnMs;
  for (let tried = 1; ; tried += 1) {
    const result = await send();
    onResult(result);
    const pauseMs = pauseBefore(tried, undefined, Math.random()) ?? 0;
    const isOver = result.dryRun || performance.now() + pauseMs > until;
    if (isOver || !result.results.some(isPutOff)) return;
    await pause(pauseMs, undefined);
  }
}
