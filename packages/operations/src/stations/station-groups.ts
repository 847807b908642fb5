/** What a station is, and the groups it belongs to: by the stations file, and as it was set over REST. Pure. */
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { StationState } from './station-state.js';

export interface StationGroups {
  readonly type?: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What was set over REST wins, label by label. */
export function groupsOf(
  profile: Pick<StationProfile, 'type' | 'labels'> | undefined,
  { ownLabels, ownType }: Pick<StationState, 'ownLabels' | 'ownType'>,
): StationGroups {
  const type = ownType ?? profile?.type;
  return { ...(type === undefined ? {} : { type }), labels: { ...profile?.labels, ...ownLabels } };
}

/** `null` takes one away, as in RFC 7396. */
export interface GroupsPatch {
  readonly type?: string | null;
  readonly labels?: Readonly<Record<string, string | null>>;
}

/** What is stored after a change; `undefined`: nothing of it. */
export function patchedGroups(
  { ownLabels = {}, ownType }: Pick<StationState, 'ownLabels' | 'ownType'>,
  { type, labels = {} }: GroupsPatch,
): { readonly ownType: string | undefined; readonly ownLabels: Readonly<Record<string, string>> | undefined } {
  const left = Object.entries({ ...ownLabels, ...labels }).filter((one): one is [string, string] => one[1] !== null);
  return {
    ownType: type === undefined ? ownType : (type ?? undefined),
    ownLabels: left.length === 0 ? undefined : Object.fromEntries(left),
  };
}
