/**
 * One source into the archive. What is wrong with a source is told apart from what is wrong with the archive: of a source that breaks
 * off all is kept that came before.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Redactor } from '@khumbu/log-redaction/redactor';
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { partsOf } from '@khumbu/station-drivers/log-parts';
import type { LogNote, LogPart, LogSource } from '@khumbu/station-drivers/port';
import type { ArchiveNote, SourceFacts } from './manifest.js';
import type { MemberBuffers } from './member-buffers.js';
import { membersOf } from './members.js';
import { redactedNames } from './names.js';
import type { Tar } from './tar.js';

export interface SourceInput {
  readonly tar: Tar;
  readonly memberBytes: number;
  readonly buffers: MemberBuffers;
  readonly redactor?: Redactor | undefined;
  /** Whether a source that failed with this ends the archive, because another try may have all of it. */
  readonly isFatal: (error: unknown) => boolean;
  /** Told after each member how many records more are in it. */
  readonly onRecords: (records: number) => void;
}

export interface AddedSource {
  readonly facts: SourceFacts;
  readonly notes: readonly ArchiveNote[];
  /** Why nothing, or not all, could be read. */
  readonly failure?: unknown;
}

interface Counts {
  bytes: number;
  records: number;
  members: number;
  readonly hash: Hash;
}

/** Names that a program knows what to do with stay so: `eventlog-0001.html`. */
const EXTENSION = /\.(?:log|html?|csv|json|xml|txt)$/;

function memberName(source: string, part: string, number: number): string {
  const extension = EXTENSION.exec(part)?.[0] ?? '';
  const base = part.slice(0, part.length - extension.length);
  return `${source}/${base}-${String(number).padStart(4, '0')}${extension || '.log'}`;
}

/** A pseudonym has brackets. */
function shownName(part: string, redactor: Redactor | undefined): string {
  const shown = redactor ? redactedNames(part, redactor) : part;
  return shown === part ? part : shown.replaceAll(/[^A-Za-z0-9._-]+/g, '_');
}

const noteOf = (
  source: string,
  part: string | undefined,
  { code, text }: { code: string; text: string },
): ArchiveNote => ({
  source,
  ...(part === undefined || part === source ? {} : { part }),
  code,
  text,
});

const failureNote = (source: string, part: string | undefined, error: unknown): ArchiveNote => {
  const code = error instanceof CodedError ? error.code.toLowerCase() : 'failed';
  return noteOf(source, part, { code, text: describeError(error) });
};

interface NamedPart {
  readonly source: string;
  readonly name: string;
  readonly stream: LogPart['stream'];
}

/** Resolves with the source's error; rejects with one of the archive. */
async function addPart({ source, name, stream }: NamedPart, input: SourceInput, counts: Counts): Promise<unknown> {
  const { tar, redactor, memberBytes, buffers, onRecords } = input;
  const chunks = stream as AsyncIterable<Buffer | string>;
  const members = membersOf(redactor ? redactor.pass(chunks) : chunks, memberBytes, buffers);
  // The reader of the archive went away: nothing is read on at the station.
  const closeWithTar = (): void => void stream.destroy();
  tar.stream.once('close', closeWithTar);
  try {
    for (let number = 1; ; number += 1) {
      let next: Awaited<ReturnType<typeof members.next>>;
      try {
        next = await members.next();
      } catch (error) {
        if (tar.stream.destroyed || input.isFatal(error)) throw error;
        return error;
      }
      if (next.done) return undefined;
      const { bytes, records } = next.value;
      counts.members += 1;
      counts.bytes += bytes.length;
      counts.records += records;
      counts.hash.update(bytes);
      await tar.add(memberName(source, name, number), bytes);
      onRecords(records);
    }
  } finally {
    tar.stream.off('close', closeWithTar);
    stream.destroy();
  }
}

/** Rejects with an error of the archive, or one that is fatal to it. */
export async function addSource(source: LogSource, input: SourceInput): Promise<AddedSource> {
  const counts: Counts = { bytes: 0, records: 0, members: 0, hash: createHash('sha256') };
  const notes: ArchiveNote[] = [];
  const add = (part: string | undefined, given: readonly LogNote[] = []): void =>
    void notes.push(...given.map((note) => noteOf(source.name, part, note)));
  let isAnyRead = false;
  let failure: unknown;
  try {
    for await (const part of partsOf(source)) {
      const name = part === source ? source.name : shownName(part.name, input.redactor);
      const error = await addPart({ source: source.name, name, stream: part.stream }, input, counts);
      if (part !== source) add(name, part.notes?.());
      if (error === undefined) isAnyRead = true;
      else {
        failure ??= error;
        notes.push(failureNote(source.name, name, error));
      }
    }
  } catch (error) {
    if (input.tar.stream.destroyed || input.isFatal(error)) throw error;
    failure = error;
    isAnyRead = false;
    notes.push(failureNote(source.name, undefined, error));
  }
  add(undefined, source.notes?.());
  const { hash, ...sums } = counts;
  const isFailed = failure !== undefined;
  const facts: SourceFacts = {
    name: source.name,
    ...sums,
    sha256: hash.digest('hex'),
    ...(isFailed ? { failed: true as const } : {}),
  };
  return { facts, notes, ...(isFailed && !isAnyRead ? { failure } : {}) };
}

/** The station is lost, not one of its logs. */
export const isStationLost = (error: unknown): boolean => hasCode(error, 'STATION_UNREACHABLE');
