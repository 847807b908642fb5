/** What is stored beside a part of a download so that another run can resume it. Replaced as a whole, by rename. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode, ifExists } from '@khumbu/shared/runtime/errors';
import type { PlacedIdentity } from '@khumbu/shared/runtime/process-identity';
import { FetchError } from '@khumbu/steps/firmware-update/fetch-error';
import type { Labels } from '@khumbu/transfer/labels';
import type { Validators } from '@khumbu/transfer/port';

export interface Sidecar {
  readonly validators: Validators;
  readonly total?: number;
  /** The labels of its response. */
  readonly labels?: Labels;
  /** Of the host: in the same boot all of the file counts, after another only `syncedBytes`. */
  readonly bootId: string;
  /** Bytes that survive a power cut. */
  readonly syncedBytes: number;
  /** The writer has closed the file and will never write to it again. */
  readonly closed: boolean;
  /** The process that writes to the file; absent: written by an older version, or there is no way to tell. */
  readonly writer?: PlacedIdentity;
  /** When this file was begun or taken over; milliseconds since 1970. */
  readonly startedAt?: number;
}

export interface PartPaths {
  readonly part: string;
  readonly sidecar: string;
}

export const hostBootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

export const newPaths = (folder: string, key: string): PartPaths => {
  const base = join(folder, `${key}.${randomUUID()}`);
  return { part: `${base}.part`, sidecar: `${base}.json` };
};

/** A file of ours is gone: only a later run removes it. */
const goneMeansSuperseded = (error: unknown): unknown =>
  hasCode(error, 'ENOENT')
    ? new FetchError(true, 'superseded', 'another run has taken this download over', { cause: error })
    : error;

/** Settles as work on our own files does; that one of them is gone means `superseded`. */
export async function unlessSuperseded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw goneMeansSuperseded(error);
  }
}

/** Replaced by rename, so a reader never sees half of it. */
export async function writeSidecar(path: string, sidecar: Sidecar): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w');
  try {
    try {
      await file.writeFile(JSON.stringify(sidecar));
      await file.datasync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await unlessSuperseded(rename(temporary, path));
}

/** `undefined`: there is none, or it is not whole, as a power cut may leave it. */
export async function readSidecar(path: string): Promise<Sidecar | undefined> {
  const text = await ifExists(readFile(path, 'utf8'));
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as Partial<Sidecar> | null;
    const isWhole = typeof value?.bootId === 'string' && Number.isSafeInteger(value.syncedBytes) && value.validators;
    return isWhole ? (value as Sidecar) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
