/**
 * How far a download or an upload is, for people who watch it. Told beside the records, not in them: losing it costs
 * nothing. The last word of each is kept for an hour; listeners hear about one word a second.
 */
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import type { OperationEvent, ProgressEvent } from './events.js';

/** Enough for listeners that look all the time; nobody replays it. */
const KEPT = '200';
const KEPT_S = 3600;
const EVERY_MS = 1000;

export interface Progress {
  readonly bytes: number;
  readonly totalBytes?: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** An operation that gets on with these bytes; a fetch serves many. */
export interface Served {
  readonly operationId: string;
  readonly station: string;
  readonly kind: OperationEvent['kind'];
}

export interface ProgressDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly onError: (error: unknown) => void;
  readonly now?: () => number;
}

/** Call it as often as there are bytes; it never throws and never waits. */
export type OnProgress = (bytes: number, totalBytes?: number) => void;

export type ProgressPort = ReturnType<typeof createProgress>;

export function createProgress({ redis, keys, onError, now = Date.now }: ProgressDeps) {
  /** `subject` is what the bytes are stored under: the operation, or the fetch that serves it. */
  return (subject: string, served: () => readonly Served[]): OnProgress => {
    let toldAt = Number.NEGATIVE_INFINITY;
    let busy = false;
    return (bytes, totalBytes) => {
      const at = now();
      if (busy || Math.abs(at - toldAt) < EVERY_MS) return;
      toldAt = at;
      busy = true;
      const total = totalBytes === undefined ? {} : { totalBytes };
      const progress: Progress = { bytes, ...total, at };
      const pipeline = redis.pipeline().set(keys.progress(subject), JSON.stringify(progress), 'EX', KEPT_S);
      for (const { operationId, station, kind } of served()) {
        const event: ProgressEvent = {
          type: 'progress',
          at: rfc3339(at),
          stationId: station,
          operationId,
          kind,
          bytes,
          ...total,
        };
        const fields = ['type', 'progress', 'station', station, 'kind', kind, 'event', JSON.stringify(event)];
        pipeline.xadd(keys.progressEvents, 'MAXLEN', '~', KEPT, '*', ...fields);
      }
      pipeline
        .exec()
        .catch(onError)
        .finally(() => {
          busy = false;
        });
    };
  };
}

/** The last word on each subject, in their order. */
export async function readProgress(
  redis: Redis,
  keys: Keys,
  subjects: readonly string[],
): Promise<(Progress | undefined)[]> {
  if (subjects.length === 0) return [];
  const texts = await redis.mget(subjects.map((subject) => keys.progress(subject)));
  return texts.map((text) => (text === null ? undefined : (JSON.parse(text) as Progress)));
}
