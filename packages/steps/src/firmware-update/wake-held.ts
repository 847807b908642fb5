/**
 * Updates that wait for what keeps all downloads sleep until a date. What ends their wait earlier, or moves that date, is
 * seen here: a pause that was lifted, a larger budget, another window after a restart, a download that ended and left bytes
 * to others. Only then are their records looked at. Any number of workers may do so at once.
 */
import { askAgain } from '@khumbu/operations/kinds/firmware-update/hold-download';
import type { Notifications } from '@khumbu/operations/records/notifications';
import { isEnded } from '@khumbu/operations/records/record';
import { readStoredWait } from '@khumbu/operations/records/wait-words';
import { type DepotFacts, freeBytes, isOfDepot } from '@khumbu/operations/wan/gate';
import type { WanStore } from '@khumbu/operations/wan/wan-store';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { StepDeps } from './step-deps.js';

const LOOK_MS = 2000;
const BATCH = 200;

export interface WakeDeps extends Pick<StepDeps, 'store' | 'jobs' | 'now'> {
  readonly wan: Pick<WanStore, 'look'>;
  readonly notifications: Notifications;
  readonly log: Logger;
}

/** Something that kept downloads may keep them no more, or until another time. Pure. */
export function mayGoOn(before: DepotFacts | undefined, now: DepotFacts): boolean {
  if (!before) return true;
  const standing = ({ paused, window, month }: DepotFacts): string =>
    JSON.stringify([paused, window, month.name, month.budget]);
  const [freeBefore = Number.POSITIVE_INFINITY, free = Number.POSITIVE_INFINITY] = [before, now].map(({ month }) =>
    freeBytes(month),
  );
  return standing(before) !== standing(now) || free > freeBefore;
}

export function startWaking({ store, jobs, now, wan, notifications, log }: WakeDeps) {
  let before: DepotFacts | undefined;
  let looking: Promise<void> | undefined;

  const wake = async (): Promise<void> => {
    const ids = await store.openIds();
    for (let at = 0; at < ids.length; at += BATCH) {
      for (const record of await store.loadMany(ids.slice(at, at + BATCH), 'firmware_update')) {
        if (isEnded(record) || record.pausedByOperator || !isOfDepot(readStoredWait(record.waitingFor)?.for)) continue;
        const again = askAgain(record, now());
        if (await store.commit(store.transaction().put(again))) await jobs.ensure(again);
      }
    }
  };
  const look = async (): Promise<void> => {
    const seen = await wan.look();
    if (!mayGoOn(before, seen)) return;
    await wake();
    before = seen;
  };
  const lookSoon = (): void => {
    looking ??= look()
      .catch((error: unknown) => log.debug({ reason: describeError(error) }, 'waiting downloads were not looked at'))
      .finally(() => {
        looking = undefined;
      });
  };
  const timer = setInterval(lookSoon, LOOK_MS).unref();
  const unsubscribe = notifications.on('wan', lookSoon);
  lookSoon();
  return {
    async stop(): Promise<void> {
      clearInterval(timer);
      unsubscribe();
      await looking;
    },
  };
}
