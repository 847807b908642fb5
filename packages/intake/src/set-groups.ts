/** Labels and the type of a station, as they are set over REST. */
import { type GroupsPatch, patchedGroups } from '@khumbu/operations/stations/station-groups';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import type { Attempt } from './decision.js';
import type { Parts } from './intake-deps.js';
import type { StationSituation } from './situation.js';

const { ownLabels, ownType } = STATION_FIELDS;

/** Labels of one station that are set over REST. */
export const MOST_LABELS = 64;

export function createSetGroups({ read, readDecideCommit, store }: Parts) {
  const decide = ({ station, state }: StationSituation, patch: GroupsPatch): Attempt<boolean> => {
    const next = patchedGroups(state, patch);
    if (Object.keys(next.ownLabels ?? {}).length > MOST_LABELS) return { result: false };
    const transaction = store
      .transaction()
      .expectStation(station, ownLabels, state.fields[ownLabels])
      .expectStation(station, ownType, state.fields[ownType])
      .setStation(station, {
        [ownLabels]: next.ownLabels && JSON.stringify(next.ownLabels),
        [ownType]: next.ownType,
      });
    // Without undo: the caller repeats it, and finds it done or does it anew.
    return { result: true, transaction };
  };

  /** Resolves with `false` where there would be more than `MOST_LABELS`. Rejects with `NOT_STORED`. Safe to repeat. */
  return (station: string, patch: GroupsPatch): Promise<boolean> =>
    readDecideCommit({ read: () => read.station(station), decide: (situation) => decide(situation, patch) });
}
