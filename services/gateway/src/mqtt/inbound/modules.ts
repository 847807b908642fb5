/** What the answers of modules to discovery change. */
import { OCPP_CONSUMER } from '@khumbu/shared/contract/topics';
import type { Core } from '../core.js';
import { oneModuleAnswered, twoModulesAnswered } from '../liveness/duplicate-identity.js';
import type { DuplicateWatch } from '../liveness/duplicate-watch.js';
import type { OcppSide } from '../liveness/ocpp-side.js';
import type { CommunicationChecks } from '../outbound/communication-checks.js';
import type { StatusPublisher } from '../outbound/status-publisher.js';
import type { Discovered } from './discovery.js';

type Deps = Pick<Core, 'registry'> & {
  readonly duplicates: Pick<DuplicateWatch, 'judge'>;
  readonly ocppSide: OcppSide;
  readonly checks: CommunicationChecks;
  readonly publisher: StatusPublisher;
};

export type Modules = ReturnType<typeof createModules>;

export function createModules({ registry, duplicates, ocppSide, checks, publisher }: Deps) {
  return {
    discovered(found: Discovered): void {
      if (found.type === OCPP_CONSUMER.type) {
        ocppSide.discovered(found.station, found.moduleId);
        return;
      }
      const entry = registry.meet(found)?.entry;
      if (!entry) return;
      if (found.communication) entry.presence = { ...entry.presence, communication: found.communication };
      if (found.isSecond) entry.presence = twoModulesAnswered(entry.presence, performance.now());
      duplicates.judge(entry);
      entry.dirty = true;
      // Without heartbeats this is the first sign of it, and it waits for a check all the same.
      const beats = (found.communication?.heartbeat_period_ms ?? 1) > 0;
      if (!beats && entry.checkDueAt === undefined) checks.begin(entry);
      publisher.kick(found.station);
    },

    /** One module alone has answered a question that was asked then, monotonic. */
    alone(station: string, askedAt: number): void {
      const entry = registry.get(station);
      if (!entry) return;
      entry.presence = oneModuleAnswered(entry.presence, askedAt);
      duplicates.judge(entry);
    },
  };
}
