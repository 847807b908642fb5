/**
 * PEM text, read completely or not at all: an entry that is not whole never drops out in silence. RFC 7468, and what
 * happens to it on the way: literal `\n` sequences, CR, CRLF, no line ends at all, indented, with blank lines.
 */
import { CodedError } from './errors.js';

export interface PemEntry {
  /** Which one it is, for messages: `entry 2 (line 31)`. */
  readonly name: string;
  readonly label: string;
  /** What the base64 holds; whether that is whole is not checked here. */
  readonly bytes: Buffer;
}

export interface PemRules {
  /** The first one is what is looked for. */
  readonly labels: readonly string[];
  /** Whether entries with other labels, which must have both their lines, too, are passed over. Default: they are refused. */
  readonly passesOver?: (label: string) => boolean;
  readonly most?: number;
  /** The message for a text without any. */
  readonly none?: string;
}

const MARKER = /-----(BEGIN|END) ([A-Z0-9][A-Z0-9 ]{0,60})-----/g;
/** What was meant as a marker and is none, such as one with a dash missing. */
const BROKEN_MARKER = /--[ \t]{0,8}(?:BEGIN|END)\b|\b(?:BEGIN|END) [A-Z0-9 ]{0,60}(?:CERTIFICATE|CRL|KEY)\b/i;
/** A line of an entry that lost the lines around it. Explanations have spaces. */
const LOOSE_LINE = /^[ \t]*[A-Za-z0-9+/]{60,}={0,2}[ \t]*$/m;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Every reader of PEM refuses with this. */
export const pemInvalid = (what: string): CodedError => new CodedError('PEM_INVALID', what);

const lineAt = (text: string, offset: number): number => {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
};

function bytesOf(name: string, body: string): Buffer {
  const base64 = body.replace(/\s+/g, '');
  if (base64 === '') throw pemInvalid(`${name} is empty`);
  if (!BASE64.test(base64) || base64.length % 4 !== 0) throw pemInvalid(`${name} is not base64 throughout`);
  return Buffer.from(base64, 'base64');
}

/**
 * The entries with one of the labels, in order; text around them and lines that begin with `#` are explanations. Throws
 * `PEM_INVALID`, which names the entry and repeats none of it: without its END or BEGIN line, with another label, or
 * damaged; and where there is none at all. Pure; takes as long as the text.
 */
export function readPemEntries(text: string, rules: PemRules): PemEntry[] {
  const {
    labels,
    passesOver,
    most = Number.POSITIVE_INFINITY,
    none = `there is no PEM entry "${labels[0]}" in it`,
  } = rules;
  const lines = text
    .replace(/^\uFEFF/, '')
    .replace(/\\r\\n|\\n|\\r|\r\n?/g, '\n')
    .replace(/^[ \t]*#.*$/gm, '');
  const entries: PemEntry[] = [];
  let count = 0;
  let open: { readonly name: string; readonly label: string; readonly start: number } | undefined;
  let end = 0;
  const outside = (from: number, to: number): void => {
    const between = lines.slice(from, to);
    const refuse = (found: RegExpExecArray | null, what: string): void => {
      if (found) throw pemInvalid(`line ${lineAt(lines, from + found.index)}: ${what}`);
    };
    refuse(BROKEN_MARKER.exec(between), 'a BEGIN or END line that is not whole');
    refuse(LOOSE_LINE.exec(between), 'a part of an entry without its BEGIN and END lines');
  };
  for (const marker of lines.matchAll(MARKER)) {
    const [all, kind, label = ''] = marker;
    const start = marker.index;
    if (kind === 'BEGIN') {
      if (open) throw pemInvalid(`${open.name} "${open.label}" has no END line`);
      outside(end, start);
      const name = `entry ${count + 1} (line ${lineAt(lines, start)})`;
      if (!labels.includes(label) && passesOver?.(label) !== true)
        throw pemInvalid(`${name} is a "${label}", not a "${labels[0]}"`);
      if (count >= most) throw pemInvalid(`more than ${most} entries`);
      count += 1;
      open = { name, label, start: start + all.length };
      continue;
    }
    if (!open) throw pemInvalid(`line ${lineAt(lines, start)}: an END line without its entry`);
    if (label !== open.label) throw pemInvalid(`${open.name} begins as "${open.label}" and ends as "${label}"`);
    if (labels.includes(label))
      entries.push({ name: open.name, label, bytes: bytesOf(open.name, lines.slice(open.start, start)) });
    open = undefined;
    end = start + all.length;
  }
  if (open) throw pemInvalid(`${open.name} "${open.label}" has no END line`);
  outside(end, lines.length);
  if (entries.length === 0) throw pemInvalid(none);
  return entries;
}

/** As every reader of PEM understands it, RFC 7468 2. */
export const pemOf = (label: string, bytes: Buffer): string =>
  `-----BEGIN ${label}-----\n${(bytes.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`;
