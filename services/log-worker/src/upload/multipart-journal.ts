/**
 * Multipart uploads that were initiated in the object store, one file each in the spool. A worker that is killed, or loses
 * the store for good, leaves parts there that no listing of objects shows and that are paid for.
 */
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { StoreError } from '@khumbu/object-store/store-error';
import { describeError, ifExists } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { MultipartUpload } from '@khumbu/transfer/port';
import { logsDir, removeSpoolFiles, spooledNames } from './spool-file.js';

/** The suffix is that of earlier versions: their entries are read, too. */
const NAME = /^([A-Za-z0-9_-]+)\.[0-9a-f]{32}\.begun$/;
const operationOf = (name: string): string | undefined => NAME.exec(name)?.[1];

function fileOf(spoolDir: string, operationId: string, { uploadId }: MultipartUpload): string {
  const hash = createHash('sha256').update(uploadId).digest('hex').slice(0, 32);
  return join(logsDir(spoolDir), `${operationId}.${hash}.begun`);
}

/** Durable when it resolves. */
export async function addToJournal(spoolDir: string, operationId: string, upload: MultipartUpload): Promise<void> {
  await makeFolder(logsDir(spoolDir));
  await writeFile(fileOf(spoolDir, operationId, upload), JSON.stringify(upload), { flush: true });
}

/** The upload was completed or aborted. Safe to repeat. */
export const removeFromJournal = (spoolDir: string, operationId: string, upload: MultipartUpload): Promise<void> =>
  rm(fileOf(spoolDir, operationId, upload), { force: true });

/** No upload of the operation is unfinished in the store. Safe to repeat. */
export const clearJournal = (spoolDir: string, operationId: string): Promise<number> =>
  removeSpoolFiles(spoolDir, (name) => operationOf(name) === operationId);

/** `undefined`: not written to its end, so that no part was sent; or another worker removed it first. */
async function readEntry(path: string): Promise<MultipartUpload | undefined> {
  const text = await ifExists(readFile(path, 'utf8'));
  try {
    return text === undefined ? undefined : (JSON.parse(text) as MultipartUpload);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export interface SweepJournalDeps {
  readonly spoolDir: string;
  readonly objectStore: Pick<ObjectStore, 'abortUpload'>;
  /** Whether the operation may still try to upload. */
  readonly isOpen: (operationId: string) => Promise<boolean>;
  readonly log: Pick<Logger, 'warn'>;
}

/**
 * Abort what ended operations left in the store; resolves with the number of uploads. What cannot be aborted now keeps its
 * entry for the next sweep; what the store refuses for good is logged and its entry removed. Safe to repeat, also by
 * several workers at once.
 */
export async function sweepJournal({ spoolDir, objectStore, isOpen, log }: SweepJournalDeps): Promise<number> {
  let aborted = 0;
  for (const name of await spooledNames(spoolDir)) {
    const operationId = operationOf(name);
    if (operationId === undefined || (await isOpen(operationId))) continue;
    const path = join(logsDir(spoolDir), name);
    const upload = await readEntry(path);
    try {
      if (upload) {
        await objectStore.abortUpload(upload);
        aborted += 1;
      }
    } catch (error) {
      if (!(error instanceof StoreError) || error.retryable) throw error;
      log.warn({ operationId, reason: describeError(error) }, 'parts of an upload stay in the object store');
    }
    await rm(path, { force: true });
  }
  return aborted;
}
