/** The sender of a message and how much is done with it: each listed station for itself, all others as one sender. */
import { parseApiTopic, type TopicPrefix } from '@khumbu/shared/contract/topics';
import type { GatewayMetrics } from '../../metrics.js';
import type { BacklogMarker } from './backlog-marker.js';
import type { Classified, Incoming } from './incoming.js';
import { fullBuckets, type TokenBuckets, treat } from './token-bucket.js';

/** All stations that are not listed together may send as much as so many stations. */
const UNCONFIGURED_SHARE = 5;

/** A listed station. */
interface Sender {
  readonly station: string;
  readonly buckets: TokenBuckets;
}

export interface ClassifyDeps {
  readonly prefix: TopicPrefix;
  readonly registry: { get(station: string): Sender | undefined };
  /** The station whose heartbeat topic this is, without taking it apart. */
  readonly heartbeatTopics: { find(topic: string): Sender | undefined };
  readonly backlogMarker: BacklogMarker;
  readonly messagesPerS: number;
  readonly metrics: Pick<GatewayMetrics, 'tooMany'>;
}

export function createClassify({
  prefix,
  registry,
  heartbeatTopics,
  backlogMarker,
  messagesPerS,
  metrics,
}: ClassifyDeps) {
  const unconfiguredPerS = UNCONFIGURED_SHARE * messagesPerS;
  const unconfigured = fullBuckets(unconfiguredPerS, performance.now());
  const stationOf = (topic: string): Sender | undefined => {
    const name = parseApiTopic(prefix, topic)?.station ?? prefix.strip(topic)?.station;
    return name === undefined ? undefined : registry.get(name);
  };
  return ({ topic, payload, dup }: Incoming): Classified => {
    if (topic === backlogMarker.topic) return { sender: 'backlog marker', how: 'serve' };
    const entry = heartbeatTopics.find(topic) ?? stationOf(topic);
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
