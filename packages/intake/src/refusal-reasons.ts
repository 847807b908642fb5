/**
 * Why the intake refuses: every word of its own once, with what it means. Decisions take their words from here, from the
 * location policy and from the verdict on a certificate, so that a misspelt one does not compile. What is read from the store
 * may be of another version and have words of its own.
 */
import type { ChainVerdict } from '@khumbu/firmware-trust/chain';
import type { CheckedLocation, LocationRefusal } from '@khumbu/shared/locations/policy';

export const REFUSAL_REASONS = {
  station_not_configured: 'The station is not in the stations file, or two stations share its name.',
  workers_gone: 'No worker takes on what the request asks for.',
  slot_taken_by_everest: 'What EVerest has asked for is under way; `replace` would take its place.',
  slot_busy: 'What EVerest has asked for is just being answered: ask again in a moment.',
  installing: 'The station installs firmware.',
  signature_incomplete: 'A signature without its certificate, or the other way round.',
  signature_required: 'The station takes signed firmware only.',
  certificate_not_judged: 'There is no verdict on the certificate now; nothing is known against it.',
  log_type_unknown: 'The station has no such logs.',
  window_empty: 'No log can be in the window of times.',
  location_not_usable: 'No archive can be brought to the location.',
  not_supported: 'The station cannot do that.',
  interface_unknown: 'The station has no such network interface.',
  time_absurd: 'The time cannot be right.',
} as const;

/** A stable word, for logs and fleet tools. */
export type RefusalReason =
  | keyof typeof REFUSAL_REASONS
  | LocationRefusal
  | Exclude<ChainVerdict, { verdict: 'valid' }>['reason'];

/** A location that may not be used, as a decision tells it. */
export const refusalOf = ({ code, reason, allowed }: CheckedLocation & { readonly ok: false }) => ({
  reason: code,
  detail: reason,
  ...(allowed ? { allowed } : {}),
});
