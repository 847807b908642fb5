/**
 * The path of a location on a file server (`ftp`, `ftps`, `sftp`). RFC 1738, 3.2: its parts are decoded one by one, and a name
 * may hold what means something elsewhere: `?`, `#`, `+`, spaces. Pure.
 */
import type { HostLocation, HostScheme } from './location.js';

export type FileScheme = Extract<HostScheme, 'ftp' | 'ftps' | 'sftp'>;
export type FileLocation = HostLocation & { readonly scheme: FileScheme; readonly path: FilePath };

const FILE_SCHEMES: readonly string[] = ['ftp', 'ftps', 'sftp'];
export const isFileScheme = (scheme: string): scheme is FileScheme => FILE_SCHEMES.includes(scheme);

/** By its text alone, whether or not it can be read. */
export const isFileLocation = (text: string): boolean =>
  isFileScheme(/^\s*([a-z]+):/i.exec(text)?.[1]?.toLowerCase() ?? '');

export interface FilePath {
  /** `''`: where the login leads to. With a `/` in front it begins at the root of the server. */
  readonly folder: string;
  /** `''`: the location names a folder. */
  readonly name: string;
}

/** What `#` is followed by when it is meant for us: any other text belongs to the name of the file. */
export const OWN_FRAGMENT = /^disable_connectors_during_install=(?:true|false)$/;

/** Longest path that Linux takes. */
const MAX_PATH_BYTES = 4095;

const decode = (part: string): string | undefined => {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
};

/** `;type=i` of RFC 1738, 3.2.2: everything is transferred as it is, whatever it says. */
const withoutType = (path: string): string => path.replace(/;type=[ai]$/i, '');

/** The encoded path with everything that belongs to it: `?` and what follows, `#` and what follows. */
function encodedPath(scheme: FileScheme, { href, hash }: URL): string {
  const afterHost = /^[^:]+:\/\/[^/?#]*(.*)$/s.exec(href)?.[1] ?? '';
  const ours = OWN_FRAGMENT.test(hash.slice(1)) ? hash : '';
  const path = ours === '' ? afterHost : afterHost.slice(0, -ours.length);
  return scheme === 'sftp' ? path : withoutType(path);
}

/**
 * The path, or why it is none. An FTP path begins where the login leads to, and at the root with `//` or `/%2F` (as curl has it);
 * an SFTP path begins at the root, and below the home folder of the user with `/~/`. `url` as it was written, with its hash.
 */
export function readFilePath(scheme: FileScheme, url: URL): FilePath | string {
  const parts = encodedPath(scheme, url).replace(/^\//, '').split('/').map(decode);
  if (parts.includes(undefined)) return 'the path is not valid percent-encoded UTF-8: write a % as %25';
  const begin = scheme === 'sftp' && parts[0] !== '~' ? '/' : '';
  if (scheme === 'sftp' && parts[0] === '~') parts.shift();
  const path = `${begin}${parts.join('/')}`.replace(/\/{2,}/g, '/');
  if (/\p{Cc}/u.test(path)) return 'the path has a control character';
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `the path is longer than ${MAX_PATH_BYTES} bytes`;
  const slash = path.lastIndexOf('/');
  return { folder: path.slice(0, Math.max(slash, slash === 0 ? 1 : 0)), name: path.slice(slash + 1) };
}
