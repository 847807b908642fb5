/** Which stations a filter chooses. The gateway says so: what it knows of times and groups is newer than what the page has. */
import { answered, type KhumbuClient } from '@khumbu/client/client';
import { usePage } from './context.js';
import { problemText } from './use-act.js';
import { useAnswer } from './use-answer.js';
import { useAtMostEvery, useTicks } from './use-at-most-every.js';

const PAGE = 500;
/** While stations change; and while none does, for a filter may speak of time. */
const CHANGED_MS = 2000;
const AGAIN_MS = 10_000;

async function namesOf(khumbu: KhumbuClient, filter: string, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  let cursor: string | undefined;
  do {
    const query = { filter, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) };
    const page = await answered(khumbu.GET('/v1/stations', { params: { query }, signal }));
    for (const { stationId } of page.items) names.add(stationId);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return names;
}

export interface Chosen {
  /** `undefined`: there is no filter, or nothing is known of it yet. */
  readonly names: ReadonlySet<string> | undefined;
  /** Why the gateway did not choose. */
  readonly refused: string | undefined;
}

export function useChosen(filter: string): Chosen {
  const { khumbu, depot } = usePage();
  const changed = useAtMostEvery(depot.stations, CHANGED_MS);
  const ticks = useTicks(AGAIN_MS, filter !== '');
  const read = async (signal: AbortSignal) => (filter === '' ? undefined : namesOf(khumbu, filter, signal));
  const { value, failure } = useAnswer(filter, read, [filter === '' ? undefined : changed, ticks]);
  return { names: value, refused: failure && problemText(failure.error) };
}
