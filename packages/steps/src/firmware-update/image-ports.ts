/** Ports of the steps of an update: fetching, keeping and reading images. */
import type { SignatureOptions, SignatureVerdict } from '@khumbu/firmware-trust/signature';
import type { StoredImage } from '@khumbu/operations/kinds/firmware-update/record';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { Validators } from '@khumbu/transfer/port';

/** Facts of an image file. */
export interface ImageFacts {
  /** Lower-case hex. */
  readonly sha256: string;
  /** Lower-case hex, where it was asked for. */
  readonly md5?: string;
  /** Where its metadata block begins, if it has one. */
  readonly metadataAt?: number;
}

/** An image in the spool. */
export interface ImageFile extends ImageFacts {
  /** `<spoolDir>/images/<sha256>`, durable. */
  readonly path: string;
  readonly sizeBytes: number;
}

export interface FinishedImage extends ImageFile {
  /** It is plainly a web page: an image only if a signature says so. */
  readonly webPage?: true;
  /** The file before a coding was taken off that it seemed to have been sent with. */
  readonly asCame?: ImageFile;
}

/** How a download ends; it rejects with `FetchError`. */
export type Downloaded =
  | (FinishedImage & Validators & { readonly kind: 'fetched' })
  | {
      readonly kind: 'unchanged';
      /** The origin began to send it all the same. */
      readonly sentAnyway?: true;
    };

type SignatureQuestion = Pick<SignatureOptions, 'certificatePem' | 'signatureBase64' | 'allowPkcs1'>;

/** What is known of a file is believed as long as nothing has touched it. */
export interface ReadAnew {
  /** Believed only as of a read within the last minute: media change what nobody touches. Default: false. */
  readonly anew?: boolean;
}

export interface ImageChecks {
  /** A fetch has just written this file and found this. */
  remember(path: string, facts: ImageFacts): Promise<void>;
  verdict(path: string, question: SignatureQuestion, signal: AbortSignal): Promise<SignatureVerdict>;
  /** Whether the whole file, as it is now, has this SHA-256. */
  matches(path: string, sha256: string, signal: AbortSignal, how?: ReadAnew): Promise<boolean>;
  /** The flag in its metadata block. */
  connectorsFlag(path: string, signal: AbortSignal): Promise<boolean | undefined>;
}

export interface ImageStore {
  /** Make an image that was fetched into the spool readable for all. Safe to repeat. */
  keep(image: StoredImage, signal: AbortSignal): Promise<void>;
  /** A local file with the image. Rejects with `IMAGE_MISSING` when it is lost. */
  open(image: StoredImage, signal: AbortSignal, how?: ReadAnew): Promise<string>;
  has(image: StoredImage, signal: AbortSignal): Promise<boolean>;
}

/** As `open`; `undefined` when it is lost. */
export async function openUnlessLost(
  images: ImageStore,
  image: StoredImage,
  signal: AbortSignal,
  how?: ReadAnew,
): Promise<string | undefined> {
  try {
    return await images.open(image, signal, how);
  } catch (error) {
    if (hasCode(error, 'IMAGE_MISSING')) return undefined;
    throw error;
  }
}
