/** From whom a message is, and how much is done with it: each listed station for itself, all others as one. */
import { performance } from 'node:perf_hooks';
import { parseApiTopic, type TopicPrefix } from '@khumbu/shared/contract/topics';
import type { GatewayMetrics } from '../../metrics.js';
import type { Registry } from '../liveness/registry.js';
import type { Station } from '../liveness/station.js';
import type { Classified, Incoming } from './mqtt-session.js';
import { fullBuckets, treat } from './token-bucket.js';

/** All whom nobody knows together may send as much as so many stations. */
const UNCONFIGURED_SHARE = 5;

export interface ClassifyDeps {
  readonly prefix: TopicPrefix;
  readonly registry: Pick<Registry, 'get'>;
  /** The station whose heartbeat topic this is, without taking it apart. */
  readonly known: (topic: string) => Station | undefined;
  /** Our own word to ourselves. */
  readonly markerTopic: string;
  readonly messagesPerS: number;
  readonly metrics: Pick<GatewayMetrics, 'tooMany'>;
}

export function createClassify({ prefix, registry, known, markerTopic, messagesPerS, metrics }: ClassifyDeps) {
  const unconfiguredPerS = UNCONFIGURED_SHARE * messagesPerS;
  const unconfigured = fullBuckets(unconfiguredPerS, performance.now());
  const stationOf = (topic: string): Station | undefined => {
    const name = parseApiTopic(prefix, topic)?.station ?? prefix.strip(topic)?.station;
    return name === undefined ? undefined : registry.get(name);
  };
  return ({ topic, payload, dup }: Incoming): Classified => {
    if (topic === markerTopic) return { sender: 'backlog marker', how: 'serve' };
    const entry = known(topic) ?? stationOf(topic);
    // It counted when it came first, and may have been answered then; the broker has only so many that it sends again.
    if (dup) return { sender: entry ? `station ${entry.station}` : 'unconfigured', how: 'serve' };
    const now = performance.now();
    const how = entry
      ? treat(entry.buckets, payload.length, messagesPerS, now)
      : treat(unconfigured, payload.length, unconfiguredPerS, now);
    if (how !== 'serve') metrics.tooMany.labels(how === 'drop' ? 'dropped' : 'answered_by_default').inc();
    return { sender: entry ? `station ${entry.station}` : 'unconfigured', how };
  };
}
