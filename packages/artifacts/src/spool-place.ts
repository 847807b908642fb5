/** Images in a spool folder that all ota-workers share. */
import { createReadStream } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { isSha256 } from '@khumbu/operations/artifacts/artifact-records';
import { ifExists } from '@khumbu/shared/runtime/errors';
import { makeFolder, syncFolder } from '@khumbu/shared/runtime/folders';
import type { ArtifactPlace, HeldBytes } from './place.js';

const READ_BYTES = 256 * 1024;

const imagesFolder = (spoolDir: string): string => join(spoolDir, 'images');

/** `obstacle`: as in `ArtifactPlace`; ota-workers have none. */
export function spoolPlace(
  spoolDir: string,
  obstacle: ArtifactPlace['obstacle'] = async () => undefined,
): ArtifactPlace {
  const folder = imagesFolder(spoolDir);
  const pathOf = (sha256: string): string => {
    if (!isSha256(sha256)) throw new TypeError('an image is named by its SHA-256');
    return join(folder, sha256);
  };
  const find = async (sha256: string): Promise<HeldBytes | undefined> => {
    const found = await ifExists(stat(pathOf(sha256)));
    return found && { sha256, sizeBytes: found.size, at: found.mtimeMs };
  };
  return {
    obstacle,
    find,
    async list() {
      const names = (await ifExists(readdir(folder))) ?? [];
      const found: HeldBytes[] = [];
      for (const name of names.filter(isSha256)) {
        const held = await find(name);
        if (held) found.push(held);
      }
      return found;
    },
    async read(sha256, { offset, length }, signal): Promise<Readable> {
      const end = offset + length - 1;
      return createReadStream(pathOf(sha256), { start: offset, end, highWaterMark: READ_BYTES, signal });
    },
    async add(path, { sha256 }) {
      await makeFolder(folder);
      await rename(path, pathOf(sha256));
      await syncFolder(folder);
    },
    async remove(sha256) {
      await rm(pathOf(sha256), { force: true });
      if (await ifExists(stat(folder))) await syncFolder(folder);
    },
  };
}
