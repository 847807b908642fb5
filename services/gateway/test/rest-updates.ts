/** Updates and uploads over REST in tests: where they are, and what workers would do with them. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { FirmwareUpdateEvent } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import type { Rest } from './rest-harness.js';

export const IMAGE = 'https://user:secret@files.example/image.bin?token=secret#disable_connectors_during_install=true';
export const UPDATES = '/v1/stations/cs-1/firmware-updates';
export const LOGS = '/v1/stations/cs-1/log-uploads';
export const CONTEXT = { dialect: 'unknown' as const, bootEpoch: 0 };

/** What the workers would do. */
export async function advance({ store }: Rest, id: string, events: readonly FirmwareUpdateEvent[]): Promise<void> {
  for (const event of events) {
    const record = (await store.load(id)) as FirmwareUpdateRecord;
    const next = applyUpdateEvent(record, event, {
      ...CONTEXT,
      now: momentOf(Date.now()),
    });
    await store.commit(store.transaction().put(next.record).enqueueStatus(record.station, next.statuses));
  }
}
