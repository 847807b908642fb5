/** Facts of an image, computed while its bytes are written. */
import { createHash } from 'node:crypto';
import type { ImageFacts } from '@khumbu/steps/firmware-update/image-ports';
import { MarkFinder } from '../images/mark-finder.js';

export class FactFinder {
  readonly #hash = createHash('sha256');
  readonly #marks = new MarkFinder();

  /** The next bytes. The buffer may be used again. */
  feed(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.#marks.feed(bytes);
  }

  /** Once, at the end. */
  facts(): ImageFacts {
    const metadataAt = this.#marks.found;
    return { sha256: this.#hash.digest('hex'), ...(metadataAt === undefined ? {} : { metadataAt }) };
  }
}
