/**
 * Memory that is free and at hand. A virtual machine gives its free memory back to the host within seconds, and gets it again page by page
 * when a file is written: 500 MB then take 0.7 s more, for whoever is first behind a pause (Linux' free page reporting).
 */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const PIECE = Buffer.alloc(1024 * 1024);

/** Before each of those that are compared: as much as it will write goes through the page cache once. */
export function warmMemory(dir: string, bytes: number): void {
  const path = join(dir, 'warm');
  const file = openSync(path, 'w');
  try {
    for (let written = 0; written < bytes; written += PIECE.length) writeSync(file, PIECE);
  } finally {
    closeSync(file);
    rmSync(path);
  }
}
