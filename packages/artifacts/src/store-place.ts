/** Images in the depot's object store, of which the spool of each ota-worker has copies. */
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { isSha256 } from '@khumbu/operations/artifacts/artifact-records';
import type { ArtifactPlace } from './place.js';

export const KEPT_BELOW = 'firmware/sha256/';
/** Object metadata with the SHA-256 the object was put for. */
export const SHA256_METADATA = 'khumbu-sha256';

export const keyOf = (sha256: string): string => `${KEPT_BELOW}${sha256}`;

type Objects = Pick<ObjectStore, 'stat' | 'list' | 'read' | 'putFile' | 'remove'>;

export function storePlace(objects: Objects, bucket: string): ArtifactPlace {
  return {
    obstacle: async () => undefined,
    async find(sha256, signal) {
      const found = await objects.stat(bucket, keyOf(sha256), signal);
      return found && { sha256, sizeBytes: found.bytes, at: found.lastModified.getTime() };
    },
    async list(signal) {
      const found = await objects.list(bucket, KEPT_BELOW, signal);
      return found.flatMap(({ key, bytes, lastModified }) => {
        const sha256 = key.slice(KEPT_BELOW.length);
        return isSha256(sha256) ? [{ sha256, sizeBytes: bytes, at: lastModified.getTime() }] : [];
      });
    },
    read: (sha256, range, signal) => objects.read({ bucket, key: keyOf(sha256), ...range }, signal),
    async add(path, { sha256 }, signal) {
      const contentType = 'application/octet-stream';
      const metadata = { [SHA256_METADATA]: sha256 };
      await objects.putFile({ bucket, key: keyOf(sha256), path, contentType, metadata, signal });
    },
    remove: (sha256, signal) => objects.remove(bucket, keyOf(sha256), signal),
  };
}
