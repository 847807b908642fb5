/**
 * What the page knows of the depot: read once, then kept by the stream of events. An event names a station, and that station
 * is read anew, at most a few times a second; progress is taken from its event.
 */
import { answered, type KhumbuClient } from '@khumbu/client/client';
import type { ProgressEvent, Station } from '@khumbu/client/generated/rest-api';
import { ProblemError } from '@khumbu/client/problem-error';
import { createPatientRead } from './patient-read.js';
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

/** A connection that went without a word must not hold up all later reads. */
const LONGEST_MS = 60_000;
const within = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]);

async function readStations(khumbu: KhumbuClient, signal: AbortSignal): Promise<Station[]> {
  const stations: Station[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) };
    const page = await answered(khumbu.GET('/v1/stations', { params: { query }, signal: within(signal) }));
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
  const onFailure = (error: unknown): void => set({ failure: { error } });
  const load = createPatientRead(
    async () => {
      const read = reads.begin();
      const stations = await readStations(khumbu, signal);
      set({ stations: reads.withAll(state.stations, read, stations), isLoaded: true, failure: undefined });
    },
    onFailure,
    signal,
  );
  const readOne = async (stationId: string, read: number): Promise<Station | undefined> => {
    const asked = { params: { path: { stationId } }, signal: within(signal) };
    try {
      return await answered(khumbu.GET('/v1/stations/{stationId}', asked));
    } catch (error) {
      if (error instanceof ProblemError && error.code === 'STATION_UNKNOWN') {
        set({ stations: reads.without(state.stations, read, stationId) });
        return undefined;
      }
      onFailure(error);
      void load();
      return undefined;
    }
  };
  const readDue = async (): Promise<void> => {
    timer = undefined;
    const ids = [...due];
    due.clear();
    const read = reads.begin();
    const answers = await Promise.all(ids.map((id) => readOne(id, read)));
    const stations = answers.filter((station) => station !== undefined);
    set({ stations: reads.withSome(state.stations, read, stations) });
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
