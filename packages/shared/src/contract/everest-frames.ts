/**
 * Bytes as EVerest writes them: nlohmann's default dump has keys in alphabetical order and no white space, and the
 * envelope leaves `payload` out when its value is `empty()`. An empty string is not.
 */

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(
    members.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, sorted(member)]),
  );
}

/** JSON text with sorted keys; `indent` in spaces, 0 for the compact form of every system_API message. */
export const dump = (value: unknown, indent = 0): string => JSON.stringify(sorted(value), undefined, indent);

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);

/** A request that waits for a reply. */
export const requestFrame = (replyTo: string, payload?: unknown): string =>
  dump(isEmpty(payload) ? { headers: { replyTo } } : { headers: { replyTo }, payload });
