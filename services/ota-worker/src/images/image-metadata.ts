/**
 * Whether an image keeps connectors usable while it is installed. A signed image says so in a text block inside it; an
 * unsigned one in the fragment of its location.
 */
import { open } from 'node:fs/promises';

const BEGIN = Buffer.from('===== BEGIN METADATA =====');
const END = '===== END METADATA =====';
const CHUNK_BYTES = 1024 * 1024;
/** Longest block that is read. */
const BLOCK_BYTES = 16 * 1024;
const KEY = 'disable_connectors_during_install';

const flag = (text: string | undefined): boolean | undefined =>
  text === 'false' ? false : text === 'true' ? true : undefined;

/** From the location's fragment, `#disable_connectors_during_install=false`. Pure. */
export function connectorsFlagOfLocation(location: string): boolean | undefined {
  const hash = location.indexOf('#');
  return hash < 0 ? undefined : flag(new URLSearchParams(location.slice(hash + 1)).get(KEY) ?? undefined);
}

/** From the text after the begin mark: `key=value` lines. Pure. */
export function connectorsFlagOfBlock(text: string): boolean | undefined {
  const end = text.indexOf(END);
  if (end < 0) return undefined;
  for (const line of text.slice(0, end).split(/\r?\n/)) {
    const [key, value] = line.split('=', 2);
    if (key?.trim() === KEY) return flag(value?.trim());
  }
  return undefined;
}

/** Look for the block in a whole image. Reads in pieces; abortable. */
export async function connectorsFlagOfImage(path: string, signal: AbortSignal): Promise<boolean | undefined> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    for (let at = 0; ; at += CHUNK_BYTES - BEGIN.length) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, at);
      const found = buffer.subarray(0, bytesRead).indexOf(BEGIN);
      if (found >= 0) {
        const block = Buffer.alloc(BLOCK_BYTES);
        const read = await file.read(block, 0, BLOCK_BYTES, at + found + BEGIN.length);
        return connectorsFlagOfBlock(block.toString('utf8', 0, read.bytesRead));
      }
      if (bytesRead < CHUNK_BYTES) return undefined;
    }
  } finally {
    await file.close();
  }
}
