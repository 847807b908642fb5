/**
 * What heartbeats and ready beacons show: that EVerest is there, that it has started anew, or that two stations use one
 * name.
 */
import type { BootCounter } from '../liveness/boot-counter.js';
import type { BootSigns } from '../liveness/boot-signs.js';
import { hasDuplicateIdentity } from '../liveness/duplicate-identity.js';
import type { DuplicateWatch } from '../liveness/duplicate-watch.js';
import { beaconHeard, hearHeartbeat, silenceBefore } from '../liveness/presence.js';
import type { Station } from '../liveness/station.js';
import type { CommunicationChecks } from '../outbound/communication-checks.js';
import type { StatusPublisher } from '../outbound/status-publisher.js';
import type { Discovery } from './discovery.js';

interface Deps {
  readonly bootCounter: BootCounter;
  readonly duplicates: DuplicateWatch;
  readonly publisher: StatusPublisher;
  readonly checks: CommunicationChecks;
  readonly discovery: Discovery;
  readonly signs: BootSigns;
}

export type HeartbeatHandler = ReturnType<typeof createHeartbeatHandler>;

export function createHeartbeatHandler(deps: Deps) {
  const { bootCounter, duplicates, publisher, checks, discovery, signs } = deps;
  return {
    heartbeat(entry: Station, id: number): void {
      const now = performance.now();
      const { presence: before, published } = entry;
      const heard = hearHeartbeat(before, id, now);
      // Whether a restart was ours is known when its boot is counted; of two stations hardly any is.
      const isCounted = hasDuplicateIdentity(before, now);
      entry.presence = isCounted ? heard.presence : heard.unjudged;
      entry.dirty = true;
      duplicates.judge(entry);
      // That a station is away shows some time after it left, and EVerest subscribes at QoS 0: what was published in
      // between is lost.
      const unheard = published?.isUnheard ? published.entry : undefined;
      if (published && heard.restarted !== 'open') published.isUnheard = false;
      if (heard.restarted === true)
        bootCounter.begunByHeartbeat(entry, {
          id: before.handedOver ? 0 : id,
          at: now,
          silentMs: silenceBefore(before, now),
          unheard,
          isCounted,
        });
      // After a boot that began with its question, what was published since then was published to the new one.
      else if (!heard.restarted && unheard && heard.returned && before.heartbeatId !== -1)
        bootCounter.publishOnceMore(entry, unheard);
      if (heard.returned || entry.checkDueAt === undefined) {
        checks.begin(entry);
        publisher.kick(entry.station);
      }
      if (heard.restarted === 'open') return;
      if (heard.restarted) discovery.ask(entry.station);
      // In the queue of its questions it comes after the boot that was just counted.
      signs.came(entry.station, heard.restarted ? 'begins' : 'goes_on');
    },

    /** Modules at the station have started. */
    beacon(entry: Station): void {
      const before = entry.presence;
      entry.presence = beaconHeard(before, performance.now());
      if (entry.presence !== before) signs.came(entry.station, 'beacon');
    },
  };
}
