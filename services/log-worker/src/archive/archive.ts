/**
 * One station's logs as one compressed tar, streamed: `<source>/<part>-0001.log`, ... and `manifest.json` as the last member.
 * Tar needs sizes first, so a part is cut into members that fit into memory. The same records and manifest give the
 * same bytes: a try after another one sends again only what is not there yet.
 */
import { pipeline, type Readable } from 'node:stream';
import type { Redactor } from '@khumbu/log-redaction/redactor';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { LogSource } from '@khumbu/station-drivers/port';
import { addSource, isStationLost } from './add-source.js';
import { type ArchiveManifest, type ArchiveNote, manifestText, type SourceFacts } from './manifest.js';
import { createMemberBuffers, type MemberBuffers } from './member-buffers.js';
import { redactedNames } from './names.js';
import { ParallelGzip } from './parallel-gzip.js';
import { createTar, type Tar } from './tar.js';
import { ZstdFrames } from './zstd-frames.js';

export type Compression =
  /** 1 (fast) to 9 (small); 6 by default. Level 4 makes a journal a quarter larger, in a quarter of the time. */
  | { readonly format: 'gzip'; readonly level?: number }
  /** 1 (fast) to 9 (small); 3 by default. */
  | { readonly format: 'zstd'; readonly level?: number };

/** A member that is not the station's; a large one is cut into several. */
export interface ExtraMember {
  readonly name: string;
  readonly open: () => AsyncIterable<Buffer | string>;
}

export interface ArchiveInput {
  /** None at all: `leftOut` says why. */
  readonly sources: readonly LogSource[];
  readonly manifest: ArchiveManifest;
  /** Of what it finds nothing gets into the archive; absent: everything is left as it is. */
  readonly redactor?: Redactor | undefined;
  readonly extra?: readonly ExtraMember[];
  readonly leftOut?: readonly ArchiveNote[];
  /** Largest member in bytes; 1 MiB by default: three are held. */
  readonly memberBytes?: number;
  /** gzip by default. */
  readonly compression?: Compression;
  /** No other try follows: a station that is lost leaves what was read, and a line in the manifest. */
  readonly isLastTry?: boolean;
  readonly signal?: AbortSignal;
  /** Told at least once a member how many records have been read. */
  readonly onRecord?: (records: number) => void;
  /** Told once, when all sources have been read and before the archive ends: the names of those that failed. */
  readonly onSourcesRead?: (failed: readonly string[]) => void;
}

const MEMBER_BYTES = 1024 * 1024;

/** In members of `memberBytes` at most, a chunk more: each is whole in memory. One that is empty is a member too. */
async function addExtra(tar: Tar, { name, open }: ExtraMember, memberBytes: number): Promise<void> {
  let all: Buffer[] = [];
  let bytes = 0;
  let isAny = false;
  const flush = async (): Promise<void> => {
    await tar.add(name, Buffer.concat(all));
    [all, bytes, isAny] = [[], 0, true];
  };
  for await (const chunk of open()) {
    const piece = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    all.push(piece);
    bytes += piece.length;
    if (bytes >= memberBytes) await flush();
  }
  if (bytes > 0 || !isAny) await flush();
}

async function addAll(
  tar: Tar,
  input: ArchiveInput,
  buffers: MemberBuffers,
  isFatal: (error: unknown) => boolean,
): Promise<void> {
  const { sources, manifest, redactor, extra = [], leftOut = [], memberBytes = MEMBER_BYTES } = input;
  const { onRecord, onSourcesRead, isLastTry = false } = input;
  const facts: SourceFacts[] = [];
  const notes: ArchiveNote[] = [...leftOut];
  const failures: unknown[] = [];
  let recordsRead = 0;
  const onRecords = (records: number): void => {
    recordsRead += records;
    onRecord?.(recordsRead);
  };
  for (const source of sources) {
    const added = await addSource(source, { tar, memberBytes, buffers, redactor, isFatal, onRecords });
    facts.push(added.facts);
    notes.push(...added.notes);
    if (added.failure !== undefined) failures.push(added.failure);
  }
  // Nothing but a manifest would pass for the logs. What the depot knows is worth sending when no other try may have more.
  const isWorthless = extra.length === 0 || !isLastTry;
  if (isWorthless && failures.length > 0 && failures.length === sources.length) throw failures[0];
  for (const member of extra) await addExtra(tar, member, memberBytes);
  onSourcesRead?.(facts.flatMap(({ name, failed }) => (failed ? [name] : [])));
  // Programs at the station say what they like, and may quote what they were given.
  const told = redactor ? notes.map((note) => ({ ...note, text: redactedNames(note.text, redactor) })) : notes;
  const { members } = tar;
  const text = manifestText({ manifest, sources: facts, members, notes: told, redaction: redactor?.counts() });
  await tar.add('manifest.json', Buffer.from(text));
  tar.stream.finalize();
}

function assertNames(sources: readonly LogSource[], extra: readonly ExtraMember[]): void {
  const names = [...sources.map(({ name }) => name), ...extra.map(({ name }) => name)];
  const isPlain = (name: string) => name.split('/').every((part) => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(part));
  if (sources.every(({ name }) => !name.includes('/')) && names.every(isPlain) && new Set(names).size === names.length)
    return;
  throw new CodedError('ARCHIVE_INVALID', 'log sources need different, plain names');
}

const compressorOf = ({ format, level }: Compression, { absorbed: onAbsorbed }: MemberBuffers) =>
  format === 'zstd'
    ? new ZstdFrames({ level: level ?? 3, onAbsorbed })
    : new ParallelGzip({ level: level ?? 6, onAbsorbed });

/**
 * Begins to read at once, no further than a few members ahead of the reader. A source that fails leaves what came before it and a
 * line in the manifest. The archive is destroyed with the error of a source when all sources failed, or when the station
 * is lost (`STATION_UNREACHABLE`) and another try may follow; with `ABORTED` when the signal fires. However it ends, every source
 * is destroyed. Throws `ARCHIVE_INVALID` for names that cannot be member names.
 */
export function createArchive(input: ArchiveInput): Readable {
  const { sources, signal, extra = [], compression = { format: 'gzip' }, isLastTry = false } = input;
  const { memberBytes = MEMBER_BYTES } = input;
  assertNames(sources, extra);
  const tar = createTar(input.manifest.created);
  const buffers = createMemberBuffers(memberBytes);
  const archive = compressorOf(compression, buffers);
  const isFatal = (error: unknown): boolean => !isLastTry && isStationLost(error);
  const fail = (error: Error): void => void archive.destroy(error);

  const streams = sources.flatMap((source) => ('stream' in source ? [source.stream] : []));
  for (const stream of streams) {
    // Its reader gets any other error, once it comes to this stream.
    stream.on('error', (error) => {
      if (isFatal(error)) fail(error);
    });
  }
  pipeline(tar.stream, archive, () => {
    withdraw();
    for (const stream of streams) stream.destroy();
    tar.stream.destroy();
  });
  const withdraw = onAbort(signal, () =>
    fail(new CodedError('ABORTED', 'the archive was aborted', { cause: signal?.reason })),
  );
  addAll(tar, input, buffers, isFatal).catch((error: unknown) =>
    fail(error instanceof Error ? error : new Error(String(error))),
  );
  return archive;
}
