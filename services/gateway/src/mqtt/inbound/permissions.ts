/** Permissions to install. One counts only in the boot of EVerest that gave it. */
import type { Core } from '../core.js';
import { bootQueue } from '../liveness/boot-counter.js';
import { bootSince, markBoot } from '../liveness/boot-mark.js';
import { isBootUnsure } from '../liveness/presence.js';
import type { Station } from '../liveness/station.js';
import type { Incoming } from '../session/incoming.js';
import type { DoUnanswered } from './unanswered.js';

type Deps = Pick<Core, 'intake' | 'registry' | 'limitedLog'> & { readonly unanswered: DoUnanswered };

export type HandlePermission = ReturnType<typeof createPermissions>;

export function createPermissions({ intake, registry, unanswered, limitedLog }: Deps) {
  /**
   * Counts only if an update waits for it; may be repeated, early, or mean nothing. It is of the boot that was noticed
   * last, so that boot is counted first. The heartbeat by which the next leader tells that boot from a later one is stored
   * before: if all gateways and EVerest die right after this, the permission must not count for EVerest's next boot.
   */
  const allowNow = (entry: Station, message: Incoming): Promise<void> => {
    const { station } = entry;
    const work = async (): Promise<void> => {
      await registry.store(entry);
      await intake.allowInstallation(station, 'everest');
    };
    return unanswered({ queueKey: bootQueue(station), meaning: 'permission', message, what: 'a permission', work });
  };

  /**
   * After a takeover the broker may have kept it from a boot that is over: it waits for the station's next heartbeat,
   * and does not count where that one, or a question before it, began another boot.
   */
  return (entry: Station, message: Incoming): Promise<void> => {
    if (!isBootUnsure(entry.presence)) return allowNow(entry, message);
    message.stepAside?.();
    const { station } = entry;
    const mark = markBoot(entry);
    const work = async (): Promise<void> => {
      if (isBootUnsure(entry.presence)) throw new Error('no heartbeat was heard yet');
      if (bootSince(mark, entry) === 'another') limitedLog.info({ station }, 'a permission of a boot that is over');
      else await allowNow(entry, message);
    };
    const queueKey = `${station} boot unsure`;
    return unanswered({ queueKey, meaning: 'permission', message, what: 'a permission from the time before', work });
  };
}
