/**
 * What stations were answered, remembered by the process that answered: a frame that comes again gets the same, also
 * while Redis is out. Defaults that could not be stored are stored as soon as Redis takes them, for the next leader.
 */
import { sleep } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';

/** More requests than a large depot makes in the minutes in which one could come again. */
const REMEMBERED = 20_000;
const BATCH = 500;
const RETRY_MS = 300;

/** The name of a request and what it was answered. */
export interface CachedReply {
  readonly station: string;
  readonly answerKey: string;
  readonly reply: unknown;
}

export type ReplyCache = ReturnType<typeof createReplyCache>;

const nameOf = (station: string, answerKey: string): string => `${station}\n${answerKey}`;

/** `keep` stores answers where none is stored under the same name, and rejects when it is not known that it has. */
export function createReplyCache(
  keep: (answers: readonly CachedReply[]) => Promise<void>,
  stopping: AbortSignal,
  log: Logger,
) {
  const known = new Map<string, CachedReply>();
  const unstored = new Map<string, CachedReply>();
  let keeping = false;

  const limit = (map: Map<string, CachedReply>): void => {
    for (const name of map.keys()) {
      if (map.size <= REMEMBERED) return;
      map.delete(name);
    }
  };

  const keepAll = async (): Promise<void> => {
    if (keeping) return;
    keeping = true;
    while (unstored.size > 0 && !stopping.aborted) {
      const batch = Array.from(unstored).slice(0, BATCH);
      try {
        await keep(batch.map(([, reply]) => reply));
        for (const [name] of batch) unstored.delete(name);
      } catch (error) {
        log.debug({ reason: describeError(error), count: unstored.size }, 'defaults not stored yet');
        await sleep(RETRY_MS, stopping);
      }
    }
    keeping = false;
  };

  return {
    find: (station: string, answerKey: string): CachedReply | undefined => known.get(nameOf(station, answerKey)),
    /** `isUnstored`: nothing in Redis says so yet. */
    remember(reply: CachedReply, isUnstored: boolean): void {
      const name = nameOf(reply.station, reply.answerKey);
      known.set(name, reply);
      limit(known);
      if (!isUnstored) return;
      unstored.set(name, reply);
      limit(unstored);
      void keepAll();
    },
    /** It is for the next session to answer, from what is stored. */
    forget: (station: string, answerKey: string): void => void known.delete(nameOf(station, answerKey)),
  };
}
