/** Room for images and archives. */
import { describeError } from '@khumbu/shared/runtime/errors';
import { bytesText } from '../../output/shown.js';
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';
import type { Room, Sight } from '../sight.js';

const { ok, warning, wrong } = about('disk');
const LEAST_BYTES = 256 * 1024 * 1024;
const LEAST_FILES = 1000;

/** `largest`: an image may have so many bytes. Pure. */
export function judgeRoom(path: string, { freeBytes, freeFiles, isWritable, folder }: Room, largest: number): Finding {
  const free = bytesText(freeBytes);
  if (!isWritable)
    return wrong(
      `${folder} cannot be written to by this user`,
      `its owner must be the user of the services: chown ${path}`,
    );
  if (freeBytes < LEAST_BYTES)
    return wrong(`${path} has ${free} left`, 'make room, or name another folder in SPOOL_DIR');
  if (freeFiles < LEAST_FILES)
    return wrong(`${path} has room for ${freeFiles} files`, 'remove files: inodes have run out');
  if (freeBytes < largest)
    return warning(
      `${path} has ${free} left, an image may have ${bytesText(largest)}`,
      'make room, or set MAX_FIRMWARE_BYTES to what images have',
    );
  return ok(`${path}: ${free} left`);
}

export async function lookAtDisk({ otaWorker, up }: Place, sight: Sight): Promise<Finding[]> {
  if (!otaWorker) return [];
  const { MAX_FIRMWARE_BYTES, SPOOL_DIR } = otaWorker;
  const folders = up ? [up.DATA_DIR] : [SPOOL_DIR];
  return folders.map((folder) => {
    try {
      return judgeRoom(folder, sight.roomAt(folder), MAX_FIRMWARE_BYTES);
    } catch (error) {
      return wrong(`${folder}: ${describeError(error)}`, 'name a folder that is there in SPOOL_DIR');
    }
  });
}
