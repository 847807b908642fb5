/** Where the images of the depot lie for every ota-worker, by their SHA-256. */
import type { Readable } from 'node:stream';

export interface HeldBytes {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** When they came, or were wanted last, as far as the place knows; milliseconds since 1970. */
  readonly at: number;
}

export interface ByteRange {
  readonly offset: number;
  /** At least one. */
  readonly length: number;
}

/** All may be called again, and reject with what the file system or the object store says. */
export interface ArtifactPlace {
  /** Why this process does not see what the ota-workers see; `undefined`: it does. */
  readonly obstacle: () => Promise<string | undefined>;
  readonly find: (sha256: string, signal: AbortSignal) => Promise<HeldBytes | undefined>;
  readonly list: (signal: AbortSignal) => Promise<readonly HeldBytes[]>;
  /** Fails, or ends early, when the bytes are lost meanwhile, and may send more: the reader counts them. */
  readonly read: (sha256: string, range: ByteRange, signal: AbortSignal) => Promise<Readable>;
  /** Take over a file of the staging folder that is durable and has this SHA-256. */
  readonly add: (path: string, image: Pick<HeldBytes, 'sha256' | 'sizeBytes'>, signal: AbortSignal) => Promise<void>;
  /** What is not there counts as removed. */
  readonly remove: (sha256: string, signal: AbortSignal) => Promise<void>;
}
