/** Asks the depot whether an update may be fetched now, and a running fetch whether it has to stop. */

import type { Moment } from '@khumbu/operations/clock/depot-clock';
import { followedRetryAfterS, mayWaitUntil, type RetrySettings } from '@khumbu/operations/jobs/retry-pause';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { type DepotFacts, delayOf, type Hold, pauseOf, type UpdateFacts } from '@khumbu/operations/wan/gate';
import type { WanRules } from '@khumbu/operations/wan/settings';
import type { WanStore } from '@khumbu/operations/wan/wan-store';

/** How far the fetch is that runs. */
export interface FetchAmount {
  /** Bytes that have come over the WAN for it, by runs that were killed too. */
  readonly received: number;
  /** Bytes that are still to come; absent: not known. */
  readonly toCome?: number | undefined;
}

export interface DownloadGateDeps {
  readonly wan: Pick<WanStore, 'look' | 'claim' | 'disclaim' | 'startOf' | 'beQuiet'>;
  readonly rules: Pick<WanRules, 'updateBudgetBytes'>;
  readonly retries: Pick<RetrySettings, 'tries' | 'maxRetryAfterS'>;
  /** The depot holds the image that somebody brought in for this location. */
  readonly isHere: (location: string) => Promise<boolean>;
}

/** Statuses that speak for the server and not for one file. RFC 6585, 4; RFC 9110, 15.6.4. */
const OF_SERVER: readonly string[] = ['http_429', 'http_503'];

/** In the depot's own store, or in its spool already. */
const isLocal = (location: string): boolean => /^(?:s3|artifact):/i.test(location);

/** Scheme, host and port. Without user and password: a server counts all its callers here as one. Pure. */
function serverOf(location: string): string {
  if (!URL.canParse(location)) return '';
  const { protocol, host } = new URL(location);
  return `${protocol}//${host}`.toLowerCase();
}

export type DownloadGate = ReturnType<typeof createDownloadGate>;

export function createDownloadGate({ wan, rules, retries, isHere }: DownloadGateDeps) {
  /** Nothing comes over the WAN. Should what is held be lost, bytes come after all, and then it is kept as any other. */
  const comesFromHere = async (location: string, amount?: FetchAmount): Promise<boolean> => {
    if (isLocal(location)) return true;
    return (amount?.received ?? 0) === 0 && amount?.toCome === undefined && (await isHere(location));
  };
  const factsOf = (
    update: FirmwareUpdateRecord,
    fetchId: string,
    isFromHere: boolean,
    amount?: FetchAmount,
  ): UpdateFacts => ({
    pausedByOperator: update.pausedByOperator !== undefined,
    downloadNow: update.downloadNow !== undefined,
    isLocal: isFromHere,
    brought: (update.wanBytes ?? 0) + (amount?.received ?? 0),
    budget: rules.updateBudgetBytes,
    toCome: amount?.toCome ?? update.bytesToCome ?? 0,
    fetchId,
  });
  const withoutBudget = (depot: DepotFacts): DepotFacts => {
    const { budget: _budget, ...month } = depot.month;
    return { ...depot, month };
  };

  return {
    /** What keeps it from joining the fetch; one that runs needs no start. */
    async holdOf(update: FirmwareUpdateRecord, fetchId: string, isRunning: boolean): Promise<Hold | undefined> {
      const depot = await wan.look();
      const { location } = update.request;
      const isFromHere = await comesFromHere(location);
      const pause = pauseOf(depot, factsOf(update, fetchId, isFromHere));
      if (pause || isRunning || isFromHere) return pause;
      const { quietUntil, ...start } = await wan.startOf(fetchId, serverOf(location));
      const isFollowed = quietUntil !== undefined && mayWaitUntil(quietUntil, update, retries, depot.now);
      return delayOf(depot.now, isFollowed ? { ...start, quietUntil } : start);
    },

    /** None of those who wait for it may have it now. With a budget, what is still to come is claimed. */
    async mustStop(waiters: readonly FirmwareUpdateRecord[], fetchId: string, amount: FetchAmount): Promise<boolean> {
      const depot = await wan.look();
      const { budget } = depot.month;
      const [first] = waiters;
      // They are of one fetch: what was brought in is for all of them.
      const isFromHere = first !== undefined && (await comesFromHere(first.request.location, amount));
      const all = waiters.map((update) => factsOf(update, fetchId, isFromHere, amount));
      const isMetered = budget !== undefined && all.some((update) => !update.isLocal);
      const toCome = amount.toCome ?? Math.max(0, ...all.map((update) => update.toCome));
      const isClaimed = !isMetered || (await wan.claim(fetchId, Math.max(1, toCome)));
      const unmetered = withoutBudget(depot);
      return all.every((facts) => {
        const isBeyond = !isClaimed && !facts.isLocal && !facts.downloadNow;
        return isBeyond || pauseOf(unmetered, facts) !== undefined;
      });
    },

    /** The fetch has ended. */
    end: (fetchId: string): Promise<void> => wan.disclaim(fetchId),

    /**
     * A fetch has failed: where its server asked all for peace, other locations of it wait too, as long as one of those who
     * waited for this one follows it.
     */
    async noteFailure(
      location: string,
      reason: string,
      retryAfterS: number,
      waiters: readonly Pick<FirmwareUpdateRecord, 'deadlineAt'>[],
      now: Moment,
    ): Promise<void> {
      if (!OF_SERVER.includes(reason)) return;
      const { maxRetryAfterS } = retries;
      const followed = waiters.map(({ deadlineAt }) =>
        followedRetryAfterS({ retryAfterS, maxRetryAfterS, deadlineAt }, now),
      );
      await wan.beQuiet(serverOf(location), Math.max(0, ...followed) * 1000);
    },
  };
}
