/** Ask as a plain EVerest does, on a busy machine. */
import { isDeepStrictEqual } from 'node:util';
import { type ChannelName, fallbackReply } from '@khumbu/shared/contract/channels';

const PATIENCE_MS = 120_000;

/** A gateway gives the default after 390 ms of a silent Redis, or 700 ms of its own work: one that comes sooner was decided. */
const LATE_MS = 300;

interface Answered {
  readonly reply: unknown;
  readonly ms: number;
}

/**
 * Ask until the answer is a decision. On a busy machine it may be the default because the time for it was over; nothing of
 * such a request happens, and it may be sent again.
 */
export async function askUntilDecided<A extends Answered>(channel: ChannelName, ask: () => Promise<A>): Promise<A> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    const isLate = answer.ms > LATE_MS && isDeepStrictEqual(answer.reply, fallbackReply(channel));
    if (!isLate || performance.now() > end) return answer;
  }
}
