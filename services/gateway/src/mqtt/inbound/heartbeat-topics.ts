/** Most of what comes are heartbeats: their topics are looked up instead of taken apart. */
import type { Registry } from '../liveness/registry.js';
import type { Station } from '../liveness/station.js';

/** More than any depot has stations; modules may be renamed without end. */
const MAX_TOPICS = 10_000;

export type HeartbeatTopics = ReturnType<typeof createHeartbeatTopics>;

export function createHeartbeatTopics(registry: Pick<Registry, 'get'>) {
  const topics = new Map<string, { readonly entry: Station; readonly moduleId: string }>();
  return {
    /** A module that was renamed is followed, back again too; a station that was forgotten is met anew. */
    find(topic: string): Station | undefined {
      const known = topics.get(topic);
      if (!known) return undefined;
      const { entry, moduleId } = known;
      return moduleId === entry.moduleId && registry.get(entry.station) === entry ? entry : undefined;
    },
    add(topic: string, entry: Station): void {
      if (topics.size >= MAX_TOPICS) topics.clear();
      topics.set(topic, { entry, moduleId: entry.moduleId });
    },
  };
}
