/**
 * The file a download grows in: `<folder>/<key>.<generation>.part`, beside it a sidecar `.json` with what is needed to
 * go on. Every run writes a file (an inode) of its own, and one file only ever holds bytes of one representation.
 *
 * There is no lock. A run resumes from the file of an earlier run: by rename when that run had closed it, else by copying,
 * because its process may be frozen, not dead. Then it removes the earlier files. A writer that wakes up later writes to a
 * file without a name, detects that, and fails with `superseded`; it can change neither the newer run's file nor a published
 * image. The last run to start wins.
 */
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '@khumbu/shared/runtime/folders';
import { FetchError } from '@khumbu/steps/firmware-update/fetch-error';
import type { ImageFile } from '@khumbu/steps/firmware-update/image-ports';
import type { Labels } from '@khumbu/transfer/labels';
import { type OpenOptions, TAIL_BYTES, type Validators } from '@khumbu/transfer/port';
import { ImageWriter } from '../writing/image-writer.js';
import { hostBootId, type PartPaths, type Sidecar, unlessSuperseded, writeSidecar } from './sidecar.js';
import type { Reservation } from './space-reservation.js';

/**
 * How much a power cut may cost: a sync begins after so many bytes or so many milliseconds, whichever comes first. A
 * kill costs nothing of what was appended.
 */
const SYNC_BYTES = 16 * 1024 * 1024;
const SYNC_MS = 1000;

type Held = Pick<OpenOptions, 'offset' | 'total' | 'labels'> & { readonly validators: Validators };

/** One generation, open for writing at its end. Not for concurrent use. */
export class PartFile {
  readonly #paths: PartPaths;
  readonly #file: FileHandle;
  readonly #bootId: string;
  readonly #validators: Validators;
  readonly #startedAt: number;
  readonly labels: Labels;
  readonly #writer: ImageWriter;
  #total: number | undefined;
  #synced: number;
  #syncedAt = performance.now();
  #syncing: Promise<void> | undefined;
  #failure: unknown;
  #ended = false;

  private constructor(paths: PartPaths, file: FileHandle, sidecar: Sidecar, writer: ImageWriter) {
    this.#paths = paths;
    this.#file = file;
    this.#writer = writer;
    this.#bootId = sidecar.bootId;
    this.#validators = sidecar.validators;
    this.#startedAt = sidecar.startedAt ?? 0;
    this.labels = sidecar.labels ?? {};
    this.#total = sidecar.total;
    this.#synced = sidecar.syncedBytes;
  }

  /** A new, empty file. Its sidecar is there before its first byte. `withMd5`: what it publishes tells that as well. */
  static async create(
    paths: PartPaths,
    validators: Validators,
    total: number | undefined,
    labels: Labels = {},
    withMd5 = false,
  ): Promise<PartFile> {
    const sidecar = { validators, labels, bootId: hostBootId(), syncedBytes: 0, closed: false, startedAt: Date.now() };
    const whole: Sidecar = total === undefined ? sidecar : { ...sidecar, total };
    await writeSidecar(paths.sidecar, whole);
    try {
      const file = await open(paths.part, 'wx');
      return new PartFile(paths, file, whole, new ImageWriter(file, paths.part, withMd5));
    } catch (error) {
      await rm(paths.sidecar, { force: true });
      throw error;
    }
  }

  /** The first `size` bytes of an existing file that no other process writes to. */
  static async reopen(
    paths: PartPaths,
    sidecar: Sidecar,
    size: number,
    signal: AbortSignal,
    withMd5 = false,
  ): Promise<PartFile> {
    const file = await open(paths.part, 'r+');
    try {
      await file.truncate(size);
      return new PartFile(paths, file, sidecar, await ImageWriter.behind(file, paths.part, size, signal, withMd5));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get held(): Held {
    const { labels } = this;
    const held = { offset: this.#writer.written, validators: this.#validators, labels };
    return this.#total === undefined ? held : { ...held, total: this.#total };
  }

  get reservation(): Reservation {
    return { startedAt: this.#startedAt, name: basename(this.#paths.part, '.part') };
  }

  /** All that was appended, open for reading; the caller closes it. */
  readBack(): Promise<FileHandle> {
    return unlessSuperseded(open(this.#paths.part, 'r'));
  }

  /** The last bytes that were appended, as `OpenOptions` wants them. */
  async tail(): Promise<Buffer> {
    const length = Math.min(TAIL_BYTES, this.#writer.written);
    const file = await this.readBack();
    try {
      const tail = Buffer.alloc(length);
      const { bytesRead } = await file.read(tail, 0, length, this.#writer.written - length);
      return tail.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /** Learned later than the file was made, e.g. from Content-Range. */
  set total(total: number | undefined) {
    this.#total = total ?? this.#total;
  }

  /** All are with the kernel then: a kill of this process does not lose them. */
  append(bytes: Buffer): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#writer.append(bytes);
    this.#syncInBackground();
  }

  /** Everything written so far survives a power cut after this. */
  async sync(closed = false): Promise<void> {
    await this.#syncing;
    if (this.#failure !== undefined) throw this.#failure;
    await this.#syncNow(closed);
  }

  /** Make it `<imagesFolder>/<sha256>`. The same content may be there already: it is replaced by itself. */
  async publish(imagesFolder: string): Promise<ImageFile> {
    // The last bytes are hashed while the disk writes.
    const written = Promise.all([this.#writer.facts(), this.#file.sync(), this.#syncing]);
    const [facts] = await unlessSuperseded(written);
    if (this.#failure !== undefined) throw this.#failure;
    await this.#end();
    const path = join(imagesFolder, facts.sha256);
    await unlessSuperseded(rename(this.#paths.part, path));
    await Promise.all([imagesFolder, dirname(this.#paths.part)].map(syncFolder));
    // One that a power cut brings back belongs to no part, and is swept.
    await rm(this.#paths.sidecar, { force: true });
    return { path, sizeBytes: this.#writer.written, ...facts };
  }

  /** Keep it for a later run. Safe to repeat, and after `publish` or `discard`. */
  async close(): Promise<void> {
    if (this.#ended) return;
    try {
      await this.sync(true);
    } catch (error) {
      if (!(error instanceof FetchError && error.reason === 'superseded')) throw error;
    } finally {
      await this.#end();
    }
  }

  /** Remove it. Safe to repeat. */
  async discard(): Promise<void> {
    await this.#syncing;
    await this.#end();
    await rm(this.#paths.part, { force: true });
    await rm(this.#paths.sidecar, { force: true });
  }

  async #end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#writer.stop();
    await this.#file.close();
  }

  #syncInBackground(): void {
    const unsynced = this.#writer.written - this.#synced;
    const isLate = unsynced > 0 && performance.now() - this.#syncedAt > SYNC_MS;
    if (this.#syncing || !(isLate || unsynced >= SYNC_BYTES)) return;
    this.#syncing = this.#syncNow(false)
      .catch((error: unknown) => {
        this.#failure = error; // the next append fails with it
      })
      .finally(() => {
        this.#syncing = undefined;
        this.#syncedAt = performance.now();
      });
  }

  async #syncNow(closed: boolean): Promise<void> {
    const size = this.#writer.written;
    await this.#file.datasync();
    // Closed before the sidecar is marked so: from then on another run may write to this file.
    if (closed) await this.#end();
    // Another run may have removed it.
    await unlessSuperseded(stat(this.#paths.part));
    const sidecar = {
      validators: this.#validators,
      labels: this.labels,
      bootId: this.#bootId,
      syncedBytes: size,
      closed,
      startedAt: this.#startedAt,
    };
    await writeSidecar(this.#paths.sidecar, this.#total === undefined ? sidecar : { ...sidecar, total: this.#total });
    this.#synced = size;
  }
}
