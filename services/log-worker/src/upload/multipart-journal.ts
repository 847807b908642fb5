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
import type { SharedJournal } from './shared-journal.js';
import { logsDir, spooledNames } from './spool-file.js';

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

/** The uploads of an operation that were begun by workers with this spool and are not over. */
export async function journalOf(spoolDir: string, operationId: string): Promise<MultipartUpload[]> {
  const names = (await spooledNames(spoolDir)).filter((name) => operationOf(name) === operationId);
  const found = await Promise.all(names.map((name) => readEntry(join(logsDir(spoolDir), name))));
  return found.filter((upload) => upload !== undefined);
}

export interface SweepJournalDeps {
  readonly spoolDir: string;
  /** What workers with another spool have noted. */
  readonly shared?: Pick<SharedJournal, 'all' | 'remove'>;
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
export async function sweepJournal(deps: SweepJournalDeps): Promise<number> {
  const { spoolDir, shared, objectStore, isOpen, log } = deps;
  const ended = new Set<string>();
  const end = async (operationId: string, upload: MultipartUpload): Promise<void> => {
    try {
      await objectStore.abortUpload(upload);
      ended.add(upload.uploadId);
    } catch (error) {
      if (!(error instanceof StoreError) || error.retryable) throw error;
      log.warn({ operationId, reason: describeError(error) }, 'parts of an upload stay in the object store');
    }
  };
  for (const name of await spooledNames(spoolDir)) {
    const operationId = operationOf(name);
    if (operationId === undefined || (await isOpen(operationId))) continue;
    const path = join(logsDir(spoolDir), name);
    const upload = await readEntry(path);
    if (upload) await end(operationId, upload);
    await rm(path, { force: true });
  }
  for (const noted of (await shared?.all()) ?? []) {
    if (await isOpen(noted.operationId)) continue;
    if (!ended.has(noted.upload.uploadId)) await end(noted.operationId, noted.upload);
    await shared?.remove(noted);
  }
  return ended.size;
}
