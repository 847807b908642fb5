/**
 * Space of the spool that running downloads will still need. Each download reserves its announced size by its sidecar; later
 * ones leave that space free, so that two which fit one after the other do not both fail.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifExists } from '@khumbu/shared/runtime/errors';
import { readSidecar } from './sidecar.js';

/** A part that was not written to for so long has no process any more. */
const ALIVE_MS = 60_000;

/** Reservations are served by start time, and by name where that is the same. */
export interface Reservation {
  readonly startedAt: number;
  readonly name: string;
}

/** A total order: of two that are compared at once exactly one is first. Pure. */
const isBefore = (one: Reservation, other: Reservation): boolean =>
  one.startedAt === other.startedAt ? one.name < other.name : one.startedAt < other.startedAt;

async function bytesToCome(folder: string, name: string, own: Reservation, now: number): Promise<number> {
  const sidecar = await readSidecar(join(folder, `${name}.json`));
  if (sidecar?.total === undefined || sidecar.startedAt === undefined || sidecar.closed) return 0;
  if (!isBefore({ startedAt: sidecar.startedAt, name }, own)) return 0;
  const found = await ifExists(stat(join(folder, `${name}.part`)));
  return found && now - found.mtimeMs < ALIVE_MS ? Math.max(0, sidecar.total - found.size) : 0;
}

/** Of who comes behind all downloads that run. */
export const LAST: Reservation = { startedAt: Number.POSITIVE_INFINITY, name: '' };

/** Bytes that downloads before `own` will still write, as far as their sizes are known. */
export async function reservedBytes(folder: string, own: Reservation, now: number): Promise<number> {
  let sum = 0;
  for (const file of (await ifExists(readdir(folder))) ?? []) {
    if (file.endsWith('.json')) sum += await bytesToCome(folder, file.slice(0, -'.json'.length), own, now);
  }
  return sum;
}
