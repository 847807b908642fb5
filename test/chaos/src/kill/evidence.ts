/** What is left of a round when it is quiet, read where it lies: Redis, the spool, the object store, the chargers. */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { unfinishedUploads } from '@khumbu/embedded-run/multipart-uploads';
import { QUEUE_NAMES } from '@khumbu/operations/jobs/expected-job';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import type { EverestModule } from '@khumbu/station-simulator/everest-module';
import type { Asked } from './asking.js';
import type { Stage } from './stage.js';

export const bootsOf = (station: EverestModule): number => station.boots.at(-1)?.number ?? 0;

/** The depot's time and ours may differ by this much. */
const CLOCKS_MS = 2000;

const KIND_OF = { update: 'firmware_update', upload: 'log_upload', reset: 'reset' } as const;

/** The records that came of what was asked, oldest first. */
export async function recordsOf(stage: Stage, asked: Asked): Promise<OperationRecord[]> {
  const all = await stage.store.operationsOf(asked.act.name);
  return all
    .filter(({ kind, createdAt }) => kind === KIND_OF[asked.act.kind] && createdAt >= asked.askedAt - CLOCKS_MS)
    .reverse();
}

/** The state a record was in at that time; `undefined`: it did not exist. */
export function stateAt(record: OperationRecord | undefined, at: number): string | undefined {
  return record?.history.findLast((entry) => entry.at <= at)?.state;
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Files in the spool that are not images which records name, nor what names the spool itself. */
export async function spoolLeftovers(stage: Stage): Promise<string[]> {
  const named = await stage.store.namedImages();
  const files = await filesIn(stage.depot.folders.spool);
  return files.filter(
    (file) => file !== 'spool-id' && !(file.startsWith('images/') && named.has(file.slice('images/'.length))),
  );
}

/** Unfinished uploads in the object store. */
export async function partLeftovers({ depot }: Stage): Promise<string[]> {
  const unfinished = await unfinishedUploads(depot.folders.s3, depot.s3.bucket);
  return unfinished.map(({ key, parts }) => `${key} (${parts.length} parts)`);
}

/** Objects below a prefix of the depot's bucket, as they lie on its disk. */
export async function objectsBelow({ depot }: Stage, prefix: string): Promise<string[]> {
  const files = await filesIn(join(depot.folders.s3, depot.s3.bucket, prefix));
  return files
    .filter((file) => file.endsWith('._S3rver_object'))
    .map((file) => join(depot.folders.s3, depot.s3.bucket, prefix, file));
}

const unzip = promisify<Buffer, Buffer>(gunzip);
/** Why these bytes are no whole archive; `undefined`: they are one. */
export async function archiveFault(bytes: Buffer): Promise<string | undefined> {
  try {
    const tar: Buffer = await unzip(bytes);
    return tar.length > 1024 && tar.subarray(-1024).every((byte) => byte === 0) ? undefined : 'the archive has no end';
  } catch (error) {
    return `the archive is cut: ${String(error)}`;
  }
}
export const readObject = (path: string): Promise<Buffer> => readFile(path);

/** Jobs of any kind, by queue and state. */
async function jobLeftovers({ depot: { redis }, store }: Stage): Promise<string[]> {
  const found: string[] = [];
  for (const queue of QUEUE_NAMES) {
    for (const list of ['wait', 'active', 'paused']) {
      const ids = await redis.lrange(`${store.keys.jobs}:${queue}:${list}`, '0', '-1');
      found.push(...ids.map((id) => `${queue} ${list} ${id}`));
    }
    for (const set of ['delayed', 'prioritized', 'completed', 'failed', 'waiting-children']) {
      const ids = await redis.zrange(`${store.keys.jobs}:${queue}:${set}`, '0', '-1');
      found.push(...ids.map((id) => `${queue} ${set} ${id}`));
    }
  }
  return found;
}

/** Everything that keeps a depot from being quiet. */
export async function unrest(stage: Stage): Promise<string[]> {
  const { store, depot, stations } = stage;
  const open = (await store.loadMany(await store.openIds())).map(
    ({ id, station, state, waitingFor }) =>
      `open: ${station} ${id} ${state}${waitingFor ? ` waiting for ${waitingFor}` : ''}`,
  );
  const untold: string[] = [];
  for (const station of await store.stationsWithOutbox()) {
    const entries = await store.outboxEntries(station);
    untold.push(...entries.map(({ payload }) => `untold: ${station} ${JSON.stringify(payload)}`));
  }
  const busy: string[] = [];
  for (const { station } of stations) {
    const effect = (await depot.charger(station))?.effect;
    if (effect) busy.push(`busy: ${station} with ${effect.step}`);
  }
  const jobs = (await jobLeftovers(stage)).map((job) => `job: ${job}`);
  return [...open, ...untold, ...busy, ...jobs];
}
