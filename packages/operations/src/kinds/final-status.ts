/** Which statuses end what they speak of, whatever dialect they were translated to. */

import type { OutboxEntry } from '../outbox/entry.js';
import { FIRMWARE_UPDATE_STATES, isFinalUpdateState } from './firmware-update/machine.js';

const FINAL_UPDATE: ReadonlySet<string> = new Set(FIRMWARE_UPDATE_STATES.filter(isFinalUpdateState));

/** Pure. */
export function isFinalStatus({ channel, payload }: Pick<OutboxEntry, 'channel' | 'payload'>): boolean {
  const told = payload as Readonly<Record<string, unknown>>;
  switch (channel) {
    case 'firmware_update_status':
      return FINAL_UPDATE.has(String(told.firmware_update_status));
    case 'log_status':
      return told.log_status !== 'Uploading';
    case 'configure_network_status':
      return true;
  }
}
