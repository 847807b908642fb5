/** What is not kept of an operation once it has ended: user, password, query and fragment of locations. Pure. */
import { parseLocation, publicLocation } from '@khumbu/shared/locations/location';
import { withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { AnyRecord } from './record.js';

/** A bucket and a key hold no secret, and an archive is found by them again. */
export function keptLocation(text: string): string {
  const parsed = parseLocation(text);
  return parsed.ok && parsed.location.scheme === 's3' ? text : publicLocation(text);
}

/** The record with texts that quote no credentials. Its kind takes out what it holds itself. */
export const withoutQuotedSecrets = <R extends AnyRecord>(record: R): R => ({
  ...record,
  history: record.history.map((entry) =>
    entry.reason === undefined ? entry : { ...entry, reason: withoutCredentials(entry.reason) },
  ),
  ...(record.outcome?.message === undefined
    ? {}
    : { outcome: { ...record.outcome, message: withoutCredentials(record.outcome.message) } }),
});
