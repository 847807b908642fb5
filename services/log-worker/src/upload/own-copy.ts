/** The copy of an archive that the depot keeps for itself, in its object store, beside the way to the target. */
import { type FileHandle, open } from 'node:fs/promises';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Brought, UploadBody } from '@khumbu/transfer/port';

export interface OwnCopy {
  readonly bucket: string;
  readonly key: string;
  /** It is there already. */
  readonly isKept: () => Promise<boolean>;
  /** Durable when it resolves; nothing of it is in the store before. Safe to repeat. */
  readonly begin: () => Promise<void>;
  /** It is in the store, whole. Safe to repeat. */
  readonly keep: (stored: { readonly bytes: number; readonly etag: string; readonly sha256?: string }) => Promise<void>;
}

export interface CopyInput {
  /** Absent: none is kept. */
  readonly copy?: OwnCopy;
  /** An error of the own copy: it does not change how the upload ends. */
  readonly onCopyError?: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Work on the copy, whose failure does not change how the upload ends. What was aborted is no failure. */
export async function aside({ onCopyError, signal }: CopyInput, work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!signal.aborted) onCopyError?.(error);
  });
}

/** So long it may go on once the target has answered: the outcome, and a place of the worker, wait for it. */
const AFTER_TARGET_MS = 3600_000;

export type BringCopy = (body: Pick<UploadBody, 'size' | 'open'>, signal: AbortSignal) => Promise<Brought>;

async function keepCopy(file: FileHandle, copy: OwnCopy, bring: BringCopy, signal: AbortSignal): Promise<void> {
  if (await copy.isKept()) return;
  await copy.begin();
  const { size } = await file.stat();
  const read = () => file.createReadStream({ start: 0, highWaterMark: 256 * 1024, autoClose: false });
  const { bytes, object } = await bring({ size, open: read }, signal);
  if (object) await copy.keep({ bytes, ...object });
}

/**
 * `work` with a spooled archive, and beside it the copy of the same file: neither changes how the other ends. The file may be renamed
 * or removed by `work`. Settles as `work` does, when the copy has ended too: a slow store that goes on is waited for, however the target
 * answered, for an hour; one that is silent ends the copy by itself (`stallMs` of the object store).
 */
export async function besideCopy<T>(
  input: CopyInput & Required<Pick<CopyInput, 'copy'>>,
  path: string,
  bring: BringCopy,
  work: () => Promise<T>,
): Promise<T> {
  const { copy, signal } = input;
  const file = await open(path);
  try {
    const over = new AbortController();
    const copying = aside(input, keepCopy(file, copy, bring, AbortSignal.any([signal, over.signal])));
    try {
      return await work();
    } finally {
      const late = new CodedError(
        'COPY_TOO_SLOW',
        'the copy was not in the store an hour after the target had answered',
      );
      const timer = setTimeout(() => over.abort(late), AFTER_TARGET_MS);
      await copying;
      clearTimeout(timer);
    }
  } finally {
    await file.close();
  }
}
