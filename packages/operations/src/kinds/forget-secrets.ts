/**
 * What is not kept of an operation once it has ended: user, password, query and fragment of locations, wherever they
 * stand. Until then they are needed, for every try. Pure.
 */
import { parseLocation, publicLocation } from '@khumbu/shared/locations/location';
import { withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { HistoryEntry, Outcome } from '../records/record.js';
import type { OperationRecord } from './kinds.js';

/** A bucket and a key hold no secret, and an archive is found by them again. */
function keptLocation(text: string): string {
  const parsed = parseLocation(text);
  return parsed.ok && parsed.location.scheme === 's3' ? text : publicLocation(text);
}

const keptOutcome = (outcome: Outcome): Outcome =>
  outcome.message === undefined ? outcome : { ...outcome, message: withoutCredentials(outcome.message) };

const keptEntry = (entry: HistoryEntry): HistoryEntry =>
  entry.reason === undefined ? entry : { ...entry, reason: withoutCredentials(entry.reason) };

/** The record as it is kept after its end. */
export function withoutSecrets(record: OperationRecord): OperationRecord {
  const common = {
    history: record.history.map(keptEntry),
    ...(record.outcome ? { outcome: keptOutcome(record.outcome) } : {}),
  };
  switch (record.kind) {
    case 'firmware_update':
      return { ...record, ...common, request: { ...record.request, location: keptLocation(record.request.location) } };
    case 'log_upload':
      return { ...record, ...common, request: { ...record.request, location: keptLocation(record.request.location) } };
    case 'firmware_fetch':
      return { ...record, ...common, location: keptLocation(record.location) };
    case 'reset':
    case 'set_system_time':
    case 'configure_network':
      return { ...record, ...common };
  }
}
