/** The store of records of all kinds. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Redis } from 'ioredis';
import type { Now } from '../clock/depot-clock.js';
import { createRecordStore, type RecordStore } from '../records/store.js';
import type { RecordRules, RecordTransaction } from '../records/transaction.js';
import {
  definitionOf,
  isKnown,
  isOfStation,
  type OperationRecord,
  operationEvent,
  shownStatus,
  withoutSecrets,
} from './kinds.js';
import { securityFactOf } from './security-fact.js';

export type Store = RecordStore<OperationRecord>;
export type Transaction = RecordTransaction<OperationRecord>;

export const RECORD_RULES: RecordRules<OperationRecord> = {
  isKnown,
  isOfStation,
  retention: (record) => definitionOf(record).retention?.(record) ?? 'history',
  withoutSecrets,
  images: (record) => definitionOf(record).images?.(record) ?? [],
  shownStatus,
  securityFact: securityFactOf,
  event: operationEvent,
};

/** As `createRecordStore`. */
export const createStore = (
  redis: Redis,
  prefix: string,
  onEnded?: (record: OperationRecord) => void,
  now?: Now,
): Store => createRecordStore(redis, prefix, RECORD_RULES, onEnded, now);

/** Commit, or reject with `CONFLICT`: the record has moved on; read it again. Resolves with the records as they are stored. */
export async function commitOrThrow(
  store: Pick<Store, 'commit'>,
  transaction: Transaction,
): Promise<readonly OperationRecord[]> {
  const stored = await store.commit(transaction);
  if (!stored) throw new CodedError('CONFLICT', 'the record has moved on');
  return stored;
}

/** The record as a commit has stored it; one that the commit did not write is as it was. */
export const storedOf = <R extends OperationRecord>(stored: readonly OperationRecord[], record: R): R =>
  stored.findLast((one): one is R => one.id === record.id) ?? record;
