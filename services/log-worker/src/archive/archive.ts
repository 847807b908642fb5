/**
 * One station's logs as one tar.gz, streamed: `<source>/<source>-0001.log`, ... and `manifest.json` as the last member.
 * Tar needs sizes first, so a source is cut into members that fit into memory. The same records and manifest give the
 * same bytes.
 */
import { pipeline, type Readable } from 'node:stream';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { partsOf } from '@khumbu/station-drivers/log-parts';
import type { LogSource, LogType } from '@khumbu/station-drivers/port';
import { type Pack, pack } from 'tar-stream';
import { membersOf } from './members.js';
import { ParallelGzip } from './parallel-gzip.js';

/** The manifest of the archive, beside the counts of its sources. */
export interface ArchiveManifest {
  readonly station: string;
  readonly type: LogType;
  /** Bounds as asked, each inclusive; an absent one is open. */
  readonly window: { readonly oldest?: Date; readonly latest?: Date };
  /** Also the time of every member. */
  readonly created: Date;
}

export interface ArchiveInput {
  readonly sources: readonly LogSource[];
  readonly manifest: ArchiveManifest;
  /** Largest member in bytes; 4 MiB by default. */
  readonly memberBytes?: number;
  /** 1 (fast) to 9 (small); 4 by default: no larger than the output of `gzip -6` on logs, in a third of the time. */
  readonly gzipLevel?: number;
  readonly signal?: AbortSignal;
}

interface SourceCount {
  readonly name: string;
  bytes: number;
  records: number;
  members: number;
}

const addEntry = (tar: Pack, name: string, mtime: Date, bytes: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    // The callback comes when the entry has moved on towards the reader: this is the backpressure.
    const entry = tar.entry({ name, mtime, mode: 0o644 }, bytes, (error) => (error ? reject(error) : resolve()));
    entry.on('error', reject);
  });

async function addSource(tar: Pack, source: LogSource, { manifest, memberBytes = 4 * 1024 * 1024 }: ArchiveInput) {
  const count: SourceCount = { name: source.name, bytes: 0, records: 0, members: 0 };
  for await (const part of partsOf(source)) {
    let number = 0;
    // One that breaks ends what reads it.
    const closeWithTar = (): void => void part.stream.destroy();
    tar.once('close', closeWithTar);
    for await (const { bytes, records } of membersOf(part.stream, memberBytes)) {
      number += 1;
      count.members += 1;
      count.bytes += bytes.length;
      count.records += records;
      const name = `${source.name}/${part.name}-${String(number).padStart(4, '0')}.log`;
      await addEntry(tar, name, manifest.created, bytes);
    }
    tar.off('close', closeWithTar);
  }
  return count;
}

async function addAll(tar: Pack, input: ArchiveInput): Promise<void> {
  const { sources, manifest } = input;
  const counts: SourceCount[] = [];
  for (const source of sources) counts.push(await addSource(tar, source, input));
  const text = `${JSON.stringify({ ...manifest, sources: counts }, null, 2)}\n`;
  await addEntry(tar, 'manifest.json', manifest.created, Buffer.from(text));
  tar.finalize();
}

function assertNames(sources: readonly LogSource[]): void {
  const names = sources.map(({ name }) => name);
  if (names.every((name) => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(name)) && new Set(names).size === names.length)
    return;
  throw new CodedError('ARCHIVE_INVALID', 'log sources need different, plain names');
}

/**
 * Begins to read at once, no further than a few members ahead of the reader. An error of any source destroys the
 * archive with that error; an abort with `ABORTED`. However the archive ends, every source is destroyed.
 * Throws `ARCHIVE_INVALID` for source names that cannot be member names.
 */
export function createArchive(input: ArchiveInput): Readable {
  assertNames(input.sources);
  const { sources, signal } = input;
  const tar = pack();
  const archive = new ParallelGzip({ level: input.gzipLevel ?? 4 });
  const fail = (error: Error): void => void archive.destroy(error);
  const onAbort = (): void => fail(new CodedError('ABORTED', 'the archive was aborted', { cause: signal?.reason }));

  const streams = sources.flatMap((source) => ('stream' in source ? [source.stream] : []));
  for (const stream of streams) stream.on('error', fail);
  pipeline(tar, archive, () => {
    signal?.removeEventListener('abort', onAbort);
    for (const stream of streams) stream.destroy();
    tar.destroy();
  });
  signal?.addEventListener('abort', onAbort);
  if (signal?.aborted) onAbort();
  addAll(tar, input).catch((error: unknown) => fail(error instanceof Error ? error : new Error(String(error))));
  return archive;
}
