/** How the collection of one archive ends, and until when the logs of its station are had then. */
import type { ArchiveContents } from '@khumbu/operations/kinds/log-upload/record';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { CollectionState, OpenItem, RunSums } from './collection-state.js';

/** How far a clock may be behind that could not be read. */
const UNREAD_CLOCK_MS = 3600_000;
/** What a source that keeps failing is asked for beside the night itself: without an end each archive would be longer. */
const FAILING_MS = 2 * 24 * 3600_000;

/**
 * Until when a station's logs are had, by its own clock: what one that is behind wrote after it was asked has times before the end of
 * the window. `contents`: of the archive; absent: nobody knows what it has. Pure.
 */
export function reachedBy(
  { due, from }: Pick<OpenItem, 'due' | 'from'>,
  contents: ArchiveContents | undefined,
): { readonly until: number; readonly isWhole: boolean } {
  const { stationClock = due - UNREAD_CLOCK_MS, failedSources } = contents ?? {};
  const until = Math.min(due, stationClock - 1);
  const isWhole = failedSources?.length === 0;
  return { until: isWhole ? until : Math.min(until, Math.max(from - 1, until - FAILING_MS)), isWhole };
}

export function createEndings({
  state,
  log,
}: {
  state: Pick<CollectionState, 'end'>;
  log: Pick<Logger, 'info' | 'warn'>;
}) {
  const end = async (item: OpenItem, how: keyof RunSums | 'skipped', until?: number): Promise<void> => {
    const sums = await state.end(item, how, until);
    if (sums) log.info({ ...sums }, 'logs were collected');
  };
  return {
    end,
    failed: async (item: OpenItem, reason: string): Promise<void> => {
      const { station, type } = item;
      log.warn({ station, type, reason }, 'logs not collected; the next collection takes their time too');
      await end(item, 'failed');
    },
    arrived: async (item: OpenItem, contents: ArchiveContents | undefined): Promise<void> => {
      const { station, type } = item;
      const { until, isWhole } = reachedBy(item, contents);
      const told = { station, type, sources: contents?.failedSources ?? 'unknown' };
      if (!isWhole) log.warn(told, 'logs were collected in part; the next collection takes their time too');
      await end(item, isWhole ? 'collected' : 'failed', until);
    },
  };
}
