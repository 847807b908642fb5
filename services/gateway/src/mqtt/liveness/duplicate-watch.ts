/**
 * Watches two stations that use one identity, as long as they do: stored and shown at once, and their modules are asked for
 * their identity again and again.
 */
import type { Core } from '../core.js';
import { hasDuplicateIdentity } from './duplicate-identity.js';
import type { Station } from './station.js';

const LOOK_MS = 1000;

type Deps = Pick<Core, 'registry' | 'metrics' | 'limitedLog'> & {
  /** Asks the modules of a station for their identity. */
  readonly discovery: { ask(station: string): void };
};

export type DuplicateWatch = ReturnType<typeof createDuplicateWatch>;

export function createDuplicateWatch({ discovery, registry, metrics, limitedLog }: Deps) {
  const looks = new Map<string, NodeJS.Timeout>();

  /** The evidence may have changed, or have become old. */
  const judge = (entry: Station): void => {
    const { station } = entry;
    const isDuplicate = hasDuplicateIdentity(entry.presence, performance.now());
    if (isDuplicate === entry.duplicateReported) return;
    entry.duplicateReported = isDuplicate;
    entry.dirty = true;
    metrics.duplicates.set(registry.duplicates().length);
    void registry.flushSoon();
    clearInterval(looks.get(station));
    looks.delete(station);
    if (!isDuplicate) {
      limitedLog.info({ station }, 'the station has its identity for itself again');
      return;
    }
    limitedLog.error({ station }, 'two stations use one identity: nothing is done with either');
    const look = (): void => {
      discovery.ask(station);
      judge(entry);
    };
    looks.set(station, setInterval(look, LOOK_MS).unref());
  };

  return {
    judge,
    stop(): void {
      for (const timer of looks.values()) clearInterval(timer);
      looks.clear();
    },
  };
}
