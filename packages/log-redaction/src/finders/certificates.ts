/**
 * Certificates, keys and requests for them: PEM (RFC 7468) over several lines, in one line with `\n`, cut off; DER in base64; what
 * ISO 15118 carries in XML. A contract certificate names a person's contract.
 */
import type { Finder, Line, Secret } from '../finder.js';
import { matchesOf } from './quoted.js';

const BEGIN = /-----BEGIN ([A-Z0-9 ]{1,40})-----/g;
/** More than the largest keys and chains of one block have. */
export const LONGEST_PEM = 12_288;
/** After `-----BEGIN`: base64, and line ends as they are or written out, once or twice escaped. */
const SAME_LINE = /(?:[A-Za-z0-9+/=\s]|\\+[nr/])*/y;
const TAIL = /(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]+(?=\\?r?\s*$)/;
/** Lines of PEM have 64 characters, the last one has fewer. */
export const WHOLE_LINE = 40;

/** A line of a block that is not alone in its line: what another program writes without a line end before it. */
const GLUED = /(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{56,}={0,2}/g;
const HEXADECIMAL = /^[0-9a-f]+$/i;

/** The word before what a logger was given: `evse_security[512]:` of each line of syslog. */
export const wordBefore = (text: string, at: number): string => /\S*\s*$/.exec(text.slice(0, at).slice(-80))?.[0] ?? '';

/** `SHA256:47DEQ...`, as SSH tells a login: no line of a block begins behind the name of a digest. */
const DIGEST = /\b(?:sha-?\d{1,3}|md5)[:=-]$/i;

/**
 * The base64 at the end of a line of a block that began behind `word`. What another program writes between its lines ends in other
 * words.
 */
export function pemTail(line: string, word: string): readonly [from: number, to: number] | undefined {
  const tail = TAIL.exec(line);
  if (!tail || DIGEST.test(line.slice(0, tail.index).slice(-10))) return undefined;
  const isBody =
    tail[0].length >= WHOLE_LINE || line.slice(0, tail.index).trim() === '' || wordBefore(line, tail.index) === word;
  return isBody ? [tail.index, tail.index + tail[0].length] : undefined;
}

/** The same of a block that has begun for sure; other words may stand behind the line. A checksum is no line of one. */
export function pemBody(line: string, word: string): readonly [from: number, to: number] | undefined {
  const tail = pemTail(line, word);
  if (tail) return tail;
  for (const match of matchesOf(GLUED, line)) {
    const [run] = match;
    const before = line.slice(Math.max(0, match.index - 10), match.index);
    if (!HEXADECIMAL.test(run) && !DIGEST.test(before)) return [match.index, match.index + run.length];
  }
  return undefined;
}

/** SEQUENCE with a long length, which all of RSA have, and the small keys of elliptic curves. */
const DER = /(?<![A-Za-z0-9+/])(?:MII[A-P]|MHcC|MIG[H-T])[A-Za-z0-9+/\\]{60,}={0,2}/g;
const XML =
  /(?:<|&lt;)(?:[\w.-]{1,40}:)?(?:\w{0,40}EncryptedPrivateKey|DHpublickey|Certificate)(?:\s[^<>&]{0,200})?(?:>|&gt;)\s{0,8}([A-Za-z0-9+/=]{8,})/gi;

function* bodyLines(text: string, word: string, base: number, context: readonly [number, number]): Generator<Secret> {
  let at = 0;
  let isFirst = true;
  for (const line of text.split('\n')) {
    const tail = pemBody(line, word);
    if (tail) {
      const rest = isFirst ? { value: text.replace(/[^A-Za-z0-9+/=]/g, '') } : { isRest: true };
      yield { from: base + at + tail[0], to: base + at + tail[1], context, ...rest };
      isFirst = false;
    }
    at += line.length + 1;
  }
}

/** Lines that others may write between those of a block whose end is not there. */
const FOREIGN_LINES = 64;

/** How far a block goes whose end is not there: to the last of the lines that go on with it. */
function lengthOfCut(text: string, word: string): number {
  let at = 0;
  let end = 0;
  let foreign = 0;
  for (const line of text.split('\n')) {
    at += line.length + 1;
    if (pemBody(line, word)) [end, foreign] = [at, 0];
    else foreign += 1;
    if (foreign > FOREIGN_LINES) break;
  }
  return Math.min(end, text.length);
}

/** Where the block ends that has begun before `text`; others of its kind may begin and end in between. */
function endOfBlock(text: string, label: string): number {
  let depth = 1;
  for (const match of matchesOf(new RegExp(`-----(BEGIN|END) ${label}-----`, 'g'), text)) {
    depth += match[1] === 'BEGIN' ? 1 : -1;
    if (depth === 0) return match.index;
  }
  return -1;
}

function* block(whole: Line, match: RegExpMatchArray, index: number): Generator<Secret> {
  const { text, at } = whole;
  const start = index + match[0].length;
  const label = match[1] ?? '';
  const near = text.slice(start, start + 2 * LONGEST_PEM);
  const length = near.indexOf(`-----END ${label}-----`);
  if (length !== -1) {
    if (length > 0) {
      const value = near.slice(0, length).replace(/\\+[nr]|[^A-Za-z0-9+/=]/g, '');
      yield { from: at + start, to: at + start + length, value };
    }
    return;
  }
  SAME_LINE.lastIndex = start;
  const rest = SAME_LINE.exec(text)?.[0] ?? '';
  if (rest.length >= 8) yield { from: at + start, to: at + start + rest.length };
  // Within its own line it was cut: what follows in the line is not of it.
  if (start + rest.length < text.length) return;
  const from = at + text.length + 1;
  const word = wordBefore(text, index);
  for (const following of [whole.around(from, from + LONGEST_PEM), whole.alone(from, from + LONGEST_PEM)]) {
    if (following === undefined) continue;
    const end = endOfBlock(following, label);
    const body = following.slice(0, end === -1 ? lengthOfCut(following, word) : end);
    yield* bodyLines(body, word, from, [at + index, from + body.length]);
  }
}

function find(line: Line, onSecret: (secret: Secret) => void): void {
  const { text, at } = line;
  if (text.includes('-----BEGIN ')) {
    for (const match of matchesOf(BEGIN, text)) for (const secret of block(line, match, match.index)) onSecret(secret);
  }
  for (const { index, 0: whole } of matchesOf(DER, text)) onSecret({ from: at + index, to: at + index + whole.length });
  for (const match of matchesOf(XML, text)) {
    const end = at + match.index + match[0].length;
    onSecret({ from: end - (match[1]?.length ?? 0), to: end });
  }
}

export const certificates: Finder = {
  rule: 'certificates',
  tag: 'certificate',
  marks: [
    '-----begin ',
    ...'abcdefghijklmnop'.split('').map((letter) => `mii${letter}`),
    'mhcc',
    ...'hijklmnopqrst'.split('').map((letter) => `mig${letter}`),
    'encryptedprivatekey',
    'dhpublickey',
    'certificate>',
    'certificate&gt;',
    'certificate ',
  ],
  find,
};
