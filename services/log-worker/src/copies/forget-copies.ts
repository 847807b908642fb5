/**
 * Own copies that are kept too long, or are too many, leave the store; and what killed workers left is found. Nothing here asks
 * whether the targets of uploads can be reached.
 */
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { StoreError } from '@khumbu/object-store/store-error';
import {
  BYTES_METADATA,
  isArchiveOf,
  OPERATION_METADATA,
  SHA256_METADATA,
} from '@khumbu/operations/kinds/log-upload/archive-object';
import type { CopyRecords } from '@khumbu/operations/log-copies/copy-records';
import {
  type BegunCopy,
  COPIED_LOG_TYPES,
  type CopiedLogType,
  type LogCopy,
} from '@khumbu/operations/log-copies/log-copy';
import { type CopyRules, keptUntil } from '@khumbu/operations/log-copies/settings';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';

export interface ForgetDeps {
  readonly records: CopyRecords;
  readonly objects: Pick<ObjectStore, 'stat' | 'remove'>;
  readonly rules: CopyRules;
  /** Whether the operation may still try to upload. */
  readonly isOpen: (operationId: string) => Promise<boolean>;
  /** By which days are counted, milliseconds since 1970: see `operations/clock/retention-date.ts`. */
  readonly date: number;
  readonly log: Pick<Logger, 'warn'>;
}

const BATCH = 100;

/** Those of type SecurityLog go last: they are kept for whoever asks a year later. */
const ORDER_OF_GOING: readonly CopiedLogType[] = ['DiagnosticsLog', 'SecurityLog'];

/** What is over the quota, oldest first; ends where it has bytes enough. Pure. */
export function overQuota(oldest: readonly LogCopy[], tooManyBytes: number): LogCopy[] {
  const going: LogCopy[] = [];
  for (let left = tooManyBytes, at = 0; left > 0 && at < oldest.length; at += 1) {
    const copy = oldest[at] as LogCopy;
    going.push(copy);
    left -= copy.bytes;
  }
  return going;
}

/** The operation is over. What it has brought into the store is kept, by what the store says of it. */
async function settle({ records, objects }: ForgetDeps, copy: BegunCopy): Promise<void> {
  const { bucket, key, operationId } = copy;
  const found = await objects.stat(bucket, key);
  const noted = found?.metadata[BYTES_METADATA];
  const isWhole =
    found?.metadata[OPERATION_METADATA] === operationId && (noted ?? String(found.bytes)) === String(found.bytes);
  if (!found || !isWhole) return records.forgetBegun(operationId);
  const sha256 = found.metadata[SHA256_METADATA];
  const { bytes, etag } = found;
  return records.keep({ ...copy, bytes, etag, ...(sha256 === undefined ? {} : { sha256 }) });
}

/** What somebody else has put in its place stays. */
async function remove({ records, objects }: ForgetDeps, copy: LogCopy): Promise<boolean> {
  const { operationId: id, bucket, key, etag, bytes: sizeBytes } = copy;
  const found = await objects.stat(bucket, key);
  if (found && isArchiveOf({ id, sizeBytes, archive: { bucket, key, etag } }, found)) await objects.remove(bucket, key);
  return records.drop(copy);
}

/** Resolves with how many were removed. A copy that the store does not let go (an object lock, no right) keeps none of the others. */
async function removeAll(deps: ForgetDeps, copies: readonly LogCopy[]): Promise<{ removed: number; stuck: number }> {
  let removed = 0;
  let stuck = 0;
  for (const copy of copies) {
    try {
      if (await remove(deps, copy)) removed += 1;
    } catch (error) {
      if (!(error instanceof StoreError) || error.retryable) throw error;
      stuck += 1;
      const { operationId, station } = copy;
      deps.log.warn({ operationId, station, reason: describeError(error) }, 'a kept archive cannot be removed');
    }
  }
  return { removed, stuck };
}

/**
 * One round. Resolves with how many copies were removed. Rejects with a `StoreError` when the store cannot be reached: all goes on in
 * the next round. Safe to repeat, also by several workers at once.
 */
export async function forgetCopies(deps: ForgetDeps): Promise<number> {
  const { records, rules, isOpen, date } = deps;
  for (const copy of await records.begun()) if (!(await isOpen(copy.operationId))) await settle(deps, copy);
  let removed = 0;
  for (const type of COPIED_LOG_TYPES) {
    if (rules.days[type] === 0) continue;
    const oldestKept = date - (keptUntil(rules, { type, createdAt: 0 }) ?? 0);
    for (let stuck = 0; ; ) {
      const old = (await records.oldest(type, stuck + BATCH, oldestKept)).slice(stuck);
      const round = await removeAll(deps, old);
      removed += round.removed;
      stuck += round.stuck;
      if (old.length < BATCH) break;
    }
  }
  const { quotaBytes } = rules;
  if (quotaBytes === undefined) return removed;
  for (const type of ORDER_OF_GOING) {
    for (let stuck = 0; ; ) {
      const sums = await records.sums();
      const tooMany = COPIED_LOG_TYPES.reduce((sum, each) => sum + sums[each].bytes, 0) - quotaBytes;
      if (tooMany <= 0 || rules.days[type] === 0) break;
      const oldest = (await records.oldest(type, stuck + BATCH)).slice(stuck);
      const round = await removeAll(deps, overQuota(oldest, tooMany));
      removed += round.removed;
      stuck += round.stuck;
      if (oldest.length === 0) break;
    }
  }
  return removed;
}
