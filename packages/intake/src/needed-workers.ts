/**
 * The queues a request needs. Without a worker on one of them it is not accepted: the station gets its default, a fleet tool
 * the reason. A reset that EVerest sends is stored all the same: EVerest has stopped itself and waits.
 */
import type { QueueName } from '@khumbu/operations/jobs/expected-job';
import { KINDS, type OperationKind } from '@khumbu/operations/kinds/kinds';
import type { RequestChannelName } from '@khumbu/shared/contract/channels';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { RefusalReason } from './refusal-reasons.js';

type Definition = (typeof KINDS)[OperationKind];
type OfferingChannel = Extract<Definition, { readonly channel: unknown }>['channel'];

/** What is offered needs the queues of its kind. */
const OFFERS: readonly {
  readonly channel?: string;
  readonly queue: QueueName;
  readonly alsoNeeds?: readonly QueueName[];
}[] = Object.values(KINDS);

/** All other requests. `is_reset_allowed`: the reset itself follows. */
const NEEDS: Readonly<Record<Exclude<RequestChannelName, OfferingChannel>, readonly QueueName[]>> = {
  is_reset_allowed: ['system-control'],
  set_system_time: ['system-control'],
  // Answered from records alone.
  get_boot_reason: [],
};
const isOther = (name: RequestChannelName): name is keyof typeof NEEDS => Object.hasOwn(NEEDS, name);

const needsOf = (name: RequestChannelName): readonly QueueName[] =>
  isOther(name)
    ? NEEDS[name]
    : OFFERS.filter(({ channel }) => channel === name).flatMap(({ queue, alsoNeeds = [] }) => [queue, ...alsoNeeds]);

export const WORKERS_GONE = 'workers_gone' satisfies RefusalReason;

export type IsAbandoned = (queue: QueueName) => boolean;

/** A queue that this request needs and that no worker takes jobs from; `undefined`: none. Pure. */
export const abandonedQueue = (name: RequestChannelName, isAbandoned: IsAbandoned): QueueName | undefined =>
  needsOf(name).find(isAbandoned);

/** For REST: rejects with `WORKERS_GONE` and the queue in words. */
export function requireWorkers(name: RequestChannelName, isAbandoned: IsAbandoned): void {
  const queue = abandonedQueue(name, isAbandoned);
  if (queue !== undefined) throw new CodedError('WORKERS_GONE', `no worker takes jobs from the queue ${queue}`);
}
