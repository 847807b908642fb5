/** The bytes EVerest puts on the wire: compact JSON, keys in alphabetical order, an empty payload left out. */

/** JSON as nlohmann writes an object by default: compact, keys sorted. */
export function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${sortedJson(member)}`);
  return `{${members.join(',')}}`;
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);

/** A request frame: `{"headers":{"replyTo":"..."},"payload":...}`. */
export const requestFrame = (replyTo: string, payload?: unknown): string =>
  sortedJson({ headers: { replyTo }, ...(isEmpty(payload) ? {} : { payload }) });
