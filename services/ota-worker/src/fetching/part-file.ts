/**
 * The file a download grows in: `<folder>/<key>.<generation>.part`, beside it a sidecar `.json` with what is needed to
 * go on. Every run writes a file (an inode) of its own, and one file only ever holds bytes of one representation.
 *
 * There is no lock. A run resumes from the file of an earlier run: by rename when that run had closed it or its process has
 * certainly ended, else by copying, because its process may be frozen, not dead. Then it removes the earlier files. A writer that
 * wakes up later writes to a file without a name, detects that, and fails with `superseded`; it can change neither the newer run's
 * file nor a published image. The last run to start wins.
 */
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '@khumbu/shared/runtime/folders';
import { identifySelf } from '@khumbu/shared/runtime/process-identity';
import { FetchError } from '@khumbu/steps/firmware-update/fetch-error';
import type { ImageFile } from '@khumbu/steps/firmware-update/image-ports';
import type { Labels } from '@khumbu/transfer/labels';
import { type OpenOptions, TAIL_BYTES, type Validators } from '@khumbu/transfer/port';
import { ImageWriter } from '../writing/image-writer.js';
import { hostBootId, type PartPaths, type Sidecar, unlessSuperseded, writeSidecar } from './sidecar.js';
import type { Reservation } from './space-reservation.js';
import { isSyncDue, LOOK_MS } from './sync-pace.js';

/** What is noted of a run that begins to write. */
export function newRun(): Pick<Sidecar, 'bootId' | 'closed' | 'writer' | 'startedAt'> {
  const writer = identifySelf();
  return { bootId: hostBootId(), closed: false, startedAt: Date.now(), ...(writer === undefined ? {} : { writer }) };
}

type Held = Pick<OpenOptions, 'offset' | 'total' | 'labels'> & { readonly validators: Validators };

/** One generation, open for writing at its end. Not for concurrent use. */
export class PartFile {
  readonly #paths: PartPaths;
  readonly #file: FileHandle;
  /** As it was when this run began. */
  readonly #sidecar: Sidecar;
  readonly #writer: ImageWriter;
  #total: number | undefined;
  #synced: number;
  #syncedAt = performance.now();
  #syncing: Promise<void> | undefined;
  /** The next look whether a sync is due: a line that falls silent leaves nothing at stake. */
  #look: NodeJS.Timeout | undefined;
  #isPublishing = false;
  #failure: unknown;
  #ended = false;

  private constructor(paths: PartPaths, file: FileHandle, sidecar: Sidecar, writer: ImageWriter) {
    this.#paths = paths;
    this.#file = file;
    this.#writer = writer;
    this.#sidecar = sidecar;
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
    const whole: Sidecar = {
      validators,
      labels,
      ...(total === undefined ? {} : { total }),
      ...newRun(),
      syncedBytes: 0,
    };
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

  get labels(): Labels {
    return this.#sidecar.labels ?? {};
  }

  get held(): Held {
    const { labels } = this;
    const held = { offset: this.#writer.written, validators: this.#sidecar.validators, labels };
    return this.#total === undefined ? held : { ...held, total: this.#total };
  }

  get reservation(): Reservation {
    return { startedAt: this.#sidecar.startedAt ?? 0, name: basename(this.#paths.part, '.part') };
  }

  get path(): string {
    return this.#paths.part;
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
    this.#syncWhenDue();
  }

  /** Everything written so far survives a power cut after this. */
  async sync(closed = false): Promise<void> {
    while (this.#syncing) await this.#syncing;
    if (this.#failure !== undefined) throw this.#failure;
    await this.#syncNow(closed);
  }

  /** Make it `<imagesFolder>/<sha256>`. The same content may be there already: it is replaced by itself. */
  async publish(imagesFolder: string): Promise<ImageFile> {
    this.#isPublishing = true;
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
    while (this.#syncing) await this.#syncing;
    await this.#end();
    await rm(this.#paths.part, { force: true });
    await rm(this.#paths.sidecar, { force: true });
  }

  async #end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#look);
    await this.#writer.stop();
    await this.#file.close();
  }

  /** In the background. */
  #syncWhenDue(): void {
    const unsynced = this.#writer.written - this.#synced;
    const isOver = this.#ended || this.#isPublishing || this.#failure !== undefined;
    if (this.#syncing || isOver || unsynced === 0) return;
    if (!isSyncDue(unsynced, performance.now() - this.#syncedAt)) {
      this.#look ??= setTimeout(() => {
        this.#look = undefined;
        this.#syncWhenDue();
      }, LOOK_MS).unref();
      return;
    }
    void this.#syncNow(false).catch((error: unknown) => {
      this.#failure = error; // the next append fails with it
    });
  }

  /** One at a time. */
  #syncNow(closed: boolean): Promise<void> {
    const syncing = this.#writeThrough(closed).finally(() => {
      this.#syncing = undefined;
      this.#syncedAt = performance.now();
      this.#syncWhenDue();
    });
    // Who began it hears of its failure.
    this.#syncing = syncing.catch(() => undefined);
    return syncing;
  }

  async #writeThrough(closed: boolean): Promise<void> {
    const size = this.#writer.written;
    await this.#file.datasync();
    // Closed before the sidecar is marked so: from then on another run may write to this file.
    if (closed) await this.#end();
    // Another run may have removed it.
    await unlessSuperseded(stat(this.#paths.part));
    const total = this.#total === undefined ? {} : { total: this.#total };
    await writeSidecar(this.#paths.sidecar, { ...this.#sidecar, ...total, syncedBytes: size, closed });
    // Its new name as well: else a power cut brings back the one before, and it says less.
    await syncFolder(dirname(this.#paths.sidecar));
    this.#synced = size;
  }
}
