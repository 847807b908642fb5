/** Which stations a filter chooses. The gateway says so: what it knows of times and groups is newer than what the page has. */
import { answered, type KhumbuClient } from '@khumbu/client/client';
import { usePage } from './context.js';
import { useAtMostEvery, useTicks } from './use-at-most-every.js';
import { useRead } from './use-read.js';

const PAGE = 500;
/** While stations change; and while none does, for a filter may speak of time. */
const CHANGED_MS = 2000;
const AGAIN_MS = 10_000;

async function namesOf(khumbu: KhumbuClient, filter: string): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  let cursor: string | undefined;
  do {
    const query = { filter, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) };
    const page = await answered(khumbu.GET('/v1/stations', { params: { query } }));
    for (const { stationId } of page.items) names.add(stationId);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return names;
}

/** `undefined`: there is no filter, or nothing is known of it yet. */
export function useChosen(
  filter: string,
  tell: (problem: string | undefined) => void,
): ReadonlySet<string> | undefined {
  const { khumbu, depot } = usePage();
  const changed = useAtMostEvery(depot.stations, CHANGED_MS);
  const ticks = useTicks(AGAIN_MS, filter !== '');
  const read = async () => ({ filter, names: filter === '' ? undefined : await namesOf(khumbu, filter) });
  const chosen = useRead(read, [filter, filter === '' ? undefined : changed, ticks], tell);
  // What an earlier filter chose is not shown for this one.
  return chosen?.filter === filter ? chosen.names : undefined;
}
