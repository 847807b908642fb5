/**
 * What a record and its events say of a connection that failed. Who chooses a location could learn from them what the
 * network looks like from inside the depot: which names exist, which addresses answer, on which ports what is spoken. So
 * for locations that stations chose all such faults share one word; the log of the worker has the details. Who asks over
 * REST holds a key of the depot and is told. Pure.
 */
import type { Reason } from './reasons.js';
import type { Origin } from './record.js';

export interface Fault {
  readonly reason: Reason;
  readonly message: string;
}

const TOLD: Fault = {
  reason: 'connection',
  message: 'the location could not be reached, or its server broke off; the log says more',
};

/** Below HTTP, before or while an answer came; and what a proxy says of the way on, unless it is about itself. */
const CONNECTION_REASONS =
  /^(connection|dns|connect|tls|stalled|cut|bad_response|data_connection|host_key_changed|algorithms|proxy_(?!407)\d{3})$/;

export const toldFault = (fault: Fault, origin: Origin): Fault =>
  origin === 'everest' && CONNECTION_REASONS.test(fault.reason) ? TOLD : fault;
