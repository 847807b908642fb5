/**
 * What the head of a response states about its body. A Content-Encoding is often no more than a remark on the stored
 * file (Apache AddEncoding, metadata of object stores), and `identity` was asked for: so it is only a suspicion, which the
 * bytes confirm or not (`transport-coding.ts`). Pure. RFC 9110: 8.4 (content codings), 12.5.3.
 */

/** Names of headers in lower case, as Node gives them. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** Codings that bytes can be recognized by or decoded from. RFC 9110, 8.4.1; RFC 7932; RFC 8878. */
export type Coding = 'gzip' | 'deflate' | 'br' | 'zstd' | 'compress';

export interface Labels {
  /** The coding that may have been applied in transit; absent: the head names none. */
  readonly coding?: Coding;
  /** More than one coding is named. */
  readonly moreCodings?: true;
  /** The file's own name or type says that it is of this coding at rest. */
  readonly codedAtRest?: true;
  /** The label of uploads to S3, which a store takes off together with its frames. */
  readonly awsChunked?: true;
  /** What an earlier response, with the same strong ETag, gave as the size of the file. */
  readonly sizeBefore?: number;
  /** The media type is that of a web page. */
  readonly html?: true;
}

const CODINGS: Readonly<Record<string, Coding>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
  compress: 'compress',
  'x-compress': 'compress',
};

/** How files are named, and typed, that are of a coding at rest. */
const AT_REST: Readonly<Record<Coding, { readonly names: RegExp; readonly types: RegExp }>> = {
  gzip: { names: /\.(gz|gzip|tgz|taz|svgz|emz|ipk|apk)$/i, types: /gzip|gunzip|x-gtar|x-compressed-tar/ },
  deflate: { names: /\.(zz|zlib|deflate)$/i, types: /zlib|deflate/ },
  br: { names: /\.(br|tbr)$/i, types: /brotli/ },
  zstd: { names: /\.(zst|zstd|tzst)$/i, types: /zstd/ },
  compress: { names: /\.(z|taz)$/i, types: /x-compress$/ },
};

const headerOf = ({ headers }: ResponseHead, name: string): string => {
  const value = headers[name];
  return (typeof value === 'string' ? value : value?.join(', ')) ?? '';
};

/** Servers that compress in transit append the coding to the ETag: Apache, Jetty, Tomcat, Caddy. */
const codingOfEtag = (etag: string): Coding | undefined =>
  CODINGS[/(?:-|;|:|_)(gzip|br|deflate|zstd)"$/.exec(etag)?.[1] ?? ''];

function fileNameOf(disposition: string): string {
  const match = /filename\*?\s*=\s*(?:[\w-]+'[\w-]*')?("(?:[^"\\]|\\.)*"|[^;\s]+)/i.exec(disposition);
  return (match?.[1] ?? '').replace(/^"|"$/g, '').trim();
}

/** The names that an address gives a file: in its path, or as a parameter (`download?file=fw.tar.gz`). */
export function fileNamesOf({ pathname, searchParams }: URL): readonly string[] {
  // Not of UTF-8: the ends that count are ASCII.
  const path = pathname.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return [path.replace(/;[^/]*$/, ''), ...[...searchParams.values()].filter((value) => /[^/]\.\w+$/.test(value))];
}

/** `names`: of the location and of where redirects led to (`fileNamesOf`). */
export function readLabels(head: ResponseHead, names: readonly string[]): Labels {
  const type = headerOf(head, 'content-type').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const html = type === 'text/html' || type === 'application/xhtml+xml' ? { html: true as const } : {};
  const said = headerOf(head, 'content-encoding')
    .split(',')
    // Some quote it, or give it a weight as in a request.
    .map((name) =>
      name
        .replace(/;.*$|"/g, '')
        .trim()
        .toLowerCase(),
    );
  const other = { ...(said.includes('aws-chunked') ? { awsChunked: true as const } : {}), ...html };
  const listed = said.flatMap((name) => CODINGS[name] ?? []);
  const coding = listed.at(-1) ?? codingOfEtag(headerOf(head, 'etag'));
  if (coding === undefined) return other;
  const files = [...names, fileNameOf(headerOf(head, 'content-disposition'))];
  const isAtRest = files.some((name) => AT_REST[coding].names.test(name)) || AT_REST[coding].types.test(type);
  return {
    coding,
    ...(listed.length > 1 ? { moreCodings: true as const } : {}),
    ...(isAtRest ? { codedAtRest: true as const } : {}),
    ...other,
  };
}

/** A transfer coding that was not requested. RFC 9112, 6.1. `undefined`: none. */
export function transferCoding(head: ResponseHead): string | undefined {
  const codings = headerOf(head, 'transfer-encoding')
    .split(',')
    .map((name) => name.trim().toLowerCase());
  return codings.find((name) => name !== '' && name !== 'chunked' && name !== 'identity');
}

/** What a web page begins with: the table of WHATWG MIME sniffing, 7.1. */
const FIRST_TAG =
  /^<(?:!doctype\s+html|html|head|body|title|script|iframe|h1|div|font|table|style|meta|center|p|a|b|br)(?![\w.:-])/i;
/** What may stand before it, and where that ends. */
const SKIPPED = [
  ['<!--', '-->'],
  ['<?xml', '?>'],
] as const;

/** How many bytes are looked at: pages begin with long comments. */
export const BEGIN_BYTES = 16 * 1024;

function textOf(begin: Buffer): string {
  const mark = begin.toString('latin1', 0, 2);
  if (mark === '\xff\xfe') return begin.toString('utf16le', 2);
  if (mark === '\xfe\xff') return new TextDecoder('utf-16be').decode(begin);
  return begin.toString('utf8').replace(/^\uFEFF/, '');
}

/** A web page and no image, by its type and by its first bytes. Takes time linear in the length. */
export function isWebPage(labels: Labels, begin: Buffer): boolean {
  if (labels.html !== true) return false;
  const text = textOf(begin);
  let at = 0;
  for (;;) {
    while (/\s/.test(text.charAt(at))) at += 1;
    const skipped = SKIPPED.find(([start]) => text.startsWith(start, at));
    if (!skipped) return FIRST_TAG.test(text.slice(at, at + 64));
    const end = text.indexOf(skipped[1], at + skipped[0].length);
    if (end === -1) return false;
    at = end + skipped[1].length;
  }
}
