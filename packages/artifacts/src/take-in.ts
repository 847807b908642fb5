/**
 * Take in an image that somebody brings by hand: the checks of a download, and the same place and record at the end. The
 * bytes are never held in memory, and never seen under the name of an image before they are whole, checked and durable.
 */
import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { verifySignature } from '@khumbu/firmware-trust/signature';
import type { ArtifactRecords, BroughtArtifact } from '@khumbu/operations/artifacts/artifact-records';
import { CodedError, hasCode, ifExists } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import type { ArtifactPlace } from './place.js';

export type TakeInCode =
  | 'ARTIFACT_TOO_LARGE'
  | 'ARTIFACT_TOO_SMALL'
  /** Fewer bytes came than were announced. */
  | 'ARTIFACT_CUT'
  | 'ARTIFACT_HASH_MISMATCH'
  | 'ARTIFACT_SIGNATURE_BAD'
  | 'ARTIFACT_NO_SPACE'
  /** It was deleted at the same moment. */
  | 'ARTIFACT_REMOVED';

/** Messages hold no secret. */
export class TakeInError extends CodedError {
  declare readonly code: TakeInCode;
  constructor(code: TakeInCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
  }
}

export interface TakeInDeps {
  readonly place: Pick<ArtifactPlace, 'add' | 'find'>;
  readonly records: Pick<ArtifactRecords, 'find' | 'bring' | 'settled' | 'beginRemoval' | 'endRemoval'>;
  /** Its folder `incoming` is used: in the shared spool, on the file system of the images. */
  readonly spoolDir: string;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly allowPkcs1: boolean;
  /** Bytes of its file system that others will still need; none by default. */
  readonly reservedBytes?: () => Promise<number>;
}

export interface Brought extends Pick<BroughtArtifact, 'by' | 'from' | 'locationKey'> {
  readonly body: AsyncIterable<Uint8Array>;
  /** As it was announced, if it was. */
  readonly sizeBytes?: number | undefined;
  /** What it has to be, lower-case hex. */
  readonly sha256?: string | undefined;
  /** As in an update; whether the certificate is trusted is judged by the updates that name it. */
  readonly signed?: { readonly certificatePem: string; readonly signatureBase64: string } | undefined;
}

export interface TakenIn {
  readonly sha256: string;
  readonly md5: string;
  readonly sizeBytes: number;
  /** The depot did not hold it before. */
  readonly isNew: boolean;
}

const FOLDER = 'incoming';
/** What is not written to for so long has no process any more. */
const ABANDONED_MS = 24 * 3600_000;

const tooLarge = (maxBytes: number): TakeInError =>
  new TakeInError('ARTIFACT_TOO_LARGE', `it is larger than MAX_FIRMWARE_BYTES, which is ${maxBytes}`);

function noSpace(error: unknown): unknown {
  return hasCode(error, 'ENOSPC', 'EDQUOT')
    ? new TakeInError('ARTIFACT_NO_SPACE', 'no space is left in SPOOL_DIR', { cause: error })
    : error;
}

async function assertFits(folder: string, { sizeBytes = 0 }: Brought, deps: TakeInDeps): Promise<void> {
  if (sizeBytes > deps.maxBytes) throw tooLarge(deps.maxBytes);
  const { bavail, bsize } = await statfs(folder);
  const missing = sizeBytes + ((await deps.reservedBytes?.()) ?? 0) - bavail * bsize;
  if (sizeBytes > 0 && missing > 0)
    throw new TakeInError('ARTIFACT_NO_SPACE', `SPOOL_DIR lacks ${missing} bytes for it`);
}

type Received = Omit<TakenIn, 'isNew'>;

async function receive(file: FileHandle, { body }: Brought, maxBytes: number, signal: AbortSignal): Promise<Received> {
  const [sha256, md5] = [createHash('sha256'), createHash('md5')];
  let sizeBytes = 0;
  for await (const piece of body) {
    signal.throwIfAborted();
    if (sizeBytes + piece.length > maxBytes) throw tooLarge(maxBytes);
    for (let at = 0; at < piece.length; )
      at += (await file.write(piece, at, piece.length - at, sizeBytes + at)).bytesWritten;
    sizeBytes += piece.length;
    sha256.update(piece);
    md5.update(piece);
  }
  signal.throwIfAborted();
  await file.sync();
  return { sha256: sha256.digest('hex'), md5: md5.digest('hex'), sizeBytes };
}

async function check(path: string, received: Received, brought: Brought, deps: TakeInDeps, signal: AbortSignal) {
  const { sizeBytes, sha256 } = received;
  if (brought.sizeBytes !== undefined && brought.sizeBytes !== sizeBytes)
    throw new TakeInError('ARTIFACT_CUT', `${sizeBytes} of ${brought.sizeBytes} bytes came`);
  if (sizeBytes < deps.minBytes)
    throw new TakeInError('ARTIFACT_TOO_SMALL', `it has ${sizeBytes} bytes, fewer than MIN_FIRMWARE_BYTES`);
  if (brought.sha256 !== undefined && brought.sha256 !== sha256)
    throw new TakeInError('ARTIFACT_HASH_MISMATCH', `its SHA-256 is ${sha256}`);
  if (brought.signed === undefined) return;
  const { allowPkcs1 } = deps;
  const verdict = await verifySignature({ ...brought.signed, sha256, scratchDir: dirname(path), allowPkcs1, signal });
  if (!verdict.ok) throw new TakeInError('ARTIFACT_SIGNATURE_BAD', `its signature does not hold: ${verdict.reason}`);
}

async function publish(path: string, received: Received, brought: Brought, deps: TakeInDeps, signal: AbortSignal) {
  const { records, place } = deps;
  const { by, from, locationKey } = brought;
  const { sha256 } = received;
  const isNew = (await records.find(sha256, 0)) === undefined;
  await records.settled(sha256, signal);
  await place.add(path, received, signal);
  await records.bring({ ...received, by, from, ...(locationKey === undefined ? {} : { locationKey }) });
  // A removal may have begun since, and have ended before there was a record again.
  if (await place.find(sha256, signal)) return isNew;
  const mark = await records.beginRemoval(sha256, randomUUID());
  if (mark !== undefined) await records.endRemoval(sha256, mark);
  throw new TakeInError('ARTIFACT_REMOVED', 'it was deleted as it came');
}

/**
 * Resolves when the depot holds it. Rejects with `TakeInError`, what the body or the file system fails with, what the object
 * store says, or the signal's reason; then nothing is left of it. Safe to repeat, to abort and to kill at any time.
 */
export async function takeIn(deps: TakeInDeps, brought: Brought, signal: AbortSignal): Promise<TakenIn> {
  const folder = join(deps.spoolDir, FOLDER);
  const path = join(folder, `${randomUUID()}.part`);
  try {
    await makeFolder(folder);
    await assertFits(folder, brought, deps);
    const file = await open(path, 'wx');
    let received: Received;
    try {
      received = await receive(file, brought, deps.maxBytes, signal);
    } finally {
      await file.close();
    }
    await check(path, received, brought, deps, signal);
    return { ...received, isNew: await publish(path, received, brought, deps, signal) };
  } catch (error) {
    throw noSpace(error);
  } finally {
    await rm(path, { force: true });
  }
}

/** Removes what killed processes left. `now` in milliseconds since 1970; resolves with the number of files. Safe to repeat. */
export async function sweepIncoming(spoolDir: string, now: number): Promise<number> {
  const folder = join(spoolDir, FOLDER);
  let removed = 0;
  for (const name of (await ifExists(readdir(folder))) ?? []) {
    const found = await ifExists(stat(join(folder, name)));
    if (!found || now - found.mtimeMs < ABANDONED_MS) continue;
    await rm(join(folder, name), { force: true });
    removed += 1;
  }
  return removed;
}
