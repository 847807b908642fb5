/** What decisions are made from, as it is read from the store. */
import type { KindContext } from '@khumbu/operations/kinds/kind-definition';
import type { OperationRecord, RecordOf, StationKind } from '@khumbu/operations/kinds/kinds';
import type { StoredAnswer } from '@khumbu/operations/records/transaction';
import { dialectOf, readStation, readStationState, type StationState } from '@khumbu/operations/stations/station-state';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { IntakeDeps } from './intake-deps.js';
import type { Remembered, RememberedStations } from './remembered-stations.js';
import type { Requester } from './requester.js';

export interface StationSituation {
  readonly station: string;
  readonly state: StationState;
  /** `undefined`: not configured, or two stations share the name. */
  readonly profile: StationProfile | undefined;
  /** Where it is not, nothing is kept of any answer: names can be invented without end. */
  readonly isConfigured: boolean;
}

export interface Situation extends StationSituation {
  readonly requester: Requester;
  /** It was not read: the commit is guarded by what the decision looks at. */
  readonly remembered?: Remembered;
  /** What the same request was answered before. */
  readonly stored?: StoredAnswer;
  /** Over REST, which shows it: the operation of that answer. */
  readonly storedRecord?: OperationRecord;
}

export interface SituationInSlot<K extends StationKind> extends Situation {
  readonly current: RecordOf<K> | undefined;
}

type ReaderDeps = Pick<IntakeDeps, 'store' | 'profileOf' | 'isInConflict' | 'now'>;

export type Reader = ReturnType<typeof createReader>;

/** With `stations` the first situation of each request is one that is remembered. */
export function createReader({ store, profileOf, isInConflict, now }: ReaderDeps, stations?: RememberedStations) {
  const situationOf = (station: string, state: StationState): StationSituation => {
    const configured = profileOf(station);
    const isShared = state.conflictSince !== undefined || isInConflict(station);
    return { station, state, profile: isShared ? undefined : configured, isConfigured: configured !== undefined };
  };

  const load = async <K extends StationKind>(id: string | undefined, kind: K): Promise<RecordOf<K> | undefined> =>
    id === undefined ? undefined : store.load(id, kind);

  /** The operation that has the station's slot for a kind; it may have ended. */
  const inSlot = <K extends StationKind>(state: StationState, kind: K): Promise<RecordOf<K> | undefined> =>
    load(state.slot(kind), kind);

  const request = async (requester: Requester): Promise<Situation> => {
    const { station, answerKey, origin, isFresh } = requester;
    const remembered = stations?.firstTry(requester);
    if (remembered) return { ...situationOf(station, remembered.state), requester, remembered };
    const { fields, answer } = await store.stationAndAnswer(station, answerKey);
    stations?.learn(station, fields);
    const situation = { ...situationOf(station, readStationState(fields)), requester };
    if (!answer || isFresh) return situation;
    const { operationId } = answer;
    const record = operationId === undefined || origin !== 'rest' ? undefined : await store.load(operationId);
    return { ...situation, stored: answer, ...(record ? { storedRecord: record } : {}) };
  };

  return {
    load,
    inSlot,
    request,

    station: async (station: string): Promise<StationSituation> =>
      situationOf(station, await readStation(store, station)),

    /** With the operation that has the station's slot for a kind. */
    requestInSlot: async <K extends StationKind>(requester: Requester, kind: K): Promise<SituationInSlot<K>> => {
      const situation = await request(requester);
      return { ...situation, current: await inSlot(situation.state, kind) };
    },

    contextOf: (station: string, state: StationState): KindContext => ({
      now: now(),
      dialect: dialectOf(profileOf(station), state),
      bootEpoch: state.bootEpoch,
    }),
  };
}
