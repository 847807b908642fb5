/** What most parts of the MQTT service stand on. Each names what it takes of it. */
import type { Intake } from '@khumbu/intake/intake';
import type { Now } from '@khumbu/operations/clock/depot-clock';
import type { Store } from '@khumbu/operations/kinds/store';
import type { TopicPrefix } from '@khumbu/shared/contract/topics';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Standing } from '../leader/standing.js';
import type { GatewayMetrics } from '../metrics.js';
import type { RateLimitedLog } from '../rate-limited-log.js';
import type { Registry } from './liveness/registry.js';
import type { ReplyCache } from './outbound/reply-cache.js';
import type { BacklogMarker } from './session/backlog-marker.js';
import type { KeyedQueue } from './session/keyed-queue.js';
import type { MqttSession } from './session/mqtt-session.js';
import type { RetryUntilClosed } from './session/retry-until-closed.js';

export interface Core {
  readonly prefix: TopicPrefix;
  readonly publish: MqttSession['publish'];
  readonly standing: () => Standing;
  readonly intake: Intake;
  readonly registry: Registry;
  readonly store: Store;
  /** Outlives the service: the next one may be asked again what this one has answered. */
  readonly replyCache: ReplyCache;
  readonly backlogMarker: BacklogMarker;
  /** How old a message may be that the broker has kept. */
  readonly backlogMs: number;
  /** What one station may send; those that are not listed share a few times as much. */
  readonly messagesPerS: number;
  readonly queue: KeyedQueue;
  readonly retryUntilClosed: RetryUntilClosed;
  /** The same for work of the leader alone: a gateway that does not lead waits for its lease. */
  readonly retryAsLeader: RetryUntilClosed;
  readonly now: Now;
  readonly metrics: GatewayMetrics;
  readonly limitedLog: RateLimitedLog;
  readonly log: Logger;
}
