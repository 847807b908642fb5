/** Log uploads: the spool of HTTP archives, the object store that refuses, crawls, falls silent or is full. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unfinishedUploads } from '@khumbu/embedded-run/multipart-uploads';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { awaitUntil } from '@khumbu/test-support/events';
import type { S3Behaviour } from '../depot/s3-fault-proxy.js';
import {
  askLogs,
  type DiskCase,
  type DiskWorld,
  differs,
  isWaitingForRetry,
  MB,
  MIB,
  PATIENCE_MS,
  seen,
  wrongEnd,
} from './world.js';

const UPLOADED = ['Uploading', 'Uploaded'];
const CLEAN_MS = 5000;

async function filesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** What is left of uploads: parts in the store, archives in the spool. They go a moment after the last status. */
async function leftovers(world: DiskWorld): Promise<string[]> {
  let left: string[] = [];
  const isEmpty = async (): Promise<boolean> => {
    left = await lying(world);
    return left.length === 0;
  };
  await awaitUntil(isEmpty, CLEAN_MS, 'nothing to be left').catch(() => undefined);
  return left;
}

async function lying({ depot, disks }: DiskWorld): Promise<string[]> {
  const parts = await unfinishedUploads(depot.folders.s3, depot.s3.bucket);
  const archives = await filesIn(join(disks.spool.path, 'logs'));
  return [
    ...parts.map(({ key }) => `parts of ${key} were left in the store`),
    ...archives.map((file) => `${file} was left in the spool`),
  ];
}

interface Trouble {
  readonly name: string;
  /** The station whose logs are asked for; `big` has some megabytes. */
  readonly station?: string;
  readonly location: (world: DiskWorld) => string;
  readonly begin: (world: DiskWorld) => unknown;
  readonly end: (world: DiskWorld) => unknown;
  readonly status: string;
  readonly reason: string;
  readonly message: RegExp;
}

const STATION = '{station}';
/** Below the station's own folder. */
const inStore = ({ name }: { name: string }): string => `s3://khumbu/logs/${STATION}/${name.replaceAll(' ', '-')}`;
const locationFor = (trouble: Trouble, world: DiskWorld, name: string): string =>
  trouble.location(world).replace(STATION, name);

/** It lasts: one final status with a reason, nothing left; when it is over, the next upload succeeds. */
const lasting =
  (trouble: Trouble): DiskCase['run'] =>
  async (world) => {
    const name = trouble.station ?? trouble.name.replaceAll(' ', '-');
    const station = await world.station(name);
    await trouble.begin(world);
    const faults: string[] = [];
    try {
      await askLogs(station, 1, locationFor(trouble, world, name), { retries: 2 });
      await station.awaitStatus(1, trouble.status, PATIENCE_MS);
      faults.push(...differs(name, station.statusNames(1), ['Uploading', trouble.status]));
      const end = await seen(world, 'logs', name, 1);
      faults.push(...wrongEnd(end, trouble.status, trouble.reason, trouble.message));
    } finally {
      await trouble.end(world);
    }
    await askLogs(station, 2, locationFor(trouble, world, name));
    await station.awaitStatus(2, 'Uploaded', PATIENCE_MS);
    faults.push(...differs(name, station.statusNames(2), UPLOADED), ...(await leftovers(world)));
    return faults;
  };

/** It passes while tries are left: the upload ends well. */
const passing =
  (trouble: Trouble): DiskCase['run'] =>
  async (world) => {
    const name = `${trouble.name.replaceAll(' ', '-')}-passing`;
    const station = await world.station(name);
    await trouble.begin(world);
    try {
      // Another object: one that is written over gives its own room.
      await askLogs(station, 1, `${locationFor(trouble, world, name)}-passing`, { retries: 20 });
      await seen(world, 'logs', name, 1, isWaitingForRetry);
    } finally {
      await trouble.end(world);
    }
    await station.awaitStatus(1, 'Uploaded', PATIENCE_MS);
    return [...differs(name, station.statusNames(1), UPLOADED), ...(await leftovers(world))];
  };

const behaviour =
  (how: S3Behaviour) =>
  ({ s3Faults }: DiskWorld): void => {
    s3Faults.behaviour = how;
  };

const SPOOL_FULL: Trouble = {
  name: 'logs spool full',
  location: ({ origin }) => origin.receive('/logs-spool-full'),
  begin: ({ disks }) => disks.spool.fill(100 * MIB),
  end: ({ disks }) => disks.spool.free(),
  status: 'UploadFailure',
  reason: 'spool_full',
  message: /MiB.*SPOOL_DIR/,
};
const SPOOL_READ_ONLY: Trouble = {
  ...SPOOL_FULL,
  name: 'logs spool read-only',
  begin: ({ disks }) => disks.spool.readOnly(true),
  end: ({ disks }) => disks.spool.readOnly(false),
  reason: 'spool_unusable',
  message: /cannot be used.*SPOOL_DIR/,
};
const S3_DOWN: Trouble = {
  name: 's3 refuses connections',
  location: () => inStore({ name: 'down' }),
  begin: ({ s3Proxy }) => s3Proxy.refuse(),
  end: ({ s3Proxy }) => s3Proxy.mend(),
  status: 'UploadFailure',
  reason: 's3_unavailable',
  message: /cannot be used now.*S3_ENDPOINT|ECONNREFUSED/,
};
const answering = (status: number, code: string): Trouble => ({
  ...S3_DOWN,
  name: `s3 answers ${status}`,
  location: () => inStore({ name: `answers-${status}` }),
  begin: behaviour({ status, code }),
  end: behaviour('open'),
  message: new RegExp(String(status)),
});
const S3_DENIES: Trouble = {
  ...answering(403, 'AccessDenied'),
  status: 'PermissionDenied',
  reason: 's3_denied',
  message: /keys/,
};
const S3_SILENT: Trouble = {
  ...answering(0, ''),
  name: 's3 falls silent',
  location: () => inStore({ name: 'silent' }),
  begin: behaviour('silent'),
  message: /no progress/,
};
const S3_FULL: Trouble = {
  ...S3_DOWN,
  name: 's3 disk full',
  location: () => inStore({ name: 'full' }),
  begin: ({ disks }) => disks.s3.fill(0),
  end: ({ disks }) => disks.s3.free(),
  message: /HTTP 5\d\d/,
};
/** Room for the first part alone. */
const S3_FULL_MIDWAY: Trouble = {
  ...S3_FULL,
  name: 's3 disk full midway',
  station: 'big',
  location: () => inStore({ name: 'full-midway' }),
  begin: ({ disks }) => disks.s3.fill(9 * MIB),
  // It may answer, or hang up in the middle of the part.
  message: /HTTP 5\d\d|S3_ENDPOINT/,
};

/**
 * Slow is not broken: an upload that gets on ends well, however long it takes. What lies in the buffers of the system
 * looks like silence; so the line must carry that much within the stall time.
 */
async function crawling(world: DiskWorld): Promise<string[]> {
  const station = await world.station('crawl');
  world.s3Proxy.slow(0.25 * MB);
  try {
    await askLogs(station, 1, 's3://khumbu/logs/crawl/archive');
    await station.awaitStatus(1, 'Uploaded', PATIENCE_MS);
  } finally {
    world.s3Proxy.slow(undefined);
  }
  return [...differs('crawl', station.statusNames(1), UPLOADED), ...(await leftovers(world))];
}

export const LOG_CASES: readonly DiskCase[] = [
  { name: 'no room for an archive in the spool', run: lasting(SPOOL_FULL) },
  { name: 'no room for an archive in the spool, until there is', run: passing(SPOOL_FULL) },
  { name: 'an archive for a read-only spool', run: lasting(SPOOL_READ_ONLY) },
  { name: 'the object store refuses connections', run: lasting(S3_DOWN) },
  { name: 'the object store refuses connections, until it takes them', short: true, run: passing(S3_DOWN) },
  { name: 'the object store answers 503', run: lasting(answering(503, 'SlowDown')) },
  { name: 'the object store answers 500, until it does not', run: passing(answering(500, 'InternalError')) },
  { name: 'the object store answers 403', short: true, run: lasting(S3_DENIES) },
  { name: 'the object store falls silent in an upload', run: lasting(S3_SILENT) },
  { name: 'the object store falls silent, until it answers', run: passing(S3_SILENT) },
  { name: 'the object store crawls', run: crawling },
  { name: 'the disk of the object store is full', run: lasting(S3_FULL) },
  { name: 'the disk of the object store is full, until it is not', run: passing(S3_FULL) },
  { name: 'the disk of the object store fills between two parts', run: lasting(S3_FULL_MIDWAY) },
];
