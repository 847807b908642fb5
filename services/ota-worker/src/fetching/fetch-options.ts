/** What a fetch is given, and how it ends. */
import type { Labels } from '@khumbu/transfer/labels';
import type { TransferContext, Validators } from '@khumbu/transfer/port';

/** A file that a download grows in from now on. Only ever appended to, with bytes of this one content. */
export interface GrowingPart {
  readonly path: string;
  readonly validators: Validators;
  readonly total?: number;
  readonly labels: Labels;
}

export interface FetchOptions extends TransferContext {
  readonly location: string;
  /** Names the download in the spool: `[A-Za-z0-9_-]`. Same key, same content wanted. */
  readonly key: string;
  /** Gets the folders `fetching` and `images`; one file system. */
  readonly spoolDir: string;
  /** Strong validators of the image we already have from this location, as an earlier fetch gave them. */
  readonly known?: Validators;
  readonly maxBytes: number;
  /** Fewer are no image; 1 by default. */
  readonly minBytes?: number;
  /** MD5 as well, in the same pass as SHA-256; false by default. */
  readonly withMd5?: boolean;
  readonly signal: AbortSignal;
  /** After every piece: bytes held and, if known, bytes in all. Must not throw. */
  readonly onProgress?: (bytes: number, total: number | undefined) => void;
  /** The file of a content that can be gone on with; another one follows when it has to begin anew. Must not throw. */
  readonly onPart?: (part: GrowingPart) => void;
  /** The spool lacks so many bytes (`Infinity`: it is not known how many). Resolves with how many were freed. */
  readonly makeRoom?: (bytes: number) => Promise<number>;
}
