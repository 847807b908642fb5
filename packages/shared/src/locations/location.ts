/** A location: where EVerest or a fleet tool says that a firmware image is, or that logs go. Pure; nothing is connected. */
import { isIP } from 'node:net';
import { type FilePath, type FileScheme, isFileScheme, OWN_FRAGMENT, readFilePath } from './file-path.js';

/** Every scheme that some part of the product can serve, and its port when none is written. */
export const DEFAULT_PORTS = { https: 443, http: 80, ftps: 990, ftp: 21, sftp: 22 } as const;
export type HostScheme = keyof typeof DEFAULT_PORTS;
export type LocationScheme = HostScheme | 's3';
const LOCATION_SCHEMES: readonly LocationScheme[] = ['https', 'http', 's3', 'ftps', 'ftp', 'sftp'];

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface HostLocation {
  readonly scheme: HostScheme;
  /** Normal form, without fragment and without credentials: fit for a log line only after its query is cut off. */
  readonly url: URL;
  /** Lower case, IPv6 without brackets, numbers normalised (`0x7f.1` is `127.0.0.1`), no dot at the end. */
  readonly host: string;
  readonly port: number;
  readonly credentials?: Credentials;
  /** Text after `#`, still encoded, `''` if none. Never sent to a server; of a file server only what is meant for us. */
  readonly fragment: string;
  /** Of `ftp`, `ftps`, `sftp`: what is named at the server. `url` has it in its path alone. */
  readonly path?: FilePath;
}

/** `key` may be empty: a log upload picks its own name inside the bucket. */
export interface BucketLocation {
  readonly scheme: 's3';
  readonly bucket: string;
  readonly key: string;
  readonly fragment: string;
}

export type Location = HostLocation | BucketLocation;

export type LocationProblem = 'LOCATION_MALFORMED' | 'LOCATION_SCHEME_UNKNOWN';
export type ParsedLocation =
  | { readonly ok: true; readonly location: Location }
  /** `reason` is for people: which rule, and at which character where one is to blame. */
  | { readonly ok: false; readonly code: LocationProblem; readonly reason: string };

/** Presigned URLs with session tokens reach 2000 characters; nothing honest is longer than this. */
const MAX_LENGTH = 8192;

const malformed = (reason: string): ParsedLocation => ({ ok: false, code: 'LOCATION_MALFORMED', reason });

const isScheme = (text: string): text is LocationScheme => (LOCATION_SCHEMES as readonly string[]).includes(text);

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** Amazon S3 user guide, bucket naming rules, as far as other S3 servers share them. */
const isBucketName = (text: string): boolean =>
  /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text) && !text.includes('..') && isIP(text) === 0;

/** S3 user guide, "Creating object key names". */
export const MAX_KEY_BYTES = 1024;

const isPlain = (key: string): boolean =>
  !/[\p{Cc}\\]/u.test(key) && !key.split('/').some((segment) => segment === '.' || segment === '..');

/**
 * What keeps a key from being one and the same place for every server and every proxy before it; `undefined`: nothing.
 * Some decode once too often: what would be another path then is no key either.
 */
function keyProblem(key: string): string | undefined {
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `the key is longer than ${MAX_KEY_BYTES} bytes`;
  if (!isPlain(key) || /^\/|\/\//.test(key)) return 'the key has an empty, relative or unprintable part';
  for (let before = key, rounds = 0; rounds < 3; rounds += 1) {
    const after = decoded(before);
    if (after === undefined || after === before) return undefined;
    if (!isPlain(after) || after.split('/').length !== key.split('/').length)
      return 'the key has an encoded slash, or a part that is relative once it is decoded';
    before = after;
  }
  return 'the key is encoded again and again';
}

function parseBucketLocation(url: URL, fragment: string): ParsedLocation {
  if (url.username !== '' || url.password !== '' || url.port !== '' || url.search !== '')
    return malformed('an s3 location is s3://bucket/key and nothing else');
  if (!isBucketName(url.hostname))
    return malformed('the bucket name is not valid: 3 to 63 of a to z, 0 to 9, dots and hyphens');
  const key = decoded(url.pathname.slice(1));
  if (key === undefined) return malformed('the key is not valid percent-encoded UTF-8');
  const problem = keyProblem(key);
  if (problem !== undefined) return malformed(problem);
  return { ok: true, location: { scheme: 's3', bucket: url.hostname, key, fragment } };
}

/**
 * Scheme, two slashes, authority. Where a location leaves slashes out, writes them the wrong way round or has one too
 * many, WHATWG guesses an authority: what is secret in it could not be told from a path by looking at the text.
 */
const PLAIN_FORM = /^[a-z][a-z0-9+.-]*:\/\/[^/\\]/i;

/** The host as `http` would read it: other schemes leave `0x7f.1` and upper case as they are. */
function normalHost(host: string): string | undefined {
  const asHttp = `http://${host}/`;
  if (!URL.canParse(asHttp)) return undefined;
  const text = new URL(asHttp).hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  return text === '' ? undefined : text;
}

/** Where something stands, counted as people count: characters, from 1. */
const place = (text: string, index: number): string => `at character ${Array.from(text.slice(0, index)).length + 1}`;

/** Path and fragment of a location on a file server, whose query and hash become part of the path of `url`; or what is wrong with it. */
function ofFileServer(
  scheme: FileScheme,
  url: URL,
  { username, password }: Credentials,
): { path: FilePath; fragment: string } | string {
  const path = readFilePath(scheme, url);
  if (typeof path === 'string') return path;
  if (/\p{Cc}/u.test(`${username}${password}`)) return 'the user name or the password has a control character';
  const fragment = url.hash.slice(1);
  const isOurs = OWN_FRAGMENT.test(fragment);
  url.pathname = [url.pathname, url.search, isOurs ? '' : url.hash].join('').replace(/[?#]/g, encodeURIComponent);
  url.search = '';
  return { path, fragment: isOurs ? fragment : '' };
}

/** Why `URL` cannot read it. */
function whyNotAUrl(text: string): string {
  if (text === '') return 'it is empty';
  if (!/^[a-z][a-z0-9+.-]*:/i.test(text)) return 'it has no scheme: write scheme://host';
  return 'the host or the port is not valid';
}

/** Why user and password cannot be decoded. `text` begins with scheme and slashes. */
function whyNotCredentials(text: string): string {
  const [, before = '', userinfo = ''] = /^([^:]+:\/\/)([^/?#\\]*)@/.exec(text) ?? [];
  const bare = userinfo.search(/%(?![0-9a-f]{2})/i);
  return bare < 0
    ? 'the user name or the password is not UTF-8 once its %XX are decoded'
    : `the user name or the password has a bare % ${place(text, before.length + bare)}: write it as %25`;
}

/**
 * Read a location. WHATWG URL rules, minus what they forgive: control characters and spaces inside are refused,
 * and so is whatever is not scheme, two slashes, authority. Space around it does not count.
 * Reasons never repeat the text: it may hold credentials.
 */
export function parseLocation(text: string): ParsedLocation {
  const trimmed = text.trim();
  if (trimmed.length > MAX_LENGTH) return malformed(`longer than ${MAX_LENGTH} characters`);
  const blank = trimmed.search(/[\s\p{Cc}]/u);
  if (blank >= 0)
    return malformed(`contains white space or a control character ${place(trimmed, blank)}: write it as %XX`);
  if (!URL.canParse(trimmed)) return malformed(whyNotAUrl(trimmed));
  const url = new URL(trimmed);
  const scheme = url.protocol.slice(0, -1);
  if (!isScheme(scheme)) return { ok: false, code: 'LOCATION_SCHEME_UNKNOWN', reason: `no support for ${scheme}:` };
  if (!PLAIN_FORM.test(trimmed)) return malformed(`not written as ${scheme}://host`);
  const fragment = url.hash.slice(1);
  if (scheme === 's3') return parseBucketLocation(url, fragment);
  const host = normalHost(url.hostname);
  if (host === undefined) return malformed('the host is missing or not valid');
  const username = decoded(url.username);
  const password = decoded(url.password);
  if (username === undefined || password === undefined) return malformed(whyNotCredentials(trimmed));
  const port = url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port);
  const file = isFileScheme(scheme) ? ofFileServer(scheme, url, { username, password }) : { fragment };
  if (typeof file === 'string') return malformed(file);
  url.hash = '';
  url.username = '';
  url.password = '';
  const credentials = username === '' && password === '' ? {} : { credentials: { username, password } };
  return { ok: true, location: { scheme, url, host, port, ...credentials, ...file } };
}

/**
 * A location as anybody may see it: no user, password, query and fragment. Of one that is not in plain form, as older
 * versions took them, nothing but the scheme. Pure.
 */
export function publicLocation(text: string): string {
  const trimmed = text.trim();
  if (!PLAIN_FORM.test(trimmed)) return /^[a-z][a-z0-9+.-]*:/i.exec(trimmed)?.[0] ?? '';
  return trimmed.replace(/[?#].*$/s, '').replace(/^([^:]+:\/\/)[^/]*@/, '$1');
}
