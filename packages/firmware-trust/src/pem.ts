/**
 * PEM text, read completely or not at all: an entry that is not whole never drops out in silence. RFC 7468, and what
 * happens to it on the way: literal `\n` sequences, CR, CRLF, no line ends at all, indented, with blank lines.
 */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { derAt, TAG } from './der.js';

export interface PemEntry {
  /** Which one it is, for messages: `entry 2 (line 31)`. */
  readonly name: string;
  readonly der: Buffer;
}

const MARKER = /-----(BEGIN|END) ([A-Z0-9][A-Z0-9 ]{0,60})-----/g;
/** What was meant as a marker and is none, such as one with a dash missing. */
const BROKEN_MARKER = /--[ \t]{0,8}(?:BEGIN|END)\b|\b(?:BEGIN|END) [A-Z0-9 ]{0,60}(?:CERTIFICATE|CRL|KEY)\b/i;
/** A line of an entry that lost the lines around it. Explanations have spaces. */
const LOOSE_LINE = /^[ \t]*[A-Za-z0-9+/]{60,}={0,2}[ \t]*$/m;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

const invalid = (what: string): CodedError => new CodedError('PEM_INVALID', what);

const lineAt = (text: string, offset: number): number => {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
};

function derOf(name: string, body: string): Buffer {
  const base64 = body.replace(/\s+/g, '');
  if (base64 === '') throw invalid(`${name} is empty`);
  if (!BASE64.test(base64) || base64.length % 4 !== 0) throw invalid(`${name} is not base64 throughout`);
  const der = Buffer.from(base64, 'base64');
  try {
    const { tag, bytes } = derAt(der);
    if (tag === TAG.sequence && bytes.length === der.length) return der;
  } catch (error) {
    throw invalid(`${name} is not whole: ${error instanceof Error ? error.message : String(error)}`);
  }
  throw invalid(`${name} is not whole, or has something behind its end`);
}

/**
 * Every entry in order; text around them and lines that begin with `#` are explanations. Throws `PEM_INVALID`, which names
 * the entry and repeats none of it: without its END or BEGIN line, with another label, damaged, or cut short; and where
 * there is none at all. Pure; takes as long as the text.
 */
export function readPem(text: string, labels: readonly string[], most = Number.POSITIVE_INFINITY): PemEntry[] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .replace(/\\r\\n|\\n|\\r|\r\n?/g, '\n')
    .replace(/^[ \t]*#.*$/gm, '');
  const entries: PemEntry[] = [];
  let open: { readonly name: string; readonly label: string; readonly start: number } | undefined;
  let end = 0;
  const outside = (from: number, to: number): void => {
    const between = lines.slice(from, to);
    const refuse = (found: RegExpExecArray | null, what: string): void => {
      if (found) throw invalid(`line ${lineAt(lines, from + found.index)}: ${what}`);
    };
    refuse(BROKEN_MARKER.exec(between), 'a BEGIN or END line that is not whole');
    refuse(LOOSE_LINE.exec(between), 'a part of an entry without its BEGIN and END lines');
  };
  for (const marker of lines.matchAll(MARKER)) {
    const [all, kind, label = ''] = marker;
    const start = marker.index;
    if (kind === 'BEGIN') {
      if (open) throw invalid(`${open.name} "${open.label}" has no END line`);
      outside(end, start);
      const name = `entry ${entries.length + 1} (line ${lineAt(lines, start)})`;
      if (!labels.includes(label)) throw invalid(`${name} is a "${label}", not a "${labels[0]}"`);
      if (entries.length >= most) throw invalid(`more than ${most} entries`);
      open = { name, label, start: start + all.length };
      continue;
    }
    if (!open) throw invalid(`line ${lineAt(lines, start)}: an END line without its entry`);
    if (label !== open.label) throw invalid(`${open.name} begins as "${open.label}" and ends as "${label}"`);
    entries.push({ name: open.name, der: derOf(open.name, lines.slice(open.start, start)) });
    open = undefined;
    end = start + all.length;
  }
  if (open) throw invalid(`${open.name} "${open.label}" has no END line`);
  outside(end, lines.length);
  if (entries.length === 0) throw invalid(`there is no PEM entry "${labels[0]}" in it`);
  return entries;
}
