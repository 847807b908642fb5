/**
 * How far a download or an upload is, for people who watch it. Told beside the records, not in them: losing it costs
 * nothing. The last word of each is kept for an hour; listeners hear about one word a second.
 */
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import type { OperationEvent, ProgressEvent } from './events.js';
import { createPace, type Pace } from './pace.js';

/** Enough for listeners that poll all the time; it is never replayed. */
const KEPT = '200';
const KEPT_S = 3600;
const EVERY_MS = 1000;

/** How far something is: bytes of a transfer, or what a station says of an installation, 0 to 100. */
type Amount =
  | ({ readonly bytes: number; readonly totalBytes?: number; readonly records?: number } & Pace)
  | { readonly percent: number };

export interface Progress extends Pace {
  readonly bytes?: number;
  readonly totalBytes?: number;
  /** Of a log upload: records that were read at the station. */
  readonly records?: number;
  readonly percent?: number;
  /** Which run of a fetch, or try of an upload, it is of: the bytes of an earlier one are not this one’s. */
  readonly run?: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** An operation that gets on with these bytes; a fetch serves many. */
export interface Served extends Pick<OperationEvent, 'operationId' | 'kind'> {
  readonly station: string;
}

export interface ProgressDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly onError: (error: unknown) => void;
  readonly now?: () => number;
}

/** Call it as often as there are bytes; it never throws and never waits. */
export type OnProgress = (bytes: number, totalBytes?: number, records?: number) => void;

export type ProgressPort = ReturnType<typeof createProgress>;
export type InstallProgressPort = ReturnType<typeof createInstallProgress>;

/** What the installation of an update is stored under. */
export const installSubject = (operationId: string): string => `${operationId}.install`;

function createTeller({ redis, keys, onError, now = Date.now }: ProgressDeps) {
  return (
    subject: string,
    served: () => readonly Served[],
    run?: number,
  ): ((amountAt: (at: number) => Amount) => void) => {
    let toldAt = Number.NEGATIVE_INFINITY;
    let busy = false;
    return (amountAt) => {
      const at = now();
      if (busy || Math.abs(at - toldAt) < EVERY_MS) return;
      toldAt = at;
      const amount = amountAt(at);
      busy = true;
      const progress: Progress = { ...amount, ...(run === undefined ? {} : { run }), at };
      const pipeline = redis.pipeline().set(keys.progress(subject), JSON.stringify(progress), 'EX', KEPT_S);
      for (const { operationId, station, kind } of served()) {
        const event: ProgressEvent = {
          type: 'progress',
          at: rfc3339(at),
          stationId: station,
          operationId,
          kind,
          ...amount,
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

/** Bytes of a download or an upload, with their rate. `subject` is what they are stored under: the operation, or the fetch that serves it. */
export function createProgress(deps: ProgressDeps) {
  const teller = createTeller(deps);
  return (subject: string, served: () => readonly Served[], run?: number): OnProgress => {
    const tell = teller(subject, served, run);
    const pace = createPace();
    return (bytes, totalBytes, records) =>
      tell((at) => ({
        bytes,
        ...(totalBytes === undefined ? {} : { totalBytes }),
        ...(records === undefined ? {} : { records }),
        ...pace(at, bytes, totalBytes),
      }));
  };
}

/** The installation of an update: the bytes of the image that have come to the station, then what that says of its work. */
export function createInstallProgress(deps: ProgressDeps) {
  const teller = createTeller(deps);
  return (served: Served) => {
    const tell = teller(installSubject(served.operationId), () => [served]);
    const pace = createPace();
    return {
      onTransfer: (bytes: number, totalBytes: number): void =>
        tell((at) => ({ bytes, totalBytes, ...pace(at, bytes, totalBytes) })),
      onPercent: (percent: number): void => tell(() => ({ percent: Math.round(Math.min(100, Math.max(0, percent))) })),
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
