/** The spool of images: too small, filled by others, read-only, full of images without use. */
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { makeImage } from '@khumbu/test-support/firmware';
import type { Behaviour } from '@khumbu/test-support/origin';
import { UNSIGNED } from '@khumbu/test-support/statuses';
import {
  askUpdate,
  type DiskCase,
  type DiskWorld,
  differs,
  isWaitingForRetry,
  MB,
  NO_PERMISSION,
  PATIENCE_MS,
  seen,
  wrongEnd,
} from './world.js';

const IMAGE = 4 * MB;
const ROOM = 2 * MB;
/** Folders and side files. */
const SLACK = 64 * 1024;
const FREE_SOME = /free|SPOOL_DIR/;

const serve = ({ origin }: DiskWorld, name: string, bytes: number, behaviour: Behaviour = {}): string =>
  `${origin.serve(`/${name}.bin`, makeImage(bytes, name).bytes, behaviour)}${NO_PERMISSION}`;

/** Told to fetch what does not fit, then once more with the space freed. */
function tooSmall(name: string, behaviour: Behaviour): DiskCase['run'] {
  return async (world) => {
    const { disks, depot } = world;
    const location = serve(world, name, IMAGE, behaviour);
    const station = await world.station(name);
    await disks.spool.fill(ROOM);
    const before = await disks.spool.usedBytes();
    const faults: string[] = [];
    await askUpdate(station, 1, location, { retries: 2 });
    await station.awaitStatus(1, 'DownloadFailed', PATIENCE_MS);
    faults.push(...differs(name, station.statusNames(1), ['Downloading', 'DownloadFailed']));
    faults.push(...wrongEnd(await seen(world, 'firmware', name, 1), 'DownloadFailed', 'no_space', FREE_SOME));
    const left = (await disks.spool.usedBytes()) - before;
    if (left > SLACK) faults.push(`${left} bytes of the failed download keep the spool full`);
    await disks.spool.free();
    await askUpdate(station, 2, location);
    await station.awaitStatus(2, 'Installed', PATIENCE_MS);
    faults.push(...differs(name, station.statusNames(2), UNSIGNED));
    if (depot.process('ota-worker-1').deaths > 0) faults.push('the worker died of it');
    return faults;
  };
}

async function freedBetweenTries(world: DiskWorld): Promise<string[]> {
  const name = 'spool-retry';
  const location = serve(world, name, IMAGE);
  const station = await world.station(name);
  await world.disks.spool.fill(ROOM);
  await askUpdate(station, 1, location, { retries: 20 });
  const waits = await seen(world, 'firmware', name, 1, isWaitingForRetry);
  await world.disks.spool.free();
  await station.awaitStatus(1, 'Installed', PATIENCE_MS);
  const faults = differs(name, station.statusNames(1), UNSIGNED);
  if (!waits.history.some(({ reason }) => reason === 'no_space')) faults.push('a failed try is not told as no_space');
  return faults;
}

/** Others write to the disk while the image comes. */
async function filledMeanwhile(world: DiskWorld): Promise<string[]> {
  const name = 'spool-filled';
  const { disks, origin } = world;
  const location = serve(world, name, IMAGE, { bytesPerSecond: 2 * MB });
  const station = await world.station(name);
  await askUpdate(station, 1, location, { retries: 20 });
  await origin.awaitBytes(`/${name}.bin`, MB);
  await disks.spool.fill(0);
  await seen(world, 'firmware', name, 1, isWaitingForRetry);
  const { history } = await seen(world, 'firmware', name, 1, isWaitingForRetry);
  const parts = (await readdir(join(disks.spool.path, 'fetching'))).filter((file) => file.includes('.tmp'));
  await disks.spool.free();
  await station.awaitStatus(1, 'Installed', PATIENCE_MS);
  const faults = differs(name, station.statusNames(1), UNSIGNED);
  if (parts.length > 0) faults.push(`left behind: ${parts.join(', ')}`);
  const reasons = history.flatMap(({ reason }) => reason ?? []);
  if (reasons.some((reason) => reason !== 'no_space')) faults.push(`the tries failed of ${reasons.join(', ')}`);
  return faults;
}

async function readOnly(world: DiskWorld): Promise<string[]> {
  const name = 'spool-read-only';
  const location = serve(world, name, IMAGE);
  const station = await world.station(name);
  await world.disks.spool.readOnly(true);
  const faults: string[] = [];
  try {
    await askUpdate(station, 1, location);
    await station.awaitStatus(1, 'DownloadFailed', PATIENCE_MS);
    const end = await seen(world, 'firmware', name, 1);
    faults.push(...wrongEnd(end, 'DownloadFailed', 'spool_unusable', /EROFS.*SPOOL_DIR/));
  } finally {
    await world.disks.spool.readOnly(false);
  }
  await askUpdate(station, 2, location);
  await station.awaitStatus(2, 'Installed', PATIENCE_MS);
  return [...faults, ...differs(name, station.statusNames(2), UNSIGNED)];
}

/** The spool is a cache: what no update needs any more makes room for what one does. */
async function fullOfOldImages(world: DiskWorld): Promise<string[]> {
  const name = 'spool-old-images';
  const { disks } = world;
  const station = await world.station(name);
  await askUpdate(station, 1, serve(world, `${name}-1`, IMAGE));
  await station.awaitStatus(1, 'Installed', PATIENCE_MS);
  const images = join(disks.spool.path, 'images');
  const age = async (ms: number): Promise<void> => {
    const at = new Date(Date.now() - ms);
    for (const image of await readdir(images)) await utimes(join(images, image), at, at);
  };
  await age(3_600_000);
  await disks.spool.fill(ROOM);
  await askUpdate(station, 2, serve(world, `${name}-2`, IMAGE));
  const end = await seen(world, 'firmware', name, 2);
  await disks.spool.free();
  // The other cases find no image that could make room.
  await age(0);
  if (end.status !== 'Installed') return [`${end.status}: ${JSON.stringify(end.outcome)}`];
  // What is stored is sent a moment later.
  await station.awaitStatus(2, 'Installed', PATIENCE_MS);
  return differs(name, station.statusNames(2), UNSIGNED);
}

/** Each fits, both do not; the space of one that fails serves the other. */
async function twoAtOnce(world: DiskWorld): Promise<string[]> {
  const names = ['spool-pair-1', 'spool-pair-2'];
  const stations = await Promise.all(names.map((name) => world.station(name)));
  await world.disks.spool.fill(IMAGE + 1.5 * MB);
  const locations = names.map((name) => serve(world, name, IMAGE, { bytesPerSecond: 2 * MB }));
  await Promise.all(
    stations.map((station, index) =>
      askUpdate(station, 1, locations[index] ?? '', { retries: 3, retry_interval_s: 0 }),
    ),
  );
  const ends = await Promise.all(names.map((name) => seen(world, 'firmware', name, 1)));
  await world.disks.spool.free();
  const installed = ends.filter(({ status }) => status === 'Installed').length;
  const others = ends.filter(({ status }) => status !== 'Installed');
  const faults = others.flatMap((end) => wrongEnd(end, 'DownloadFailed', 'no_space', FREE_SOME));
  if (installed === 0) faults.push('neither was installed, though each of them fits');
  return faults;
}

export const SPOOL_CASES: readonly DiskCase[] = [
  { name: 'the spool is too small for an image of known size', run: tooSmall('spool-known', {}) },
  {
    name: 'the spool is too small for an image of unknown size',
    short: true,
    run: tooSmall('spool-unknown', { contentLength: false }),
  },
  {
    name: 'the spool is too small for an image of unknown size, without validators',
    run: tooSmall('spool-anonymous', { contentLength: false, etag: 'none', lastModified: false }),
  },
  { name: 'the spool is full and freed between two tries', run: freedBetweenTries },
  { name: 'the spool is filled by others in the middle of a download', run: filledMeanwhile },
  { name: 'the spool is read-only', run: readOnly },
  { name: 'the spool is full of images that no update needs', short: true, run: fullOfOldImages },
  { name: 'two downloads at once that fit only one after the other', run: twoAtOnce },
];
