/** A log archive in the object store: what is noted of it, and whether an object is still that archive. Pure. */

/** Object metadata that tells whose archive an object is. */
export const OPERATION_METADATA = 'khumbu-operation';
/** Object metadata with the SHA-256 of the content; absent where the object was sent in parts before that was known. */
export const SHA256_METADATA = 'khumbu-sha256';

/** Object metadata with the size of the content in bytes; absent as the SHA-256, and of what earlier versions brought. */
export const BYTES_METADATA = 'khumbu-bytes';

/** The archive as it was when the upload ended. */
export interface StoredArchive {
  readonly bucket: string;
  readonly key: string;
  /** What the store made of the content; another content has another one. */
  readonly etag: string;
  /** Lower-case hex. Absent when a worker found the archive of another one, sent in parts. */
  readonly sha256?: string;
}

/** What the store says of an object. */
export interface ObjectSeen {
  readonly bytes: number;
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Whether the object is the archive of this operation, and its content as it was. Of records of version 0.1.0, which note
 * no more, its mark and its size count.
 */
export function isArchiveOf(
  record: { readonly id: string; readonly sizeBytes?: number; readonly archive?: StoredArchive },
  seen: ObjectSeen,
): boolean {
  const { id, sizeBytes, archive } = record;
  if (seen.metadata[OPERATION_METADATA] !== id) return false;
  if (sizeBytes !== undefined && sizeBytes !== seen.bytes) return false;
  if (archive === undefined) return true;
  const noted = seen.metadata[SHA256_METADATA];
  return (
    archive.etag === seen.etag && (noted === undefined || archive.sha256 === undefined || noted === archive.sha256)
  );
}
