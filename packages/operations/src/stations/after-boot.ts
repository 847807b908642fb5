/**
 * What a boot of EVerest means for the operations that are under way: a reset that waited for it is over, and an update
 * whose permission is void asks for it again. Pure; used when the boot is noticed, and by the reconciler for whatever
 * was left out then.
 */
import { needsReaffirming, reaffirm } from '../kinds/firmware-update/reaffirm.js';
import type { OperationRecord } from '../kinds/kinds.js';
import type { OfferContext } from '../kinds/offer.js';
import { applyResetEvent } from '../kinds/reset/record.js';
import type { OutboxEntry } from '../outbox/entry.js';

/** The record after the boot and what EVerest hears; `undefined`: the boot means nothing to it, or was seen to already. */
export function afterBoot(
  record: OperationRecord,
  context: OfferContext,
): { readonly record: OperationRecord; readonly statuses: readonly OutboxEntry[] } | undefined {
  const { bootEpoch, now, deadlines } = context;
  if (record.kind === 'reset' && record.state === 'Restarting' && bootEpoch !== record.bootEpochBefore) {
    return { record: applyResetEvent(record, 'restartSeen', { now, deadlines: deadlines.reset }), statuses: [] };
  }
  if (record.kind === 'firmware_update' && needsReaffirming(record, bootEpoch)) {
    return reaffirm(record, { ...context, deadlines: deadlines.update });
  }
  return undefined;
}
