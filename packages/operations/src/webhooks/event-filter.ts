/** Which events a webhook wants: the filter language over what an event says, and what its station is. Pure. */
import type { Fields } from '@khumbu/filter/fields';
import { compileFilter, matcherOf, type Value } from '@khumbu/filter/match';
import { comparisonsOf, type Filter, parseFilter } from '@khumbu/filter/parse-filter';
import { type OperationEvent, STATION_CHANGES, type StationEvent } from '../events/events.js';
import type { GroupsOf } from '../stations/read-groups.js';

/** @public The documents list them. */
export const EVENT_FIELDS = {
  event: { type: 'word', meaning: 'What it is about:', values: ['operation', 'station'] },
  station: { type: 'word', meaning: 'Id of the station.' },
  kind: { type: 'word', meaning: 'Of an operation: what was asked for.' },
  status: { type: 'word', meaning: 'Of an operation: its status.' },
  origin: { type: 'word', meaning: 'Of an operation, who asked:', values: ['everest', 'rest'] },
  ended: { type: 'flag', meaning: 'Of an operation: nothing more will happen.' },
  ok: { type: 'flag', meaning: 'Of an operation that has ended: how it went.' },
  reason: { type: 'whole', meaning: 'Of an operation that has failed: why.' },
  change: { type: 'word', meaning: 'Of a station, what happened to it:', values: STATION_CHANGES },
  type: { type: 'word', meaning: 'What its station is: `type` of the stations file, or as it was set over REST.' },
  label: { type: 'word', meaning: 'The label of its station that has this name, as `label.site`.', isKeyed: true },
} as const satisfies Fields;

type Told = OperationEvent | StationEvent;

const operationValues: Readonly<Record<string, (event: OperationEvent) => Value>> = {
  kind: ({ kind }) => kind,
  status: ({ status }) => status,
  origin: ({ origin }) => origin,
  ended: ({ ended }) => ended,
  ok: ({ outcome }) => outcome?.ok,
  reason: ({ outcome }) => outcome?.reason,
};

function toldValue(event: Told, field: string, key: string | undefined, groupsOf: GroupsOf): Value {
  if (field === 'event') return event.type;
  if (field === 'station') return event.stationId;
  if (field === 'type') return groupsOf(event.stationId).type;
  if (field === 'label') {
    const { labels } = groupsOf(event.stationId);
    return key !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  }
  if (event.type === 'station') return field === 'change' ? event.change : undefined;
  return operationValues[field]?.(event);
}

/** Throws `FilterError` that says where. */
export const parseEventFilter = (text: string): Filter => parseFilter(text, EVENT_FIELDS);

/** It asks what its stations are. Throws as `parseEventFilter`. */
export const asksForGroups = (text: string | undefined): boolean =>
  text !== undefined &&
  comparisonsOf(parseEventFilter(text)).some(({ field }) => field === 'type' || field === 'label');

/** `text` was parsed before; absent: every event. */
export function eventFilter(text: string | undefined, groupsOf: GroupsOf): (event: Told) => boolean {
  if (text === undefined) return () => true;
  return compileFilter<Told>(parseEventFilter(text), (comparison) => {
    const { field, key } = comparison;
    const matches = matcherOf(comparison, EVENT_FIELDS[field as keyof typeof EVENT_FIELDS], 0);
    return (event) => matches(toldValue(event, field, key, groupsOf));
  });
}
