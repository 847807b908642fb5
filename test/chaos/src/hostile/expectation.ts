/** What an honest reader of a frame would expect of us: written without a look at the product. */
import { LEAVES, type Leaf } from './frames.js';
import { LARGEST_BYTES } from './wild-values.js';

const utf8 = new TextDecoder('utf-8', { fatal: true });
const isNonCharacter = (code: number): boolean => (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe;

/** The text can be a level of a topic: the broker closes the connection of a client that publishes on anything else. */
export function isLevel(level: string): boolean {
  if (level.length === 0 || level.length > 128) return false;
  for (const char of level) {
    const code = char.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0xd800 && code <= 0xdfff)) return false;
    if ('/+#'.includes(char) || isNonCharacter(code)) return false;
  }
  return true;
}

/** The frame's value; `undefined`: it is none. */
export function readFrame(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
}

/** Where the one answer must come, without prefix, and its text; `undefined`: none may come. */
export function answerDue(leaf: Leaf, bytes: Uint8Array, moduleId: string): { to: string; text: string } | undefined {
  const { answer } = LEAVES[leaf];
  if (answer === undefined || bytes.length > LARGEST_BYTES || !isLevel(moduleId)) return undefined;
  const frame = readFrame(bytes) as { headers?: { replyTo?: unknown } } | null | undefined;
  const replyTo = frame && !Array.isArray(frame) ? frame.headers?.replyTo : undefined;
  if (Array.isArray(frame?.headers) || typeof replyTo !== 'string') return undefined;
  const home = `everest_api/1/system/${moduleId}/m2e/reply/`;
  return replyTo.startsWith(home) && isLevel(replyTo.slice(home.length)) ? { to: replyTo, text: answer } : undefined;
}
