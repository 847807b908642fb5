/**
 * By what operations are found without a look at their records: sorted sets of ids for every kind, state and origin, and
 * for the open ones of a station, apart for open ones (by when they were asked for) and ended ones (by when they ended).
 * The script that stores a record keeps them; a record remembers where it stands (`index`) and as which version it was
 * put there (`indexed`), so that what another process stored without them is seen and mended, see `index-keeper.ts`.
 */
import type { Keys } from './keys.js';
import { ROW_FUNCTIONS } from './operation-rows.js';
import { type AnyRecord, isEnded } from './record.js';
import type { RecordRules } from './transaction.js';

export type Part = 'open' | 'ended';

/** What is asked for; what is left out is not looked at. */
export interface Facets {
  readonly station?: string | undefined;
  readonly kind?: string | undefined;
  readonly state?: string | undefined;
  readonly origin?: string | undefined;
}

/** Names of the sets of one part that hold exactly what has each of these facets. Pure. */
function setsOf(part: Part, { station, kind, state, origin }: Facets): string[] {
  return [
    // Ended ones of a station have a set of their own since there are records.
    ...(station === undefined || part === 'ended' ? [] : [`open:station:${station}`]),
    ...(kind === undefined ? [] : [`${part}:kind:${kind}`]),
    ...(state === undefined ? [] : [`${part}:state:${state}`]),
    ...(origin === undefined ? [] : [`${part}:origin:${origin}`]),
  ];
}

/**
 * Where the record stands, as JSON of its score and the names of its sets; empty: nowhere, as records of the depot, and
 * those that are used again, while they rest. Pure.
 */
export function indexText<R extends AnyRecord>(rules: RecordRules<R>, record: R): string {
  const { kind, origin, station, createdAt, endedAt } = record;
  if (!rules.isOfStation(record) || (isEnded(record) && rules.retention(record) === 'reused')) return '';
  const part = isEnded(record) ? 'ended' : 'open';
  const names = setsOf(part, { station, kind, state: rules.shownStatus(record), origin });
  return JSON.stringify([String(endedAt ?? createdAt), ...(part === 'open' ? ['open:all'] : []), ...names]);
}

/** The keys of the sets whose intersection is what has all of these facets. Pure. */
export function keysOfFacets(keys: Keys, part: Part, facets: Facets): string[] {
  const named = setsOf(part, facets).map((name) => keys.index + name);
  if (part === 'ended' && facets.station !== undefined) named.push(keys.endedOf(facets.station));
  if (named.length > 0) return named;
  return [part === 'open' ? `${keys.index}open:all` : keys.ended];
}

/**
 * For the scripts that store, mend and remove. `text` and `columns` are empty for a record that is to stand nowhere; nothing
 * is moved where it stands right already.
 */
export const INDEX_FUNCTIONS = `${ROW_FUNCTIONS}
local function leave_index(prefix, key, id, kept)
  local was = redis.call('HGET', key, 'index')
  if not was or was == '' then return end
  for at, name in ipairs(cjson.decode(was)) do
    if at > 1 and not kept[name] then redis.call('ZREM', prefix .. name, id) end
  end
end
local function put_into_index(prefix, key, id, version, text, columns)
  if (redis.call('HGET', key, 'index') or '') ~= text then
    local kept = {}
    local entry = text == '' and {} or cjson.decode(text)
    for at, name in ipairs(entry) do if at > 1 then kept[name] = true end end
    leave_index(prefix, key, id, kept)
    for name in pairs(kept) do redis.call('ZADD', prefix .. name, entry[1], id) end
  end
  redis.call('HSET', key, 'index', text, 'indexed', version)
  put_row(prefix, key, id, version, columns)
end`;
