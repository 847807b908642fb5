/** What is asked of the lists of stations and operations, as their parameters say. */
import type { OperationsQuery, StationsQuery } from '@khumbu/rest-contract/parameters';
import type { Static } from 'typebox';
import type { Inventory } from '../inventory.js';
import { momentOfParameter, readFilter } from './filters.js';

const DEFAULT_LIMIT = 100;

/** `total` is told to who asks for it. */
const told = <P extends { readonly total?: number }>({ total, ...page }: P, isWanted: boolean | undefined) =>
  isWanted ? { ...page, total } : page;

/** A page of stations. Rejects with `PARAMETER_INVALID` for a filter that cannot be read, and with `CURSOR_INVALID`. */
export async function listStations(inventory: Inventory, query: Static<typeof StationsQuery>) {
  const { filter, sort, since, until, total, limit = DEFAULT_LIMIT, cursor } = query;
  const isPlain = [filter, sort, since, until].every((one) => one === undefined);
  if (isPlain) return told(await inventory.stations({ limit, ...(cursor === undefined ? {} : { cursor }) }), total);
  const page = await inventory.chosenStations({
    filter: readFilter(filter, 'stations'),
    sort: sort ?? 'stationId',
    since: momentOfParameter('since', since),
    until: momentOfParameter('until', until),
    limit,
    cursor,
  });
  return told(page, total);
}

/** A page of operations. Rejects as `listStations`. */
export async function listOperations(inventory: Inventory, query: Static<typeof OperationsQuery>) {
  const { filter, sort, since, until, total, ...rest } = query;
  const isPlain = [filter, sort, since, until].every((one) => one === undefined) && total !== true;
  if (isPlain) return inventory.operations(rest);
  const page = await inventory.chosenOperations({
    ...rest,
    filter: readFilter(filter, 'operations'),
    sort,
    since: momentOfParameter('since', since),
    until: momentOfParameter('until', until),
  });
  return told(page, total);
}
