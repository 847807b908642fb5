/** Walks an update through its events, and says what EVerest receives. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { FirmwareUpdateEvent } from '@khumbu/operations/kinds/firmware-update/machine';
import { needsReaffirming, reaffirm } from '@khumbu/operations/kinds/firmware-update/reaffirm';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent, type EventDetail } from '@khumbu/operations/kinds/firmware-update/transition';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import t from 'tap';

export const NOW = 1_800_000_000_000;
export const HOUR = 3600_000;

export type EventWithDetail = FirmwareUpdateEvent | readonly [FirmwareUpdateEvent, EventDetail];
export const RESTART = 'RESTART';

/** Walk the events, an hour apart in boot epoch 1; `RESTART` is an EVerest restart as the gateway treats it. */
export function walk(
  record: FirmwareUpdateRecord,
  dialect: Dialect,
  events: readonly (EventWithDetail | typeof RESTART)[],
): { record: FirmwareUpdateRecord; entries: OutboxEntry[] } {
  const entries: OutboxEntry[] = [];
  let current = record;
  let bootEpoch = 1;
  events.forEach((step, index) => {
    const context = { now: momentOf(NOW + index), dialect, bootEpoch };
    if (step === RESTART) {
      bootEpoch += 1;
      if (!needsReaffirming(current, bootEpoch)) return;
      const again = reaffirm(current, { ...context, bootEpoch });
      current = again.record;
      entries.push(...again.statuses);
      return;
    }
    const [event, detail] = typeof step === 'string' ? [step, {}] : step;
    const applied = applyUpdateEvent(current, event, context, detail);
    current = applied.record;
    entries.push(...applied.statuses);
  });
  return { record: current, entries };
}

/** What EVerest is told: the status, `+false` for metadata, and the id where it is not the request's. */
export const told = (record: FirmwareUpdateRecord, entries: readonly OutboxEntry[]): string =>
  entries
    .map(({ channel, payload, operationId }) => {
      t.equal(channel, 'firmware_update_status');
      t.equal(operationId, record.id);
      const status = payload as {
        firmware_update_status: string;
        request_id: number;
        firmware_update_metadata?: { disable_connectors_during_install: boolean };
      };
      const metadata = status.firmware_update_metadata;
      return [
        status.firmware_update_status,
        ...(metadata ? [`+${metadata.disable_connectors_during_install}`] : []),
        ...(status.request_id === record.requestId ? [] : [`#${status.request_id}`]),
      ].join('');
    })
    .join(' ');

export const SIGNED: Partial<FirmwareUpdateRecord> = {
  signed: true,
  requestId: 7,
  request: { location: 'http://h/f', request_id: 7, signing_certificate: 'PEM', signature: 'QQ==' },
};
export const UNSIGNED: Partial<FirmwareUpdateRecord> = {
  requestId: 8,
  request: { location: 'http://h/f', request_id: 8 },
};
export const PLAIN: Partial<FirmwareUpdateRecord> = {
  requestId: -1,
  request: { location: 'http://h/f', request_id: -1 },
};
export const SIGNED_PLAIN: Partial<FirmwareUpdateRecord> = {
  ...SIGNED,
  requestId: -1,
  request: { location: 'http://h/f', request_id: -1, signing_certificate: 'PEM', signature: 'QQ==' },
};

export const KEEPS: EventWithDetail = ['signatureGood', { set: { disableConnectors: false } }];
export const FETCHED_KEEPS: EventWithDetail = ['fetched', { set: { disableConnectors: true } }];
export const TO_DOWNLOADED = ['confirmed', 'fetchJoined', 'fetched'] as const;
export const TO_VERIFIED = [...TO_DOWNLOADED, 'signatureGood'] as const;
export const REBOOT = ['installBegun', 'rebootNeeded', 'proved'] as const;
