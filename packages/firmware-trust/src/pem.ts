/** PEM entries that hold one DER sequence each, as certificates and revocation lists do. */
import { pemInvalid, readPemEntries } from '@khumbu/shared/runtime/pem';
import { derAt, TAG } from './der.js';

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
export function readPem(
  text: string,
  labels: readonly string[],
  most = Number.POSITIVE_INFINITY,
): { name: string; der: Buffer }[] {
  return readPemEntries(text, { labels, most }).map(({ name, bytes: der }) => {
    checkWhole(name, der);
    return { name, der };
  });
}
