/** From whom a message is, and how much is done with it: each listed station for itself, all others as one. */
import { performance } from 'node:perf_hooks';
import { parseApiTopic, type TopicPrefix } from '@khumbu/shared/contract/topics';
import type { GatewayMetrics } from '../metrics.js';
import type { Registry } from '../stations/registry.js';
import type { Station } from '../stations/station.js';
import { fullAllowance, treat } from './allowance.js';
import type { Incoming, Sorted } from './mqtt-session.js';

/** All whom nobody knows together may send as much as so many stations. */
const STRANGERS_SHARE = 5;

export interface SortingDeps {
  readonly prefix: TopicPrefix;
  readonly registry: Pick<Registry, 'get'>;
  /** The station whose heartbeat topic this is, without taking it apart. */
  readonly known: (topic: string) => Station | undefined;
  /** Our own word to ourselves. */
  readonly fenceTopic: string;
  readonly messagesPerS: number;
  readonly metrics: Pick<GatewayMetrics, 'tooMany'>;
}

export function createSorting({ prefix, registry, known, fenceTopic, messagesPerS, metrics }: SortingDeps) {
  const strangersPerS = STRANGERS_SHARE * messagesPerS;
  const strangers = fullAllowance(strangersPerS, performance.now());
  const stationOf = (topic: string): Station | undefined => {
    const name = parseApiTopic(prefix, topic)?.station ?? prefix.strip(topic)?.station;
    return name === undefined ? undefined : registry.get(name);
  };
  return ({ topic, payload, dup }: Incoming): Sorted => {
    if (topic === fenceTopic) return { sender: 'fence', how: 'serve' };
    const entry = known(topic) ?? stationOf(topic);
    // It counted when it came first, and may have been answered then; the broker has only so many that it sends again.
    if (dup) return { sender: entry ? `station ${entry.station}` : 'strangers', how: 'serve' };
    const now = performance.now();
    const how = entry
      ? treat(entry.allowance, payload.length, messagesPerS, now)
      : treat(strangers, payload.length, strangersPerS, now);
    if (how !== 'serve') metrics.tooMany.labels(how === 'drop' ? 'dropped' : 'answered_by_default').inc();
    return { sender: entry ? `station ${entry.station}` : 'strangers', how };
  };
}
