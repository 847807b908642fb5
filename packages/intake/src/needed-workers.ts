/**
 * The queues a request needs. Without a worker on one of them it is not accepted: the station gets its default, a fleet tool
 * the reason. A reset that EVerest sends is stored all the same: EVerest has stopped itself and waits.
 */
import type { QueueName } from '@khumbu/operations/jobs/expected-job';
import type { RequestChannelName } from '@khumbu/shared/contract/channels';
import { CodedError } from '@khumbu/shared/runtime/errors';

/** `is_reset_allowed`: the reset itself follows. */
const NEEDS: Readonly<Record<RequestChannelName, readonly QueueName[]>> = {
  update_firmware: ['firmware-updates', 'firmware-fetches'],
  upload_logs: ['log-uploads'],
  is_reset_allowed: ['system-control'],
  set_system_time: ['system-control'],
  configure_network: ['system-control'],
  // Answered from records alone.
  get_boot_reason: [],
};

export const WORKERS_GONE = 'workers_gone';

export type IsAbandoned = (queue: QueueName) => boolean;

/** A queue that this request needs and that no worker takes jobs from; `undefined`: none. Pure. */
export const abandonedQueue = (name: RequestChannelName, isAbandoned: IsAbandoned): QueueName | undefined =>
  NEEDS[name].find(isAbandoned);

/** For REST: rejects with `WORKERS_GONE` and the queue in words. */
export function requireWorkers(name: RequestChannelName, isAbandoned: IsAbandoned): void {
  const queue = abandonedQueue(name, isAbandoned);
  if (queue !== undefined) throw new CodedError('WORKERS_GONE', `nobody works on the queue ${queue}`);
}
