/** Facts of an image, computed while its bytes are written. */
import { createHash, type Hash } from 'node:crypto';
import type { ImageFacts } from '@khumbu/steps/firmware-update/image-ports';

const BEGIN = Buffer.from('===== BEGIN METADATA =====');
/** Short needles are found many times faster than long ones; this one is rarely there without the rest. */
const NEEDLE = Buffer.from('METADAT');
const NEEDLE_AT = BEGIN.indexOf(NEEDLE);

/** Where the metadata block of an image begins, found in pieces of any size as they come by. Pure. */
export class MarkFinder {
  #seen = 0;
  #rest: Buffer = Buffer.alloc(0);
  #found: number | undefined;

  /** Offset in the image of the first byte after the first begin mark. */
  get found(): number | undefined {
    return this.#found;
  }

  feed(bytes: Buffer): void {
    if (this.#found === undefined) this.#found = this.#acrossPieces(bytes) ?? this.#within(bytes);
    this.#seen += bytes.length;
    if (this.#found !== undefined) return;
    const joined = bytes.length >= BEGIN.length ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#rest = Buffer.from(joined.subarray(Math.max(0, joined.length - (BEGIN.length - 1))));
  }

  #acrossPieces(bytes: Buffer): number | undefined {
    const at = Buffer.concat([this.#rest, bytes.subarray(0, BEGIN.length - 1)]).indexOf(BEGIN);
    return at < 0 ? undefined : this.#seen - this.#rest.length + at + BEGIN.length;
  }

  #within(bytes: Buffer): number | undefined {
    for (let at = bytes.indexOf(NEEDLE); at >= 0; at = bytes.indexOf(NEEDLE, at + 1)) {
      const begin = at - NEEDLE_AT;
      if (begin >= 0 && bytes.subarray(begin, begin + BEGIN.length).equals(BEGIN)) {
        return this.#seen + begin + BEGIN.length;
      }
    }
    return undefined;
  }
}

export class FactFinder {
  readonly #hash = createHash('sha256');
  readonly #md5: Hash | undefined;
  readonly #marks = new MarkFinder();

  constructor(withMd5 = false) {
    if (withMd5) this.#md5 = createHash('md5');
  }

  /** The next bytes. The buffer may be used again. */
  feed(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.#md5?.update(bytes);
    this.#marks.feed(bytes);
  }

  /** Once, at the end. */
  facts(): ImageFacts {
    const metadataAt = this.#marks.found;
    return {
      sha256: this.#hash.digest('hex'),
      ...(this.#md5 === undefined ? {} : { md5: this.#md5.digest('hex') }),
      ...(metadataAt === undefined ? {} : { metadataAt }),
    };
  }
}
