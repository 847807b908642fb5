/**
 * The parts of the depot's object store and their users. A station has a folder of its own for its logs, and images come
 * from where the operator keeps them. A caller of REST holds a key of the depot and may name any place but the depot's
 * own. Pure.
 */
import { createHash } from 'node:crypto';
import { CodedError } from '../runtime/errors.js';
import { type BucketLocation, parseLocation } from './location.js';

export interface StoreAreas {
  /** What the depot keeps is in it. */
  readonly bucket: string;
  /**
   * Where a station may have its logs put: `prefix/` in `bucket`, or `s3://bucket/prefix/`. `{station}` stands for the
   * folder name of the station. The first one is meant by a folder that holds it.
   */
  readonly logPrefixes: readonly string[];
  /** Where a station may have images fetched from, written in the same way. */
  readonly firmwarePrefixes: readonly string[];
}

export interface LocationUse {
  readonly for: 'firmware' | 'logs';
  readonly station: string;
  /** Where the location came from. */
  readonly origin: 'everest' | 'rest';
}

export type PlacedLocation =
  | { readonly ok: true; readonly location: BucketLocation }
  | { readonly ok: false; readonly code: 'LOCATION_KEY_NOT_ALLOWED' | 'LOCATION_MALFORMED'; readonly reason: string };

/** Below it the depot keeps the images of `FIRMWARE_STORE=s3`. */
const OWN_AREA = 'firmware/';
const STATION = '{station}';
/** Folder names that were longer are cut; S3 allows 1024 bytes for the whole key. */
const MAX_FOLDER = 200;

const hex = (byte: number): string => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;

/**
 * The folder name of a station: its id where that is plain. Other bytes become `=XX`, so that no two stations share a
 * folder, none is a relative path, and every S3 server reads it in the same way.
 */
export function stationFolder(station: string): string {
  const plain = Array.from(Buffer.from(station), (byte) =>
    /[A-Za-z0-9._-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : hex(byte),
  ).join('');
  if (/^\.*$/.test(plain)) return `${hex(0x2e)}${plain.slice(1)}`;
  if (plain.length <= MAX_FOLDER) return plain;
  return `${plain.slice(0, MAX_FOLDER - 65)}=${createHash('sha256').update(station).digest('hex')}`;
}

interface Prefix {
  readonly bucket: string;
  readonly prefix: string;
}

/** Throws `CONFIG_INVALID`: it must be a folder, and readable as a location. */
function readPrefix(text: string, bucket: string, folder: string): Prefix {
  const whole = (text.startsWith('s3://') ? text : `s3://${bucket}/${text}`).replaceAll(STATION, folder);
  const parsed = parseLocation(whole);
  const { location } = parsed.ok ? parsed : {};
  if (location?.scheme !== 's3' || !(location.key === '' || location.key.endsWith('/')))
    throw new CodedError('CONFIG_INVALID', 'a prefix in the object store is written prefix/ or s3://bucket/prefix/');
  return { bucket: location.bucket, prefix: location.key };
}

/** Throws `CONFIG_INVALID` for a prefix that cannot be read. */
export function assertStoreAreas(areas: StoreAreas): void {
  for (const text of [...areas.logPrefixes, ...areas.firmwarePrefixes]) readPrefix(text, areas.bucket, 'x');
}

const within =
  ({ bucket, key }: BucketLocation) =>
  (area: Prefix): boolean =>
    area.bucket === bucket && key.startsWith(area.prefix);

const notAllowed = (reason: string): PlacedLocation => ({ ok: false, code: 'LOCATION_KEY_NOT_ALLOWED', reason });
const shown = ({ bucket, prefix }: Prefix): string => locationText({ scheme: 's3', bucket, key: prefix, fragment: '' });

/** The text that `parseLocation` reads as this location. */
export const locationText = ({ bucket, key, fragment }: BucketLocation): string =>
  `s3://${bucket}/${key.split('/').map(encodeURIComponent).join('/')}${fragment === '' ? '' : `#${fragment}`}`;

/** Its own folder, what lies in it, or a folder around it, which then means its own. */
function placeLogs(location: BucketLocation, station: string, areas: StoreAreas): PlacedLocation {
  const own = areas.logPrefixes.map((text) => readPrefix(text, areas.bucket, stationFolder(station)));
  if (own.some(within(location))) return { ok: true, location };
  const isFolder = location.key === '' || location.key.endsWith('/');
  const meant = own.find(({ bucket, prefix }) => bucket === location.bucket && prefix.startsWith(location.key));
  if (isFolder && meant) return { ok: true, location: { ...location, key: meant.prefix } };
  return notAllowed(`this station's logs go below ${own.map(shown).join(' or ') || 'nothing in the object store'}`);
}

/** What is before the name of the station: below it lie the logs of all stations. */
function logAreasOf(areas: StoreAreas): Prefix[] {
  return areas.logPrefixes.map((text) => {
    const [before = ''] = text.split(STATION, 1);
    return readPrefix(before.slice(0, before.lastIndexOf('/') + 1), areas.bucket, '');
  });
}

const longest = (areas: readonly Prefix[]): number => Math.max(-1, ...areas.map(({ prefix }) => prefix.length));

/** Where prefixes lie in each other, the more exact one counts; logs are no images. */
function placeFirmware(location: BucketLocation, station: string, areas: StoreAreas): PlacedLocation {
  const allowed = areas.firmwarePrefixes.map((text) => readPrefix(text, areas.bucket, stationFolder(station)));
  const here = within(location);
  const isAllowed = longest(allowed.filter(here)) > longest(logAreasOf(areas).filter(here));
  if (isAllowed) return { ok: true, location };
  return notAllowed(`images come from below ${allowed.map(shown).join(' or ') || 'nothing in the object store'}`);
}

const isOwnArea = ({ bucket, key }: BucketLocation, areas: StoreAreas): boolean =>
  bucket === areas.bucket && `${key}/`.startsWith(OWN_AREA);

/** Whether a location in the object store may be used so, and which place is meant. */
export function placeInStore(
  location: BucketLocation,
  { for: use, station, origin }: LocationUse,
  areas: StoreAreas | undefined,
): PlacedLocation {
  if (areas === undefined) return notAllowed('no object store is configured');
  if (use === 'firmware' && (location.key === '' || location.key.endsWith('/')))
    return { ok: false, code: 'LOCATION_MALFORMED', reason: 'an image has a key that does not end with a slash' };
  if (isOwnArea(location, areas)) return notAllowed(`what lies below ${OWN_AREA} is the depot's own`);
  if (origin === 'rest') return { ok: true, location };
  return use === 'logs' ? placeLogs(location, station, areas) : placeFirmware(location, station, areas);
}
