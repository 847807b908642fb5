/**
 * Which spool folder this is. ota-workers name theirs and tell the name in Redis, so that another process, on whichever
 * host, can tell whether its `SPOOL_DIR` is the one that they share.
 */
import { randomUUID } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Keys } from '@khumbu/operations/records/keys';
import { hasCode, ifExists } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import type { Redis } from 'ioredis';

const NAME = 'spool-id';
/** The hash lives as long as a process tells; a folder that was not told for so long has no images any more. */
const TOLD_S = 7 * 24 * 3600;
/** Field of the hash: the folder that the records of images are of. No name of a folder. */
const OWNER = 'images';

const readId = async (spoolDir: string): Promise<string | undefined> => {
  const text = (await ifExists(readFile(join(spoolDir, NAME), 'utf8')))?.trim();
  return text === '' ? undefined : text;
};

/** Of two that name it at once the first wins. */
async function nameSpool(spoolDir: string): Promise<string> {
  await makeFolder(spoolDir);
  const known = await readId(spoolDir);
  if (known !== undefined) return known;
  const own = join(spoolDir, `${NAME}.${randomUUID()}`);
  const file = await open(own, 'wx');
  try {
    await file.writeFile(`${randomUUID()}\n`);
    await file.sync();
    await link(own, join(spoolDir, NAME));
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    await file.close();
    await rm(own, { force: true });
  }
  return (await readId(spoolDir)) ?? nameSpool(spoolDir);
}

/** For ota-workers: at the start and at intervals. Resolves with 0: a sweep that removes nothing. */
export async function tellSpool(
  redis: Redis,
  keys: Pick<Keys, 'spools'>,
  spoolDir: string,
  now: number,
): Promise<number> {
  const id = await nameSpool(spoolDir);
  await redis.hset(keys.spools, id, String(Math.round(now)));
  await redis.expire(keys.spools, TOLD_S);
  return 0;
}

/**
 * For ota-workers: whether the records of images are of this folder, so that what is not in it is gone. Not so where another folder
 * was told before: the disk that the images are on is not mounted now, and under its name there is an empty folder. After a
 * week without the other one it counts as lost.
 */
export async function ownsImages(
  redis: Redis,
  keys: Pick<Keys, 'spools'>,
  spoolDir: string,
  now: number,
): Promise<boolean> {
  const id = await readId(spoolDir);
  if (id === undefined) return false;
  const { [OWNER]: owner, ...told } = await redis.hgetall(keys.spools);
  if (owner === id) return true;
  const others = owner === undefined ? Object.keys(told).filter((other) => other !== id) : [owner];
  if (others.some((other) => now - Number(told[other] ?? 0) < TOLD_S * 1000)) return false;
  await redis.hset(keys.spools, OWNER, id);
  return true;
}

/** Why what is put into this folder would not be seen by ota-workers; `undefined`: it would. */
export async function spoolObstacle(
  redis: Redis,
  keys: Pick<Keys, 'spools'>,
  spoolDir: string,
): Promise<string | undefined> {
  const id = await readId(spoolDir);
  if (id === undefined) return 'no ota-worker has used the SPOOL_DIR of this gateway yet';
  if ((await redis.hexists(keys.spools, id)) === 1) return undefined;
  return 'the SPOOL_DIR of this gateway is not the one of the ota-workers';
}
