/** Which sessions have a transaction that runs, by what `ocpp_consumer_API` tells. Pure. */
import type { OcppTransactionEvent } from '@khumbu/shared/contract/schemas';

/** A station has a few connectors; ids are of any length. */
const MAX_SESSIONS = 64;
const MAX_ID_LENGTH = 128;

/** The very list where nothing changes. An id that is too long counts by its beginning. */
export function transactionsAfter(
  running: readonly string[] | undefined,
  { transaction_event: event, session_id: session }: OcppTransactionEvent,
): readonly string[] | undefined {
  const id = session.slice(0, MAX_ID_LENGTH);
  const isListed = running?.includes(id) ?? false;
  if (event === 'Ended') return running && !isListed ? running : (running ?? []).filter((other) => other !== id);
  if (event !== 'Started' && event !== 'Updated') return running;
  return isListed ? running : [...(running ?? []), id].slice(-MAX_SESSIONS);
}
