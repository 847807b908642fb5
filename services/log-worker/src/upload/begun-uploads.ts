/**
 * Uploads in parts that were begun in the object store, remembered in the spool: a worker that is killed, or cannot reach
 * the store any more, leaves parts there that nobody sees and somebody pays for. One file each.
 */
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { StoreError } from '@khumbu/object-store/store-error';
import { describeError } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import { ifThere } from '@khumbu/shared/runtime/if-there';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { logsDir, spooledNames } from './spool-file.js';

export interface BegunUpload {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}

const NAME = /^([A-Za-z0-9_-]+)\.[0-9a-f]{32}\.begun$/;

function fileOf(spoolDir: string, operationId: string, { uploadId }: BegunUpload): string {
  const hash = createHash('sha256').update(uploadId).digest('hex').slice(0, 32);
  return join(logsDir(spoolDir), `${operationId}.${hash}.begun`);
}

/** Durable when it resolves. */
export async function rememberBegun(spoolDir: string, operationId: string, upload: BegunUpload): Promise<void> {
  await makeFolder(logsDir(spoolDir));
  await writeFile(fileOf(spoolDir, operationId, upload), JSON.stringify(upload), { flush: true });
}

/** An object has been made of it. Safe to repeat. */
export const forgetBegun = (spoolDir: string, operationId: string, upload: BegunUpload): Promise<void> =>
  rm(fileOf(spoolDir, operationId, upload), { force: true });

/** Nothing of an operation is left unfinished in the store. Safe to repeat. */
export async function forgetAllBegun(spoolDir: string, operationId: string): Promise<void> {
  const names = (await spooledNames(spoolDir)).filter((name) => NAME.exec(name)?.[1] === operationId);
  await Promise.all(names.map((name) => rm(join(logsDir(spoolDir), name), { force: true })));
}

/** `undefined`: it was not written to its end, so that no part was sent; or another worker was faster. */
async function readBegun(path: string): Promise<BegunUpload | undefined> {
  const text = await ifThere(readFile(path, 'utf8'));
  try {
    return text === undefined ? undefined : (JSON.parse(text) as BegunUpload);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export interface SweepBegunDeps {
  readonly spoolDir: string;
  readonly objectStore: Pick<ObjectStore, 'abortUpload'>;
  /** Whether the operation may still try to upload. */
  readonly isOpen: (operationId: string) => Promise<boolean>;
  readonly log: Pick<Logger, 'warn'>;
}

/**
 * End what operations left that are over; resolves with how many there were. What the store cannot end now is left for
 * the next time, what it will never end is logged and forgotten. Safe to repeat, also by several workers at once.
 */
export async function sweepBegun({ spoolDir, objectStore, isOpen, log }: SweepBegunDeps): Promise<number> {
  let ended = 0;
  for (const name of await spooledNames(spoolDir)) {
    const operationId = NAME.exec(name)?.[1];
    if (operationId === undefined || (await isOpen(operationId))) continue;
    const path = join(logsDir(spoolDir), name);
    const upload = await readBegun(path);
    try {
      if (upload) {
        await objectStore.abortUpload(upload);
        ended += 1;
      }
    } catch (error) {
      if (!(error instanceof StoreError) || error.retryable) throw error;
      log.warn({ operationId, reason: describeError(error) }, 'parts of an upload stay in the object store');
    }
    await rm(path, { force: true });
  }
  return ended;
}
