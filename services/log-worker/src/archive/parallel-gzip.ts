/**
 * Gzip on several cores. The input is cut into blocks; each is deflated on its own in the thread pool and ends at a
 * byte (sync flush), so that the blocks in order make one plain gzip member (RFC 1952) that any reader accepts.
 */
import { availableParallelism } from 'node:os';
import { Transform, type TransformCallback } from 'node:stream';
import { constants, crc32, deflateRaw } from 'node:zlib';

/** Large enough that starting anew costs no size, small enough to keep memory low. */
const BLOCK_BYTES = 1024 * 1024;

/** RFC 1952, 2.3: no name, no time, system unknown: the same input gives the same bytes. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** RFC 1951, 3.2.6: an empty last block. */
const LAST_BLOCK = Buffer.from([0x03, 0x00]);

export interface GzipOptions {
  /** 1 (fast) to 9 (small). */
  readonly level: number;
  /** Blocks deflated at once; by default as many as there are cores, at most 4. */
  readonly parallel?: number;
  /** A piece was copied: its bytes may be used again. */
  readonly onAbsorbed?: ((piece: Buffer) => void) | undefined;
}

/** Bytes in, one gzip member out. Holds about `parallel` + 1 blocks, whatever the size of the chunks written to it. */
export class ParallelGzip extends Transform {
  private readonly level: number;
  private readonly parallel: number;
  private readonly onAbsorbed: GzipOptions['onAbsorbed'];
  private readonly underWay: Promise<Buffer>[] = [];
  private readonly spare: Buffer[] = [];
  private block: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  private used = 0;
  private checksum = 0;
  private size = 0;

  constructor({ level, parallel = Math.min(4, availableParallelism()), onAbsorbed }: GzipOptions) {
    super({ readableHighWaterMark: BLOCK_BYTES / 4, writableHighWaterMark: BLOCK_BYTES });
    this.level = level;
    this.parallel = parallel;
    this.onAbsorbed = onAbsorbed;
    this.push(HEADER);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.absorb(chunk).then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    this.finish().then(() => done(), done);
  }

  private async absorb(chunk: Buffer): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      const copied = chunk.copy(this.block, this.used, from);
      from += copied;
      this.used += copied;
      if (this.used < BLOCK_BYTES) break;
      this.deflateBlock();
      if (this.underWay.length >= this.parallel) await this.pushOldest();
    }
    this.onAbsorbed?.(chunk);
  }

  private deflateBlock(): void {
    const block = this.block;
    const input = block.subarray(0, this.used);
    this.checksum = crc32(input, this.checksum);
    this.size += input.length;
    const options = { level: this.level, finishFlush: constants.Z_SYNC_FLUSH, chunkSize: 256 * 1024 };
    const deflated = new Promise<Buffer>((resolve, reject) => {
      deflateRaw(input, options, (error, output) => {
        this.spare.push(block);
        if (error) reject(error);
        else resolve(output);
      });
    });
    // Awaited in order; one that fails before its turn must not count as unhandled.
    deflated.catch(() => undefined);
    this.underWay.push(deflated);
    this.block = this.spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.used = 0;
  }

  private async pushOldest(): Promise<void> {
    const output = await this.underWay.shift();
    if (!this.destroyed) this.push(output);
  }

  private async finish(): Promise<void> {
    if (this.used > 0) this.deflateBlock();
    while (this.underWay.length > 0) await this.pushOldest();
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(this.checksum, 0);
    trailer.writeUInt32LE(this.size % 2 ** 32, 4);
    if (!this.destroyed) this.push(Buffer.concat([LAST_BLOCK, trailer]));
  }
}
