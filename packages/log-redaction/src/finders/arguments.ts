/** Secrets among the arguments of programs, as a shell with `set -x` and sudo write them: `curl -u`, `sshpass -p`, `nmcli`. */
import { matchesOf } from './quoted.js';

type Range = readonly [from: number, to: number];

/** One word of a shell: quotes and backslashes are parts of it, and it ends with a blank. */
const WORD = /(?:'[^']*(?:'|$)|"(?:[^"\\]|\\[\s\S]|\\$)*(?:"|$)|\\[\s\S]|\\$|[^\s'"\\])+/y;

/** The word that begins at `at`, without quotes around all of it. */
function wordAt(text: string, at: number): Range | undefined {
  WORD.lastIndex = at;
  const word = WORD.exec(text)?.[0] ?? '';
  const quote = word[0] ?? '';
  const isQuoted = quote === "'" || quote === '"';
  const from = at + (isQuoted ? 1 : 0);
  const to = at + word.length - (isQuoted && word.length > 1 && word.endsWith(quote) ? 1 : 0);
  return to > from ? [from, to] : undefined;
}

/** Options of curl that take no value may stand before it in one word: `-fsSLu`. */
const CURL_USER = /(?<=\s)(?:-[#0346afgGiIjklLnNpqRsSvZJO]{0,8}[uU]|--(?:proxy-)?user(?=[\s=]))[\s=]{0,4}(?=[^\s=])/g;
/** A token may stand in the place of the user, with an empty password. */
const LONG_USER = 16;

function userSecret(text: string, [from, to]: Range): Range | undefined {
  const colon = text.slice(from, to).indexOf(':');
  if (colon === -1) return undefined;
  if (from + colon + 1 < to) return [from + colon + 1, to];
  return colon >= LONG_USER ? [from, from + colon] : undefined;
}

const SSHPASS = /(?<![\w.-])sshpass(?:\s{1,4}-(?:v|P\s{0,4}\S{1,64})){0,4}\s{1,4}-p\s{0,4}(?=\S)/g;

const NM_SECRET =
  '(?:802-11-wireless-security|wifi-sec|802-1x|gsm|cdma|pppoe|adsl|macsec|vpn)\\.(?:[a-z0-9-]{0,40}password|psk|pin|wep-key[0-3]|mka-cak|secrets)|wireguard\\.private-key';
/** As an argument of nmcli, and as it lists them; neither its words about one, nor `--`: there is none. */
const NM_PROPERTY = new RegExp(
  `(?<![\\w.-])(?:${NM_SECRET})(?:\\s{0,4}[:=]\\s{0,64}|\\s{1,4})(?=[^\\s[])(?!--(?!\\S)|property\\s|(?:is|cannot|must)\\s)`,
  'g',
);
const NM_WIFI =
  /(?<![\w-])w(?:ifi)?\s{1,4}(?:c|con|connect|hotspot)\s{1,4}(?:\S{1,64}\s{1,4}){0,10}?password\s{1,4}(?=\S)/g;

/** The words behind what fits. What fits within such a word is part of it: each place is looked at once. */
function* wordsBehind(text: string, expression: RegExp): Generator<Range> {
  let end = 0;
  for (const match of matchesOf(expression, text)) {
    const begin = match.index + match[0].length;
    const word = begin < end ? undefined : wordAt(text, begin);
    if (!word) continue;
    yield word;
    [, end] = word;
  }
}

function* curlSecrets(text: string): Generator<Range> {
  for (const word of wordsBehind(text, CURL_USER)) {
    const secret = userSecret(text, word);
    if (secret) yield secret;
  }
}

export function* argumentSecrets(text: string): Generator<Range> {
  if (text.includes('curl ')) yield* curlSecrets(text);
  if (text.includes('sshpass')) yield* wordsBehind(text, SSHPASS);
  yield* wordsBehind(text, NM_PROPERTY);
  if (text.includes('nmcli')) yield* wordsBehind(text, NM_WIFI);
}

/** What a line has that may have one; passwords and keys by name have marks of their own. */
export const ARGUMENT_MARKS: readonly string[] = [
  'curl ',
  'sshpass',
  '.psk ',
  '.pin ',
  '.pin:',
  '.pin=',
  '.wep-key',
  'mka-cak',
];
