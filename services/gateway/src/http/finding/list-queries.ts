/** What is asked of the lists of stations and operations, as their parameters say. */
import type { OperationsQuery, StationsQuery } from '@khumbu/rest-contract/parameters';
import type { Static } from 'typebox';
import type { Inventory } from '../inventory.js';
import { isOrderedCursor, momentOfParameter, readFilter } from './filters.js';
import type { OperationSearch } from './operation-list.js';

const DEFAULT_LIMIT = 100;

/** `total` is told to who asks for it. */
const told = <P extends { readonly total?: number }>({ total, ...page }: P, isWanted: boolean | undefined) =>
  isWanted ? { ...page, total } : page;

const countOperations = async (inventory: Inventory, wanted: OperationSearch): Promise<number> =>
  (await inventory.chosenOperations({ ...wanted, limit: 0 })).total;

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
  const { cursor, ...wanted } = rest;
  const isPlain = [filter, sort, since, until].every((one) => one === undefined);
  // The order of both lists is the same, but each goes on from its own cursors only, whatever else is asked with them.
  if (isPlain && (cursor === undefined ? total !== true : !isOrderedCursor(cursor))) {
    const page = await inventory.operations(rest);
    return total ? { ...page, total: await countOperations(inventory, wanted) } : page;
  }
  const page = await inventory.chosenOperations({
    ...rest,
    filter: readFilter(filter, 'operations'),
    sort,
    since: momentOfParameter('since', since),
    until: momentOfParameter('until', until),
  });
  return told(page, total);
}
