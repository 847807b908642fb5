/**
 * Commits whose fate must become known. One that timed out may have been executed, or be executed later. It counts as not
 * done: the station is answered by default, and what may have been stored is undone as soon as Redis answers.
 *
 * Every commit of this process carries the process's own epoch as a guard. Before anything is undone the epoch is changed,
 * after which a late commit fails its guard.
 */
import { randomUUID } from 'node:crypto';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import type { Transaction } from '@khumbu/operations/kinds/store';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { Undo } from './decision.js';
import type { IntakeDeps } from './intake-deps.js';

const EPOCH_TTL_MS = 24 * 3600_000;
const SETTLE_RETRY_MS = 300;

export const notStored = (error: unknown): CodedError =>
  new CodedError('NOT_STORED', `the decision could not be stored: ${describeError(error)}`, { cause: error });

export type EpochFence = ReturnType<typeof createEpochFence>;

/** `undo` is repeated until it resolves. */
export function createEpochFence(
  { redis, store, log }: Pick<IntakeDeps, 'redis' | 'store' | 'log'>,
  undo: (undo: Undo) => Promise<void>,
) {
  const key = `${store.keys.lease}:desk:${randomUUID()}`;
  let epoch = '';
  let unsettled: { readonly undo: Undo | undefined }[] = [];
  let timer: NodeJS.Timeout | undefined;
  let settling = false;
  let closed = false;

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
      for (const one of Array.from(unsettled)) {
        if (one.undo) await undo(one.undo);
        unsettled = unsettled.filter((other) => other !== one);
      }
      log.info('commits of unknown fate were revoked');
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

  return {
    /**
     * Resolves with the records as they are stored. `undefined`: another process committed in between. Rejects with
     * `NOT_STORED` when it is not known whether it took place; `ifUnknown` is then done as soon as Redis answers.
     */
    async commit(
      transaction: Transaction,
      ifUnknown: Undo | undefined,
    ): Promise<readonly OperationRecord[] | undefined> {
      transaction.guards.push([key, 'epoch', epoch]);
      let stored: readonly OperationRecord[] | undefined;
      try {
        stored = await store.commit(transaction);
      } catch (error) {
        unsettled.push({ undo: ifUnknown });
        schedule();
        throw notStored(error);
      }
      if (!stored) await keepEpoch();
      return stored;
    },
    /** No commit of unknown fate is left. */
    isSettled: (): boolean => unsettled.length === 0,
    close(): void {
      closed = true;
      clearTimeout(timer);
    },
  };
}
