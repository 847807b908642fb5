/**
 * What this gateway may do, by what it knows of the lease. Exactly one gateway of a depot is `leading`; at most one other
 * may be `refusing`, because it has seen no other holder of its lease.
 *
 * | standing | means | entered | left |
 * |---|---|---|---|
 * | `leading` | holds the lease, by its own monotonic clock | Redis grants or renews the lease | to `refusing` when the time that Redis granted has passed; to `standby` when Redis names another holder, or at a stop |
 * | `refusing` | held the lease last, and Redis does not say who holds it now; keeps its MQTT session, opens none | the lease ran out and Redis did not answer | to `leading` when Redis renews it, to `standby` when Redis names another holder |
 * | `standby` | another gateway holds the lease, or none is known to | at the start, and when Redis names another holder | to `leading` when Redis grants it the lease |
 */
import { CodedError } from '@khumbu/shared/runtime/errors';

export type Standing = 'leading' | 'refusing' | 'standby';

/**
 * `publish`: answers that were decided, statuses, checks, questions. `refuse`: default answers, and what was answered before;
 * the acknowledgement of what is done. `store`: what is known of stations, and whatever follows from their messages.
 */
export type Act = 'publish' | 'refuse' | 'store';

export const MAY: Readonly<Record<Standing, Readonly<Record<Act, boolean>>>> = {
  leading: { publish: true, refuse: true, store: true },
  refusing: { publish: false, refuse: true, store: false },
  standby: { publish: false, refuse: false, store: false },
};

/**
 * Pure. `isOurs`: no other holder was seen since the lease was granted to this gateway. `leftMs`: for so long Redis has still
 * promised it.
 */
export const standingOf = (isOurs: boolean, leftMs: number): Standing =>
  isOurs ? (leftMs > 0 ? 'leading' : 'refusing') : 'standby';

export const mayNot = (standing: Standing, act: Act): CodedError =>
  new CodedError('NOT_LEADING', `a gateway that is ${standing} does not ${act}`);

/** Called right before something is published or stored. Throws `NOT_LEADING`. */
export function assertMay(standing: Standing, act: Act): void {
  if (!MAY[standing][act]) throw mayNot(standing, act);
}
