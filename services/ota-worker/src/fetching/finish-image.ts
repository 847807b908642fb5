/** All bytes are there: see that they are an image, take off what was put on them on their way, and publish it. */
import type { FileHandle } from 'node:fs/promises';
import { FetchError } from '@khumbu/steps/firmware-update/fetch-error';
import type { FinishedImage } from '@khumbu/steps/firmware-update/image-ports';
import { BEGIN_BYTES, isWebPage } from '@khumbu/transfer/labels';
import { type CodedFile, codingToRemove, removeCoding } from '@khumbu/transfer/transport-coding';
import { PartFile } from './part-file.js';
import type { PartPaths } from './sidecar.js';

export interface FinishOptions {
  /** For what is decoded. */
  readonly paths: PartPaths;
  readonly imagesFolder: string;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  readonly withMd5?: boolean | undefined;
}

export const tooLarge = (maxBytes: number): FetchError =>
  new FetchError(false, 'too_large', `the image is larger than ${maxBytes} bytes`);

/** Another try may find the file that was still being made. */
function assertNotTooSmall(sizeBytes: number, minBytes: number): void {
  if (sizeBytes === 0) throw new FetchError(true, 'empty', 'the image has no bytes');
  if (sizeBytes < minBytes)
    throw new FetchError(true, 'too_small', `the image has ${sizeBytes} bytes, fewer than MIN_FIRMWARE_BYTES`);
}

async function beginOf(file: FileHandle): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(BEGIN_BYTES), 0, BEGIN_BYTES, 0);
  return buffer.subarray(0, bytesRead);
}

async function beginAgain(part: PartFile): Promise<Buffer> {
  const file = await part.readBack();
  try {
    return await beginOf(file);
  } finally {
    await file.close();
  }
}

/** The decoded file; `undefined`: it is of no coding that must be taken off. */
async function decoded(coded: CodedFile, { paths, maxBytes, withMd5 }: FinishOptions): Promise<PartFile | undefined> {
  const coding = await codingToRemove(coded);
  if (coding === undefined) return undefined;
  const part = await PartFile.create(paths, {}, undefined, {}, withMd5);
  try {
    const isDone = await removeCoding(coded, coding, (piece) => {
      if (part.held.offset + piece.length > maxBytes) throw tooLarge(maxBytes);
      part.append(piece);
    });
    if (isDone) return part;
    await part.discard();
    return undefined;
  } catch (error) {
    await part.discard();
    throw error;
  }
}

/**
 * Publish what `part` holds. Throws `FetchError`: `empty`, `too_small`, `too_large`; `TransferError`: `content_encoding`; then `part` is as
 * it was. Safe to repeat until it resolves.
 */
export async function finishImage(part: PartFile, options: FinishOptions): Promise<FinishedImage> {
  const { minBytes, imagesFolder, signal } = options;
  const sizeBytes = part.held.offset;
  if (part.labels.coding === undefined) assertNotTooSmall(sizeBytes, minBytes);
  const file = await part.readBack();
  let image = part;
  let begin: Buffer;
  try {
    begin = await beginOf(file);
    const plain = await decoded({ file, sizeBytes, begin, labels: part.labels, signal }, options);
    if (plain) {
      image = plain;
      begin = await beginAgain(plain);
    }
  } finally {
    await file.close();
  }
  try {
    assertNotTooSmall(image.held.offset, minBytes);
    const published = await image.publish(imagesFolder);
    const webPage = isWebPage(part.labels, begin) ? { webPage: true as const } : {};
    return { ...published, ...webPage, ...(image === part ? {} : { asCame: await part.publish(imagesFolder) }) };
  } catch (error) {
    if (image !== part) await image.discard();
    throw error;
  }
}
