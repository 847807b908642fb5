/** PEM entries that hold one DER sequence each, as certificates and revocation lists do. */
import { type PemRules, pemInvalid, readPemEntries } from '@khumbu/shared/runtime/pem';
import { derAt, TAG } from './der.js';

export interface PemEntry {
  /** Which one it is, for messages: `entry 2 (line 31)`. */
  readonly name: string;
  readonly der: Buffer;
}

function checkWhole(name: string, der: Buffer): void {
  try {
    const { tag, bytes } = derAt(der);
    if (tag === TAG.sequence && bytes.length === der.length) return;
  } catch (error) {
    throw pemInvalid(`${name} is not whole: ${error instanceof Error ? error.message : String(error)}`);
  }
  throw pemInvalid(`${name} is not whole, or has something behind its end`);
}

/** As `readPemEntries`; throws `PEM_INVALID` also for an entry that is cut short, or has something behind its end. */
export function readPem(text: string, labels: readonly string[], most?: number): PemEntry[] {
  const rules: PemRules = { labels, ...(most === undefined ? {} : { most }) };
  return readPemEntries(text, rules).map(({ name, bytes: der }) => {
    checkWhole(name, der);
    return { name, der };
  });
}
