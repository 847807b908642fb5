/**
 * How the intake stores a decision: read, decide, commit; on a lost race read again. A commit whose fate is not
 * known counts as not done: the station is answered by default, and what may have been stored is taken back as soon as
 * Redis answers.
 *
 * A commit that timed out can still be executed later. Every commit of this process therefore carries the process's
 * own epoch; before anything is taken back the epoch is changed, after which a late one fails its guard.
 */
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { Store, Transaction } from '@khumbu/operations/kinds/store';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';

const MAX_RACES = 20;
const EPOCH_TTL_MS = 24 * 3600_000;
const SETTLE_RETRY_MS = 300;
/**
 * How long a decision that has not begun to be stored is tried. Less than the time limit of one command: a Redis that is
 * being restarted is waited for, one that stands still is not asked twice.
 */
const PATIENCE_MS = 390;
/**
 * Nobody waits for an outage that is older. A broker passes on only so many messages before it waits for their
 * acknowledgements: if each of them had patience of its own, those behind them would be answered too late.
 */
const OUTAGE_PATIENCE_MS = 600;
const RETRY_MS = 50;

/** One try: what to write, made from what was just read. `undefined`: nothing to write. */
export interface Attempt<T> {
  readonly transaction: Transaction | undefined;
  readonly result: T;
}

interface Tried<T> {
  readonly result?: T;
  readonly error?: unknown;
  readonly sent: boolean;
}
const NOT_SETTLED: Tried<never> = { error: new Error('an earlier commit is not settled yet'), sent: false };
const NOT_CONNECTED: Tried<never> = { error: new Error('Redis cannot be reached'), sent: false };

export interface DecisionStore {
  readonly store: Store;
  /**
   * Decide and commit. `undo` runs later if the fate of the commit is not known; it must take back whatever it finds
   * of it, and is repeated until it succeeds. Rejects with `NOT_STORED` when nothing may be built on the decision.
   */
  decide<T>(attempt: () => Promise<Attempt<T>>, undo: () => Promise<void>): Promise<T>;
  /** Nothing of unknown fate is left. */
  isSettled(): boolean;
  close(): void;
}

export function createDecisionStore(redis: Redis, store: Store, log: Logger): DecisionStore {
  const key = `${store.keys.lease}:desk:${randomUUID()}`;
  let epoch = '';
  let unsettled: (() => Promise<void>)[] = [];
  let timer: NodeJS.Timeout | undefined;
  let settling = false;
  let closed = false;
  /** Redis cannot be used since then; when a decision last found it so. */
  let outage: { readonly since: number; readonly seenAt: number } | undefined;

  const renewEpoch = async (): Promise<void> => {
    const next = randomUUID();
    await redis.multi().hset(key, 'epoch', next).pexpire(key, EPOCH_TTL_MS).exec();
    epoch = next;
  };
  /** It expires, so that none is left behind; without it no guard would ever hold again. */
  const keepEpoch = async (): Promise<void> => {
    if (epoch !== '' && (await redis.exists(key)) === 0) await renewEpoch();
  };

  const settle = async (): Promise<void> => {
    if (settling || closed) return;
    settling = true;
    try {
      await renewEpoch();
      // What joins from now on was sent with this epoch and waits for the next one.
      const now = Array.from(unsettled);
      for (const undo of now) {
        await undo();
        unsettled = unsettled.filter((other) => other !== undo);
      }
      log.info('commits of unknown fate were taken back');
    } catch (error) {
      log.debug({ reason: describeError(error) }, 'cannot settle yet');
    } finally {
      settling = false;
      schedule();
    }
  };
  const schedule = (): void => {
    if (unsettled.length === 0 || timer || closed) return;
    timer = setTimeout(() => {
      timer = undefined;
      void settle();
    }, SETTLE_RETRY_MS);
  };

  /** Races are run again here; `sent` tells whether the fate of a commit is not known. */
  const tryOnce = async <T>(attempt: () => Promise<Attempt<T>>): Promise<Tried<T>> => {
    let sent = false;
    try {
      for (let race = 0; race < MAX_RACES; race++) {
        const { transaction, result } = await attempt();
        if (!transaction) return { result, sent: false };
        transaction.guards.push([key, 'epoch', epoch]);
        sent = true;
        if (await store.commit(transaction)) return { result, sent };
        sent = false;
        await keepEpoch();
      }
      return { error: new Error('too many at once'), sent: false };
    } catch (error) {
      return { error: error ?? new Error('unknown'), sent };
    }
  };

  const noteOutage = (isOut: boolean): void => {
    const now = performance.now();
    const since = outage && now - outage.seenAt <= OUTAGE_PATIENCE_MS ? outage.since : now;
    outage = isOut ? { since, seenAt: now } : undefined;
  };
  const isOverdue = (began: number): boolean => {
    const now = performance.now();
    return now - began > PATIENCE_MS || (outage !== undefined && now - outage.since > OUTAGE_PATIENCE_MS);
  };

  return {
    store,
    async decide(attempt, undo) {
      const began = performance.now();
      for (;;) {
        const obstacle = unsettled.length > 0 ? NOT_SETTLED : redis.status === 'ready' ? undefined : NOT_CONNECTED;
        noteOutage(obstacle !== undefined);
        const { result, error, sent } = obstacle ?? (await tryOnce(attempt));
        if (error === undefined) return result as Awaited<ReturnType<typeof attempt>>['result'];
        if (sent) {
          unsettled.push(undo);
          schedule();
        }
        // Nothing was sent: a Redis that is only being restarted costs the station a moment, not its answer.
        if (sent || closed || isOverdue(began)) {
          const why = `the decision could not be stored: ${describeError(error)}`;
          throw new CodedError('NOT_STORED', why, { cause: error });
        }
        await pause(RETRY_MS);
      }
    },
    isSettled: () => unsettled.length === 0,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
