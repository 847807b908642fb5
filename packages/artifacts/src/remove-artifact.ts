/**
 * Remove an artefact that nobody needs. A fetch may find its bytes at the same moment: what is announced first makes that
 * fetch look again, or the fetch was there before the question who needs it, and is among those that do.
 */
import { randomUUID } from 'node:crypto';
import type { ArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import { REMOVAL_MS } from '@khumbu/operations/artifacts/artifact-removals';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import type { ArtifactPlace } from './place.js';

export interface RemovalDeps {
  readonly records: Pick<ArtifactRecords, 'beginRemoval' | 'giveUpRemoval' | 'endRemoval'>;
  readonly place: Pick<ArtifactPlace, 'remove'>;
  /** Ids of the operations that need it now. */
  readonly neededBy: (sha256: string) => Promise<readonly string[]>;
  /** Asked once the removal is announced: it stays, whoever needs it. Absent: nothing stays for that. */
  readonly isKept?: (sha256: string) => Promise<boolean>;
}

export type Removal =
  | { readonly kind: 'removed' }
  /** `operations` is empty where another removal is under way, or it is kept. */
  | { readonly kind: 'kept'; readonly operations: readonly string[] };

/** Safe to repeat, and for many processes at once; a process that is killed leaves it to the next one. */
export async function removeArtifact(deps: RemovalDeps, sha256: string, signal: AbortSignal): Promise<Removal> {
  const { records, place, neededBy } = deps;
  // Long before others take it for dead.
  const deadline = deadlineAfter(REMOVAL_MS / 2, signal);
  try {
    const mark = await records.beginRemoval(sha256, randomUUID());
    if (mark === undefined) return { kind: 'kept', operations: [] };
    const operations = await neededBy(sha256);
    const isKept = operations.length > 0 || ((await deps.isKept?.(sha256)) ?? false);
    deadline.signal.throwIfAborted();
    if (isKept) {
      await records.giveUpRemoval(sha256, mark);
      return { kind: 'kept', operations };
    }
    await place.remove(sha256, deadline.signal);
    await records.endRemoval(sha256, mark);
    return { kind: 'removed' };
  } finally {
    deadline.clear();
  }
}
