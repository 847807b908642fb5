import { withoutQuotedSecrets } from '../records/secrets.js';
import { definitionOf, type OperationRecord } from './kinds.js';

/** The record as it is kept after its end. Until then secrets are needed, for every try. Pure; safe to repeat. */
export function withoutSecrets(record: OperationRecord): OperationRecord {
  const kept = withoutQuotedSecrets(record);
  return definitionOf(kept).withoutSecrets?.(kept) ?? kept;
}
