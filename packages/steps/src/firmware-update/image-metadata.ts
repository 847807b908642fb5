/**
 * Whether an image keeps connectors usable while it is installed. A signed image says so in a text block inside it; an
 * unsigned one in the fragment of its location.
 */
import { open } from 'node:fs/promises';

const END = '===== END METADATA =====';
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
function connectorsFlagOfBlock(text: string): boolean | undefined {
  const end = text.indexOf(END);
  if (end < 0) return undefined;
  for (const line of text.slice(0, end).split(/\r?\n/)) {
    const [key, value] = line.split('=', 2);
    if (key?.trim() === KEY) return flag(value?.trim());
  }
  return undefined;
}

/** From the block that begins at `metadataAt` in an image. */
export async function connectorsFlagOfImage(path: string, metadataAt: number): Promise<boolean | undefined> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, metadataAt);
    return connectorsFlagOfBlock(buffer.toString('utf8', 0, bytesRead));
  } finally {
    await file.close();
  }
}
