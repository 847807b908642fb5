/**
 * What is known of the images that the depot holds. Bytes are the truth: a record without them leaves the list. What is
 * counted is counted in the commit that it belongs to, so that a kill counts nothing twice and nothing not at all.
 */
import { artifactOf } from '@khumbu/shared/locations/artifact-location';
import { publicLocation } from '@khumbu/shared/locations/location';
import type { Redis } from 'ioredis';
import type { StoredImage } from '../kinds/firmware-update/record.js';
import type { Keys } from '../records/keys.js';
import { repliesOf } from '../records/replies.js';
import { createArtifactRemovals } from './artifact-removals.js';

/** How it came here. `found`: its bytes were there before anything was known of it. */
export type Arrival = 'fetched' | 'upload' | 'folder';

export interface ArtifactSource {
  readonly by: Arrival;
  /** Without user, password, query and fragment; of a file: its name. */
  readonly from: string;
  /** When it was last found there; milliseconds since 1970. */
  readonly at: number;
}

export interface Artifact {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly md5?: string;
  readonly addedAt: number;
  readonly firstUsedAt?: number;
  readonly lastUsedAt?: number;
  /** Updates that it was given to. */
  readonly uses: number;
  /** What those would have fetched, and did not. */
  readonly bytesSaved: number;
  readonly isBrought: boolean;
  /** The latest ones first. */
  readonly sources: readonly ArtifactSource[];
  readonly stations: readonly string[];
  readonly stationCount: number;
}

const SOURCES_KEPT = 20;
const STATIONS_KEPT = 2000;

interface Change {
  readonly keys: Keys;
  readonly ops: string[][];
}

export const isSha256 = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** The commands that make a record of it, unless there is one. Pure. */
function held(keys: Keys, { sha256, sizeBytes }: StoredImage, at: number): string[][] {
  const [hash, sources, stations] = [
    keys.artifact(sha256),
    keys.artifactSources(sha256),
    keys.artifactStations(sha256),
  ];
  return [
    ['HSET', hash, 'sizeBytes', String(sizeBytes)],
    ['PERSIST', hash],
    ['PERSIST', sources],
    ['PERSIST', stations],
    ['ZADD', keys.artifacts, 'NX', String(at), sha256],
  ];
}

/** Pure. */
function cameFrom(keys: Keys, sha256: string, { by, from, at }: ArtifactSource): string[][] {
  const sources = keys.artifactSources(sha256);
  return [
    ['ZADD', sources, String(at), JSON.stringify([by, from])],
    ['ZREMRANGEBYRANK', sources, '0', String(-SOURCES_KEPT - 1)],
  ];
}

/** Whether an image can come from there: what an update takes out of the depot came to it another way. */
export const isElsewhere = (location: string): boolean => artifactOf(location) === undefined;

/** The forms in which an image is kept, each a file of its own. */
const filesOf = ({ asCame, ...image }: StoredImage): StoredImage[] => [image, ...(asCame ? [asCame] : [])];

interface ObtainedFrom {
  readonly location: string;
  /** What came over the network for it. */
  readonly fetchedBytes: number;
  /** MD5 of its files by their SHA-256, where it is known. */
  readonly md5s?: ReadonlyMap<string, string> | undefined;
  readonly at: number;
}

/** Of the commit that ends a fetch with this image. */
export function noteObtained(
  { keys, ops }: Change,
  image: StoredImage,
  { location, fetchedBytes, md5s, at }: ObtainedFrom,
): void {
  const from = publicLocation(location);
  for (const file of filesOf(image)) {
    ops.push(...held(keys, file, at));
    const md5 = md5s?.get(file.sha256);
    if (md5 !== undefined) ops.push(['HSET', keys.artifact(file.sha256), 'md5', md5]);
    if (isElsewhere(location)) ops.push(...cameFrom(keys, file.sha256, { by: 'fetched', from, at }));
  }
  if (fetchedBytes > 0) ops.push(['HINCRBY', keys.artifact(image.sha256), 'fetched', String(fetchedBytes)]);
}

/** Of the commit that gives an update this image. Its bytes are here: if its record was just removed, it is listed again until they are found gone. */
export function noteGiven({ keys, ops }: Change, image: StoredImage, station: string, at: number): void {
  const { sha256, asCame, sizeBytes } = image;
  const hash = keys.artifact(sha256);
  const stations = keys.artifactStations(sha256);
  for (const file of filesOf(image)) ops.push(...held(keys, file, at));
  ops.push(
    ['HINCRBY', hash, 'given', String(asCame?.sizeBytes ?? sizeBytes)],
    ['HINCRBY', hash, 'uses', '1'],
    ['HSETNX', hash, 'firstUsedAt', String(at)],
    ['HSET', hash, 'lastUsedAt', String(at)],
    ['ZADD', stations, String(at), station],
    ['ZREMRANGEBYRANK', stations, '0', String(-STATIONS_KEPT - 1)],
  );
}

/** An image that was brought in by hand. */
export interface BroughtArtifact {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly md5: string;
  readonly by: Exclude<Arrival, 'fetched'>;
  /** The name of the file, or the location it stands for, as it may be shown. */
  readonly from: string;
  /** Under which updates find it, see `broughtKey`. */
  readonly locationKey?: string;
}

export type ArtifactRecords = ReturnType<typeof createArtifactRecords>;

function readSource([member = '', at]: readonly (string | undefined)[]): ArtifactSource {
  const [by, from] = JSON.parse(member) as [Arrival, string];
  return { by, from, at: Number(at) };
}

const pairs = (flat: readonly string[]): string[][] =>
  flat.flatMap((member, index) => (index % 2 === 0 ? [[member, flat[index + 1] ?? '']] : []));

/** Of those that are listed, in the order of `ids`; `mostStations`: how many of each are named. */
async function loadArtifacts(
  redis: Redis,
  keys: Keys,
  ids: readonly string[],
  mostStations: number,
): Promise<Artifact[]> {
  const pipeline = redis.pipeline();
  for (const id of ids) {
    pipeline
      .hgetall(keys.artifact(id))
      .zscore(keys.artifacts, id)
      .sismember(keys.broughtArtifacts, id)
      .zrevrange(keys.artifactSources(id), '0', '-1', 'WITHSCORES')
      .zrevrange(keys.artifactStations(id), '0', String(mostStations - 1))
      .zcard(keys.artifactStations(id));
  }
  const replies = await repliesOf<unknown[]>(pipeline);
  return ids.flatMap((sha256, index) => {
    const [fields, score, brought, sources, stations, stationCount] = replies.slice(index * 6) as [
      Record<string, string>,
      string | null,
      number,
      string[],
      string[],
      number,
    ];
    if (score === null || fields.sizeBytes === undefined) return [];
    const number = (name: string): number => Number(fields[name] ?? 0);
    const date = (name: 'firstUsedAt' | 'lastUsedAt') => (fields[name] === undefined ? {} : { [name]: number(name) });
    return [
      {
        sha256,
        sizeBytes: number('sizeBytes'),
        ...(fields.md5 === undefined ? {} : { md5: fields.md5 }),
        addedAt: Number(score),
        ...date('firstUsedAt'),
        ...date('lastUsedAt'),
        uses: number('uses'),
        bytesSaved: Math.max(0, number('given') - number('fetched')),
        isBrought: brought === 1,
        // Version 0.1.0 noted the depot itself.
        sources: pairs(sources)
          .map(readSource)
          .filter(({ from }) => isElsewhere(from)),
        stations,
        stationCount,
      },
    ];
  });
}

export function createArtifactRecords(redis: Redis, keys: Keys, now: () => number) {
  const load = (ids: readonly string[], mostStations: number): Promise<Artifact[]> =>
    loadArtifacts(redis, keys, ids, mostStations);

  const run = async (commands: readonly string[][]): Promise<void> => {
    const transaction = redis.multi();
    for (const [name = '', ...args] of commands) transaction.call(name, ...args);
    await repliesOf(transaction);
  };

  return {
    async find(sha256: string, mostStations = STATIONS_KEPT): Promise<Artifact | undefined> {
      return (await load([sha256], mostStations))[0];
    },
    load,
    /** The newest first; `beyond`: those behind this place. */
    async page(
      limit: number,
      mostStations: number,
      beyond?: { readonly addedAt: number; readonly sha256: string },
    ): Promise<Artifact[]> {
      const max = beyond === undefined ? '+inf' : String(beyond.addedAt);
      const isBeyond = (id: string, score: number): boolean =>
        beyond === undefined || score < beyond.addedAt || (score === beyond.addedAt && id < beyond.sha256);
      const found: string[] = [];
      for (let skip = 0; found.length < limit; skip += limit) {
        const some = pairs(
          await redis.zrevrangebyscore(keys.artifacts, max, '-inf', 'WITHSCORES', 'LIMIT', skip, limit),
        );
        found.push(...some.filter(([id = '', score]) => isBeyond(id, Number(score))).map(([id = '']) => id));
        if (some.length < limit) break;
      }
      return load(found.slice(0, limit), mostStations);
    },
    /** All that are listed. */
    listed: (): Promise<string[]> => redis.zrange(keys.artifacts, '0', '-1'),
    /** Those that were brought in by hand: nothing could fetch them again. */
    brought: async (): Promise<ReadonlySet<string>> => new Set(await redis.smembers(keys.broughtArtifacts)),
    /** Its bytes are here. Safe to repeat. */
    found: (image: StoredImage, at: number, sources: readonly ArtifactSource[] = []): Promise<void> =>
      run([...held(keys, image, at), ...sources.flatMap((source) => cameFrom(keys, image.sha256, source))]),
    /** It was brought in by hand, and its bytes are here. Safe to repeat. */
    bring: ({ md5, by, from, locationKey, ...image }: BroughtArtifact): Promise<void> =>
      run([
        ...held(keys, image, now()),
        ...cameFrom(keys, image.sha256, { by, from, at: now() }),
        ['HSET', keys.artifact(image.sha256), 'md5', md5],
        ['SADD', keys.broughtArtifacts, image.sha256],
        ...(locationKey === undefined ? [] : [['HSET', keys.broughtLocations, locationKey, image.sha256]]),
      ]),
    /** The image that was brought in for a location. */
    async broughtFor(locationKey: string): Promise<StoredImage | undefined> {
      const sha256 = await redis.hget(keys.broughtLocations, locationKey);
      const found = sha256 === null ? undefined : (await load([sha256], 0))[0];
      return found && { sha256: found.sha256, sizeBytes: found.sizeBytes };
    },
    /** By their keys, the SHA-256 of what was brought in for locations. */
    broughtLocations: (): Promise<Record<string, string>> => redis.hgetall(keys.broughtLocations),
    ...createArtifactRemovals(redis, keys, now),
  };
}
