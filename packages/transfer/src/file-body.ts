/** A file to be brought. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { UploadBody } from './port.js';

/** Of a file as it is now, whole. Rejects with the system's code. */
export async function fileBody(path: string, contentType: string): Promise<UploadBody> {
  const { size } = await stat(path);
  return { size, contentType, open: (start = 0) => createReadStream(path, { start, highWaterMark: 256 * 1024 }) };
}
