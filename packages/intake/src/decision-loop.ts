/** The one way in which the intake changes anything: read, decide, commit. */
import { setTimeout as pause } from 'node:timers/promises';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { Redis } from 'ioredis';
import type { Attempt } from './decision.js';
import { type EpochFence, notStored } from './epoch-fence.js';

const MAX_RACES = 20;
/**
 * How long a decision that has not begun to be stored is tried. Less than the time limit of one command: a Redis that is
 * being restarted is waited for, one that stands still is not asked twice.
 */
const PATIENCE_MS = 390;
/**
 * Once Redis was away for this long, decisions fail at once. A broker passes on only so many messages before it waits for
 * their acknowledgements: if each of them had patience of its own, those behind them would be answered too late.
 */
const OUTAGE_PATIENCE_MS = 600;
const RETRY_MS = 50;

export interface Request<S, T> {
  /** Everything the decision is made from. */
  readonly read: () => Promise<S>;
  /** Pure. */
  readonly decide: (situation: S) => Attempt<T>;
}

/** Resolves with the result of the decision that was stored. Rejects with `NOT_STORED` when nothing may be built on it. */
export type ReadDecideCommit = <S, T>(request: Request<S, T>) => Promise<T>;

export function createDecisionLoop(redis: Redis, fence: EpochFence): ReadDecideCommit {
  /** Redis cannot be used since then; when a decision last found it so. */
  let outage: { readonly since: number; readonly seenAt: number } | undefined;

  const noteOutage = (isOut: boolean): void => {
    const now = performance.now();
    const since = outage && now - outage.seenAt <= OUTAGE_PATIENCE_MS ? outage.since : now;
    outage = isOut ? { since, seenAt: now } : undefined;
  };
  const isOverdue = (began: number): boolean => {
    const now = performance.now();
    return now - began > PATIENCE_MS || (outage !== undefined && now - outage.since > OUTAGE_PATIENCE_MS);
  };
  const obstacle = (): string | undefined => {
    if (!fence.isSettled()) return 'an earlier commit is not settled yet';
    return redis.status === 'ready' ? undefined : 'Redis cannot be reached';
  };

  /** A commit fails where another process has changed what was read: then everything is read anew. */
  const readDecideCommit: ReadDecideCommit = async ({ read, decide }) => {
    for (let race = 0; race < MAX_RACES; race++) {
      const situation = await read();
      const { transaction, result, onStored, undo } = decide(situation);
      if (!transaction) return result;
      const stored = await fence.commit(transaction, undo);
      if (stored) return onStored ? onStored(stored) : result;
    }
    throw new Error('too many at once');
  };

  return async (request) => {
    const began = performance.now();
    for (;;) {
      const why = obstacle();
      noteOutage(why !== undefined);
      try {
        if (why !== undefined) throw new Error(why);
        return await readDecideCommit(request);
      } catch (error) {
        // Nothing was sent otherwise: a Redis that is only being restarted costs the station a moment, not its answer.
        if (hasCode(error, 'NOT_STORED')) throw error;
        if (isOverdue(began)) throw notStored(error);
      }
      await pause(RETRY_MS);
    }
  };
}
