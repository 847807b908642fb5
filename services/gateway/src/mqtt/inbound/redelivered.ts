/**
 * A request whose reading ends the process that reads it (a crash, or a loop without end) is delivered to the next
 * leader, and to the one after it. What the broker delivers again is therefore marked in Redis before it is read, and the
 * mark goes when its work is done. A mark that is found means that a leader got the message again and ended with it: it is
 * not read any more, only answered. So one message ends two leaders at most.
 *
 * A leader may also end for another reason while messages are marked. So few are marked at a time, and what was decided
 * about one before is still answered.
 */
import { createHash } from 'node:crypto';
import type { Keys } from '@khumbu/operations/records/keys';
import { sleep } from '@khumbu/shared/runtime/abort';
import type { Redis } from 'ioredis';
import { MAY } from '../../leader/standing.js';
import type { Core } from '../core.js';
import type { Incoming } from '../session/incoming.js';
import { createSenderQueue } from '../session/sender-queue.js';

/** Of all senders, and of one. */
const MARKED_AT_ONCE = 8;
const MARKED_OF_ONE = 1;
/** What takes longer did not end this process, or blocks it for good: the others need not wait for its end. */
const LANE_MS = 100;
/** As long as a request may come again. */
const MARK_MS = 900_000;

export type Marks = ReturnType<typeof createMarks>;

/** The marks of all leaders. Both reject when Redis does not answer. */
export const createMarks = (redis: Redis, keys: Pick<Keys, 'redelivered'>) => ({
  /** `false`: it was marked before. */
  set: async (message: string): Promise<boolean> =>
    (await redis.set(keys.redelivered(message), '1', 'PX', MARK_MS, 'NX')) === 'OK',
  remove: (message: string): Promise<unknown> => redis.del(keys.redelivered(message)),
});

type Deps = Pick<Core, 'standing' | 'retryAsLeader'> & {
  readonly marks: Marks;
  /** This gateway ends the session by itself. */
  readonly isStopping: () => boolean;
};

type Message = Pick<Incoming, 'topic' | 'payload'>;

/**
 * `isRead`: the message has been read, and only waits from now on. It ends no process any more, so its mark goes, and its place
 * is another's. Safe to repeat.
 */
type Work = (isRead: () => void) => Promise<void> | void;

export type Redelivered = ReturnType<typeof createRedelivered>;

/**
 * The reply address of a frame that is not decoded, because decoding it may have ended a leader. A name that is written inside a
 * text of EVerest's frame has its quotes escaped.
 */
export function plainReplyTo(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return /"replyTo"\s{0,8}:\s{0,8}"([^"\\]{1,300})"/.exec(text)?.[1];
}

const nameOf = ({ topic, payload }: Message): string =>
  createHash('sha256').update(`${topic}\n`).update(payload).digest('hex');

export function createRedelivered({ marks, retryAsLeader, standing, isStopping }: Deps) {
  const queue = createSenderQueue({ atOnce: MARKED_AT_ONCE, perSender: MARKED_OF_ONE });
  const removing = new Set<Promise<unknown>>();

  /** One that stays would only keep the message from being read again. */
  const remove = (name: string): void => {
    const removal: Promise<unknown> = marks
      .remove(name)
      .catch(() => undefined)
      .finally(() => removing.delete(removal));
    removing.add(removal);
  };

  const marked = async (name: string, work: Work, leavePlace: () => void): Promise<void> => {
    let isDone = false;
    let isMarked = true;
    const isRead = (): void => {
      leavePlace();
      if (!isMarked || !MAY[standing()].store) return;
      isMarked = false;
      remove(name);
    };
    try {
      await work(isRead);
      isDone = true;
    } finally {
      if (isMarked && MAY[standing()].store && (isDone || isStopping())) remove(name);
    }
  };

  return {
    /** Settles as `work` does, or as `refuse`, where the message is not to be read. */
    async take(sender: string, message: Message, work: Work, refuse: () => Promise<void> | void): Promise<void> {
      const name = nameOf(message);
      let working: Promise<void> | undefined;
      await queue.take(sender, async () => {
        let isFirst = false;
        await retryAsLeader('marking a message that came again', async () => {
          isFirst = await marks.set(name);
        });
        const overdue = new AbortController();
        working = isFirst ? marked(name, work, () => overdue.abort()) : Promise.resolve(refuse());
        await Promise.race([working.catch(() => undefined), sleep(LANE_MS, overdue.signal)]);
        overdue.abort();
      });
      await working;
    },
    /** Resolves when every mark is removed that has to be. */
    settled: (): Promise<unknown> => Promise.all(removing),
  };
}
