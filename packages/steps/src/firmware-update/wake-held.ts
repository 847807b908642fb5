/**
 * Updates that wait for what keeps all downloads sleep until a date. What ends their wait earlier, or moves that date, is
 * seen here: a pause that was lifted, a larger budget, another window after a restart, a download that ended and left bytes
 * to others, an image that somebody brought in. Only then are their records looked at. Any number of workers may do so at once.
 */

import type { ArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import { askAgain } from '@khumbu/operations/kinds/firmware-update/hold-download';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
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
  readonly artifacts: Pick<ArtifactRecords, 'broughtLocations'>;
  readonly notifications: Notifications;
  readonly log: Logger;
}

export interface Standing {
  readonly depot: DepotFacts;
  /** What was brought in for locations, by their keys. */
  readonly brought: Readonly<Record<string, string>>;
}

type Waiting = Pick<FirmwareUpdateRecord, 'waitingFor' | 'pausedByOperator' | 'bytesToCome'>;

/**
 * Whom that what has changed may let go on, or keep until another time. While a download runs, its claim falls as its bytes
 * are counted, and what is free rises and falls a little: that is news to those alone for whom it is enough. Pure.
 */
export function whoMayGoOn(
  before: Standing | undefined,
  { depot, brought }: Standing,
): ((update: Waiting) => boolean) | undefined {
  const wordOf = ({ waitingFor }: Waiting) => readStoredWait(waitingFor)?.for;
  const isOne = (update: Waiting): boolean => !update.pausedByOperator && isOfDepot(wordOf(update));
  const standing = ({ paused, window, month }: DepotFacts): string =>
    JSON.stringify([paused, window, month.name, month.budget]);
  const hasCome = Object.entries(brought).some(([key, sha256]) => before?.brought[key] !== sha256);
  if (!before || hasCome)
    return (update) => isOne(update) || (!update.pausedByOperator && wordOf(update) === 'update_budget');
  if (standing(before.depot) !== standing(depot)) return isOne;
  const [freeBefore = Number.POSITIVE_INFINITY, free = Number.POSITIVE_INFINITY] = [before.depot, depot].map(
    ({ month }) => freeBytes(month),
  );
  if (free <= freeBefore) return undefined;
  return (update) => isOne(update) && wordOf(update) === 'month_budget' && free >= Math.max(1, update.bytesToCome ?? 0);
}

export function startWaking({ store, jobs, now, wan, artifacts, notifications, log }: WakeDeps) {
  let before: Standing | undefined;
  let looking: Promise<void> | undefined;

  const wake = async (mayGoOn: (update: Waiting) => boolean): Promise<void> => {
    const ids = await store.openIds();
    for (let at = 0; at < ids.length; at += BATCH) {
      for (const record of await store.loadMany(ids.slice(at, at + BATCH), 'firmware_update')) {
        if (isEnded(record) || !mayGoOn(record)) continue;
        const again = askAgain(record, now());
        if (await store.commit(store.transaction().put(again))) await jobs.ensure(again);
      }
    }
  };
  const look = async (): Promise<void> => {
    const [depot, brought] = await Promise.all([wan.look(), artifacts.broughtLocations()]);
    const seen = { depot, brought };
    const mayGoOn = whoMayGoOn(before, seen);
    if (mayGoOn) await wake(mayGoOn);
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
