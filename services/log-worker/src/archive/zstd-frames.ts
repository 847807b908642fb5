/**
 * Zstandard (RFC 8878) as frames one after the other, which every reader takes for one file. Each block is compressed in one go, a
 * few milliseconds; others have their turn in between.
 */
import { Transform, type TransformCallback } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Zstd } from '@hpcc-js/wasm-zstd';

/** Large enough that starting anew costs little size, small enough to keep pauses short. */
const BLOCK_BYTES = 1024 * 1024;

export interface ZstdOptions {
  /** 1 (fast) to 9 (small). */
  readonly level: number;
  /** A piece was copied: its bytes may be used again. */
  readonly onAbsorbed?: ((piece: Buffer) => void) | undefined;
}

/** Bytes in, frames out; the same bytes give the same frames, however they are cut. */
export class ZstdFrames extends Transform {
  private readonly level: number;
  private readonly onAbsorbed: ZstdOptions['onAbsorbed'];
  private readonly block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  private used = 0;
  private frames = 0;

  constructor({ level, onAbsorbed }: ZstdOptions) {
    super({ readableHighWaterMark: BLOCK_BYTES / 4, writableHighWaterMark: BLOCK_BYTES });
    this.level = level;
    this.onAbsorbed = onAbsorbed;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.absorb(chunk).then(() => done(), done);
  }

  override _flush(done: TransformCallback): void {
    // An empty input is an empty frame, not an empty file.
    (this.used > 0 || this.frames === 0 ? this.pushFrame() : Promise.resolve()).then(() => done(), done);
  }

  private async absorb(chunk: Buffer): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      const copied = chunk.copy(this.block, this.used, from);
      from += copied;
      this.used += copied;
      if (this.used === BLOCK_BYTES) await this.pushFrame();
      // The block stays full then: nothing more would fit in.
      if (this.destroyed) break;
    }
    this.onAbsorbed?.(chunk);
  }

  private async pushFrame(): Promise<void> {
    const zstd = await Zstd.load();
    await nextTurn();
    if (this.destroyed) return;
    this.push(zstd.compress(this.block.subarray(0, this.used), this.level));
    this.used = 0;
    this.frames += 1;
  }
}
