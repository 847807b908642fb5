/** Room that downloads under way will still take: two that fit one after the other must not starve each other. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { Sidecar } from './part-file.js';

/** A part nobody has written to for so long belongs to nobody. */
const ALIVE_MS = 60_000;

/** Where a download stands in line: by when it began, by name where that is the same. */
export interface Place {
  readonly startedAt: number;
  readonly name: string;
}

/** Total order, so that of two that ask at once exactly one is first. Pure. */
export const isBefore = (one: Place, other: Place): boolean =>
  one.startedAt === other.startedAt ? one.name < other.name : one.startedAt < other.startedAt;

/** `undefined`: gone meanwhile, or being written. */
async function readSidecar(path: string): Promise<Partial<Sidecar> | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Partial<Sidecar>;
  } catch (error) {
    if (hasCode(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function stillToCome(folder: string, name: string, own: Place, now: number): Promise<number> {
  const sidecar = await readSidecar(join(folder, `${name}.json`));
  if (sidecar?.total === undefined || sidecar.startedAt === undefined || sidecar.closed) return 0;
  if (!isBefore({ startedAt: sidecar.startedAt, name }, own)) return 0;
  try {
    const { size, mtimeMs } = await stat(join(folder, `${name}.part`));
    return now - mtimeMs < ALIVE_MS ? Math.max(0, sidecar.total - size) : 0;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0;
    throw error;
  }
}

/** Bytes that downloads before `own` will still write, as far as their sizes are known. */
export async function bytesPromised(folder: string, own: Place, now: number): Promise<number> {
  let sum = 0;
  for (const file of await readdir(folder)) {
    if (file.endsWith('.json')) sum += await stillToCome(folder, file.slice(0, -'.json'.length), own, now);
  }
  return sum;
}
