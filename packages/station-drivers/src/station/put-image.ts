/** Bring an image to the station: from where an earlier try stopped, by one at a time, hashed there. */
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { unreachable } from '../pool.js';
import type { FirmwareImage, TransferProgress } from '../port.js';
import type { StationText } from '../station-text.js';
import type { CallResult } from './call.js';
import { StationFailed, type StationProgram } from './station-program.js';

const PIECE_BYTES = 128 * 1024;
const TAKEN_PAUSE_MS = 500;

export interface PutOptions {
  readonly signal: AbortSignal;
  readonly texts: StationText;
  /** Nothing was taken by the station for so long: the try is over. */
  readonly stallMs: number;
  /** For the hash at the end, or of what is there already, which a slow flash makes long. */
  readonly finishMs: number;
  readonly onProgress?: TransferProgress | undefined;
}

/** `have N`: so many bytes are there. `taken`: another worker brings it. */
type Answer = { readonly have: number } | 'done' | 'mismatch' | 'taken';

function answerOf({ code, stdout, stderr }: CallResult, texts: StationText): Answer {
  const said = stdout.toString('latin1').trim();
  const [, bytes] = /^have (\d{1,15})$/.exec(said) ?? [];
  if (code === 0 && bytes !== undefined) return { have: Number(bytes) };
  if (code === 0 && (said === 'done' || said === 'mismatch' || said === 'taken')) return said;
  throw new StationFailed(stderr.trim() === '' ? stdout.toString('utf8') : stderr, texts, 'the image was not taken: ');
}

const asFull = (error: unknown): unknown =>
  error instanceof StationFailed && error.isFull
    ? new CodedError('STATION_FULL', error.message, { cause: error })
    : error;

/** Resolves once it is on its way; the bytes may be overwritten then. Rejects where they are wanted no more. */
const written = (to: Writable, piece: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    const gone = (): void => reject(new Error('its input was closed'));
    to.once('close', gone);
    to.write(piece, (error) => {
      to.off('close', gone);
      if (error) reject(error);
      else resolve();
    });
  });

/** From `offset` to the end, by way of one buffer: what each of many transfers leaves to the garbage collector adds up. */
async function send(
  { path }: FirmwareImage,
  offset: number,
  to: Writable,
  onPiece: (sentBytes: number) => void,
): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  const file = await open(path);
  try {
    for (let at = offset; ; ) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      await written(to, buffer.subarray(0, bytesRead));
      at += bytesRead;
      onPiece(at);
    }
    to.end();
  } finally {
    await file.close();
  }
}

async function append(
  program: StationProgram,
  image: FirmwareImage,
  offset: number,
  { signal, texts, stallMs, finishMs, onProgress }: PutOptions,
): Promise<Answer> {
  const stalled = new AbortController();
  const late = (): void => stalled.abort(unreachable(`the station took nothing for ${stallMs} ms`));
  let timer = setTimeout(late, stallMs);
  const wait = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(late, ms);
  };
  const input = async (to: Writable): Promise<void> => {
    await send(image, offset, to, (sent) => {
      wait(stallMs);
      onProgress?.(sent, image.sizeBytes);
    });
    // All is on its way: now the station writes and hashes.
    wait(finishMs);
  };
  try {
    const args = [image.sha256, String(image.sizeBytes), String(offset)];
    const both = AbortSignal.any([signal, stalled.signal]);
    return answerOf(await program.ask('put', args, { signal: both, timeoutMs: 24 * 3600_000, input }), texts);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Resolves once the image is at the station, whole, synced and hashed there. Rejects with `STATION_UNREACHABLE` (repeat: it
 * goes on from there), `STATION_FULL`, `STATION_FAILED`, and `IMAGE_CHANGED` when what arrives is never what it should be.
 */
export async function putImage(program: StationProgram, image: FirmwareImage, options: PutOptions): Promise<void> {
  const { signal, texts, finishMs, onProgress } = options;
  const look = async (): Promise<Answer> =>
    answerOf(
      await program.ask('put', [image.sha256, String(image.sizeBytes), '-'], { signal, timeoutMs: finishMs }),
      texts,
    );
  try {
    let answer = await look();
    // One is forgiven: a disk that lost its last pages in a power cut, an offset that another worker had moved.
    for (let [mismatches, standstills] = [0, 0]; answer !== 'done'; ) {
      if (mismatches > 1) throw new CodedError('IMAGE_CHANGED', 'the image arrives at the station as another one');
      if (standstills > 1) throw new CodedError('IMAGE_CHANGED', 'the image here is shorter than it should be');
      if (typeof answer === 'object') {
        const next = await append(program, image, Math.min(answer.have, image.sizeBytes), options);
        if (typeof next === 'object' && next.have <= answer.have) standstills += 1;
        if (next === 'mismatch') mismatches += 1;
        answer = next === 'mismatch' ? await look() : next;
      } else {
        await pause(TAKEN_PAUSE_MS, undefined, { signal });
        answer = await look();
      }
    }
    onProgress?.(image.sizeBytes, image.sizeBytes);
  } catch (error) {
    throw asFull(error);
  }
}
