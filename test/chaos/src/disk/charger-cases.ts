/** The disk of the (simulated) stations is full. */
import { readdir } from 'node:fs/promises';
import { makeImage } from '@khumbu/test-support/firmware';
import { UNSIGNED } from '@khumbu/test-support/statuses';
import {
  askLogs,
  askUpdate,
  type DiskCase,
  type DiskWorld,
  differs,
  NO_PERMISSION,
  PATIENCE_MS,
  seen,
  wrongEnd,
} from './world.js';

const SAYS_WHERE = /SIMULATED_STATIONS_DIR/;

/** No end is invented: the update waits, says for what, and goes on by itself. */
async function updateWaits(world: DiskWorld): Promise<string[]> {
  const name = 'full-charger';
  const { disks, origin, depot } = world;
  const location = `${origin.serve('/charger.bin', makeImage(100_000, name).bytes)}${NO_PERMISSION}`;
  const station = await world.station(name);
  await disks.chargers.fill(0);
  const faults: string[] = [];
  try {
    await askUpdate(station, 1, location);
    const waits = await seen(world, 'firmware', name, 1, ({ waitingFor }) => waitingFor?.startsWith('error') ?? false);
    if (!SAYS_WHERE.test(waits.waitingFor ?? '')) faults.push(`its reason does not help: ${waits.waitingFor}`);
  } finally {
    await disks.chargers.free();
  }
  await station.awaitStatus(1, 'Installed', PATIENCE_MS);
  faults.push(...differs(name, station.statusNames(1), UNSIGNED));
  const installs = (await depot.charger(name))?.installCount;
  if (installs !== 1) faults.push(`${installs} installs`);
  const files = await readdir(disks.chargers.path, { recursive: true });
  const torn = files.filter((file) => file.includes('tmp.'));
  if (torn.length > 0) faults.push(`${torn.length} files of failed writes were left`);
  return faults;
}

async function logsFail(world: DiskWorld): Promise<string[]> {
  const name = 'full-charger-logs';
  const station = await world.station(name);
  await world.disks.chargers.fill(0);
  const faults: string[] = [];
  try {
    await askLogs(station, 1, `s3://khumbu/logs/${name}/archive`);
    await station.awaitStatus(1, 'UploadFailure', PATIENCE_MS);
    const end = await seen(world, 'logs', name, 1);
    faults.push(...wrongEnd(end, 'UploadFailure', 'charger_disk_full', SAYS_WHERE));
  } finally {
    await world.disks.chargers.free();
  }
  await askLogs(station, 2, `s3://khumbu/logs/${name}/archive`);
  await station.awaitStatus(2, 'Uploaded', PATIENCE_MS);
  return faults;
}

export const CHARGER_CASES: readonly DiskCase[] = [
  { name: 'the disk of a station is full when it is to install', run: updateWaits },
  { name: 'the disk of a station is full when its logs are wanted', run: logsFail },
];
