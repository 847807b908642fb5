/**
 * What the page knows of the depot: read once, then kept by the stream of events. An event names a station, and that station
 * is read anew, at most a few times a second; progress is taken from its event.
 */
import { answered, type KhumbuClient } from '@khumbu/client/client';
import type { ProgressEvent, Station } from '@khumbu/client/generated/rest-api';
import { pause } from '@khumbu/client/pause';
import { pauseBefore } from '@khumbu/client/retries';
import { createStationReads } from './station-reads.js';

const PAGE = 500;
const SETTLE_MS = 250;

export interface DepotState {
  readonly stations: ReadonlyMap<string, Station>;
  readonly isLoaded: boolean;
  readonly isLive: boolean;
  /** Why stations could not be read, while that is tried again: what is shown may be old, or missing. */
  readonly failure: { readonly error: unknown } | undefined;
}

export const NOTHING: DepotState = { stations: new Map(), isLoaded: false, isLive: false, failure: undefined };

/** A progress event in the operation it is of. Pure. */
export function withProgress(
  state: DepotState,
  { stationId, operationId, type: _type, kind: _kind, ...progress }: ProgressEvent,
): DepotState {
  const station = state.stations.get(stationId);
  if (!station?.operations.some((each) => each.operationId === operationId)) return state;
  const operations = station.operations.map((each) =>
    each.operationId === operationId ? { ...each, progress } : each,
  );
  const stations = new Map(state.stations).set(stationId, { ...station, operations });
  return { ...state, stations };
}

async function readStations(khumbu: KhumbuClient): Promise<Station[]> {
  const stations: Station[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) };
    const page = await answered(khumbu.GET('/v1/stations', { params: { query } }));
    stations.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return stations;
}

/** Calls `onState` with each new state and `onEvent` with the station of each event, until the signal fires. */
export async function followDepot(
  khumbu: KhumbuClient,
  signal: AbortSignal,
  onState: (state: DepotState) => void,
  onEvent: (stationId: string) => void,
): Promise<void> {
  let state = NOTHING;
  const set = (next: Partial<DepotState>): void => {
    state = { ...state, ...next };
    if (!signal.aborted) onState(state);
  };
  const reads = createStationReads();
  const due = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isLoading = false;
  let mustLoad = false;
  /** All stations, again and again until they are read. One that is asked for meanwhile begins anew behind it. */
  const load = async (): Promise<void> => {
    mustLoad = true;
    if (isLoading) return;
    isLoading = true;
    for (let tried = 1; mustLoad && !signal.aborted; tried += 1) {
      mustLoad = false;
      try {
        const read = reads.begin();
        const stations = await readStations(khumbu);
        set({ stations: reads.withAll(state.stations, read, stations), isLoaded: true, failure: undefined });
        tried = 0;
      } catch (error) {
        mustLoad = true;
        set({ failure: { error } });
        // The loop looks at the signal.
        await pause(pauseBefore(tried, undefined, Math.random()) ?? 0, signal).catch(() => undefined);
      }
    }
    isLoading = false;
  };
  const readDue = async (): Promise<void> => {
    timer = undefined;
    const ids = [...due];
    due.clear();
    const read = reads.begin();
    const stations: Station[] = [];
    let isMissing = false;
    const readOne = async (stationId: string): Promise<void> => {
      try {
        stations.push(await answered(khumbu.GET('/v1/stations/{stationId}', { params: { path: { stationId } } })));
      } catch (error) {
        // One that is not there any more is missing in the list of all as well.
        isMissing = true;
        set({ failure: { error } });
      }
    };
    await Promise.all(ids.map(readOne));
    set({ stations: reads.withSome(state.stations, read, stations) });
    if (isMissing) void load();
    for (const id of ids) onEvent(id);
  };

  const onStreamState = (stream: 'open' | 'lost'): void => {
    set({ isLive: stream === 'open' });
    // What came between the reading and the first event is not missed that way.
    if (stream === 'open' && !state.isLoaded) void load();
  };
  for await (const { event } of khumbu.follow({ signal, onState: onStreamState })) {
    if (event.type === 'gap') void load();
    else if (event.type === 'progress') set(withProgress(state, event));
    else {
      due.add(event.stationId);
      timer ??= setTimeout(() => void readDue(), SETTLE_MS);
    }
  }
  clearTimeout(timer);
}
