/**
 * The depot's own copies of archives: one of every upload, wherever that goes and however it ends. What goes to the depot's own folder
 * of the station anyway is its own copy; of all the rest one is put there beside the way to the target.
 */

import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import type { CopyRecords } from '@khumbu/operations/log-copies/copy-records';
import { type BegunCopy, copyFolder, copyOf } from '@khumbu/operations/log-copies/log-copy';
import type { CopyRules } from '@khumbu/operations/log-copies/settings';
import type { UploadTarget } from '@khumbu/shared/locations/upload-location';
import type { OwnCopy } from '../upload/own-copy.js';

export interface CopyDeps {
  readonly records: Pick<CopyRecords, 'begin' | 'keep' | 'find'>;
  readonly rules: CopyRules;
  /** Where the depot keeps what is its own. */
  readonly bucket: string;
}

/**
 * What is kept of an upload to this target; `undefined`: nothing, because of the settings, or because it goes to another place of the
 * object store, where whoever named it may do as they like. Pure.
 */
export function copyToKeep(
  record: LogUploadRecord,
  target: UploadTarget,
  { rules, bucket }: Pick<CopyDeps, 'rules' | 'bucket'>,
): BegunCopy | undefined {
  if (rules.days[record.logType] === 0) return undefined;
  if (target.kind !== 's3') return copyOf(record, bucket);
  const isOwn = target.bucket === bucket && target.key.startsWith(copyFolder(record.station));
  return isOwn ? copyOf(record, bucket, target) : undefined;
}

export const ownCopy = (copy: BegunCopy, { records }: Pick<CopyDeps, 'records'>): OwnCopy => ({
  bucket: copy.bucket,
  key: copy.key,
  isKept: async () => (await records.find(copy.operationId)) !== undefined,
  begin: () => records.begin(copy),
  keep: (stored) => records.keep({ ...copy, ...stored }),
});
