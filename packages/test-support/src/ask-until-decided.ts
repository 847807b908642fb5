/** Ask as a plain EVerest does, on a busy machine. */
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type ChannelName, fallbackReply } from '@khumbu/shared/contract/channels';

const PATIENCE_MS = 120_000;

/** A gateway gives the default after 390 ms of a silent Redis, or 700 ms of its own work. */
const LATE_MS = 300;
/** One that comes sooner was decided, or Redis has been silent for longer, some four seconds at most: then another one follows. */
const QUICK_TRIES = 6;
const QUICK_PAUSE_MS = 1000;

interface Answered {
  readonly reply: unknown;
  readonly ms: number;
}

/**
 * Ask until the answer is a decision. On a busy machine it may be the default because the time for it was over; nothing of
 * such a request happens, and it may be sent again. That holds for a question for the boot reason as well: of one that is
 * answered while Redis is silent nothing is stored, and the next one is the first of its boot.
 */
export async function askUntilDecided<A extends Answered>(channel: ChannelName, ask: () => Promise<A>): Promise<A> {
  const end = performance.now() + PATIENCE_MS;
  let quick = 1;
  for (;;) {
    const answer = await ask();
    if (!isDeepStrictEqual(answer.reply, fallbackReply(channel)) || performance.now() > end) return answer;
    if (answer.ms > LATE_MS) continue;
    if (quick >= QUICK_TRIES) return answer;
    quick += 1;
    await pause(QUICK_PAUSE_MS);
  }
}
