/** The challenges of a 401 or 407, read. RFC 9110, 11.3 and 11.6.1. Pure. */

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** Names in lower case; of one that comes twice the first. */
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/**
 * `name=value` or `name="value"`, else the beginning of a challenge, else a token68 or what cannot be read. Elements of a
 * list may be empty (5.6.1), and some servers quote no value at all, whatever is in it.
 */
const PART = new RegExp(
  `[\\s,]*(?:(${TOKEN})\\s*=\\s*("(?:[^"\\\\]|\\\\.)*"|[^\\s,"]+)|(${TOKEN})(?=[\\s,]|$)|([^\\s,]+))`,
  'gy',
);

const unquoted = (text: string): string => (text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, '$1') : text);

/** Several header fields, or one with several challenges, in their order. What cannot be read is left out. */
export function readChallenges(fields: string | readonly string[] | undefined): readonly Challenge[] {
  const text = [fields ?? []].flat().join(', ');
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  for (const [, name, value, scheme] of text.matchAll(PART)) {
    if (scheme !== undefined) found.push({ scheme: scheme.toLowerCase(), parameters: {} });
    const last = found.at(-1);
    if (name === undefined || value === undefined || !last) continue;
    const key = name.toLowerCase();
    if (!Object.hasOwn(last.parameters, key)) last.parameters[key] = unquoted(value);
  }
  return found;
}
