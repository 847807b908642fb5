/**
 * Whether a worker takes jobs from a queue. Every worker counts up a field of one hash while it works; a gateway looks
 * once a second whether the count has moved. A count has no clock: nothing here depends on whose time is right, and
 * time in which the looker or Redis stood still does not count as silence.
 */
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import { repliesOf } from '../records/replies.js';
import { QUEUE_NAMES, type QueueName } from './expected-job.js';

const BEAT_MS = 2000;
const LOOK_MS = 1000;
/** A look is stored itself, so that a Redis that takes no writes is not taken for workers that are silent. */
const LOOKS_FIELD = 'looks';

/** Say that these queues are worked on, for as long as `works` says so, until it is stopped. */
export function startBeating(
  redis: Redis,
  keys: Keys,
  queues: readonly QueueName[],
  works: () => boolean,
  onError: (error: unknown) => void,
  everyMs = BEAT_MS,
): { stop(): void } {
  let open = false;
  const beat = async (): Promise<void> => {
    // A beat that waits for Redis will do for the ones after it.
    if (open || !works()) return;
    open = true;
    try {
      const pipeline = redis.pipeline();
      for (const queue of queues) pipeline.hincrby(keys.beats, queue, 1);
      await pipeline.exec();
    } catch (error) {
      onError(error);
    } finally {
      open = false;
    }
  };
  void beat();
  const timer = setInterval(() => void beat(), everyMs);
  return { stop: () => clearInterval(timer) };
}

export interface WorkerWatchOptions {
  /** A connection that fails rather than waits. */
  readonly redis: Redis;
  readonly keys: Keys;
  /** Seconds of silence after which a queue counts as abandoned. */
  readonly graceS: number;
  readonly onChange: (queue: QueueName, abandoned: boolean) => void;
  /** Default: a second. */
  readonly lookMs?: number;
}

/** Pure: the silence of a queue after one more look, in looks. */
const silenceAfter = (silence: number, before: string | undefined, seen: string | undefined): number =>
  seen === before ? silence + 1 : 0;

export function watchWorkers({ redis, keys, graceS, onChange, lookMs = LOOK_MS }: WorkerWatchOptions) {
  let counts: Readonly<Record<string, string>> = {};
  const silences = new Map<QueueName, number>();
  /** No worker has taken jobs from this queue for the grace time. Reads no Redis. */
  const isAbandoned = (queue: QueueName): boolean => (silences.get(queue) ?? 0) * lookMs >= graceS * 1000;
  let open = false;

  const look = async (): Promise<void> => {
    if (open) return;
    open = true;
    try {
      const looked = redis.multi().hincrby(keys.beats, LOOKS_FIELD, 1).hgetall(keys.beats);
      const [, seen] = await repliesOf<[number, Record<string, string>]>(looked);
      for (const queue of QUEUE_NAMES) {
        const before = isAbandoned(queue);
        silences.set(queue, silenceAfter(silences.get(queue) ?? 0, counts[queue], seen[queue]));
        if (isAbandoned(queue) !== before) onChange(queue, !before);
      }
      counts = seen;
    } catch {
      // Redis is out, so no counts can be read: workers that were there get the whole grace again, and no worker appears.
      for (const [queue, silence] of silences) if (!isAbandoned(queue) && silence > 0) silences.set(queue, 0);
    } finally {
      open = false;
    }
  };
  void look();
  const timer = setInterval(() => void look(), lookMs);
  return { isAbandoned, stop: (): void => clearInterval(timer) };
}
