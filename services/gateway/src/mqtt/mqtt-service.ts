/**
 * Everything one MQTT session of the leader does, put together. A service lives as long as one connection; what lasts longer
 * is stored.
 */
import type { Boots } from '@khumbu/intake/boots';
import type { Intake } from '@khumbu/intake/intake';
import type { Now } from '@khumbu/operations/clock/depot-clock';
import type { Store } from '@khumbu/operations/kinds/store';
import type { Notifications } from '@khumbu/operations/records/notifications';
import { CHANNELS, channelNames } from '@khumbu/shared/contract/channels';
import { channelFilter, DISCOVERY, OCPP_CONSUMER, type TopicPrefix } from '@khumbu/shared/contract/topics';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { assertMay } from '../leader/standing.js';
import type { GatewayMetrics } from '../metrics.js';
import { createRateLimitedLog, type RateLimitedLog } from '../rate-limited-log.js';
import { createAnswering } from './inbound/answering.js';
import { createCarefulReading } from './inbound/careful-reading.js';
import { createDiscovery } from './inbound/discovery.js';
import { createHeartbeatHandler } from './inbound/heartbeat-handler.js';
import { createHeartbeatTopics } from './inbound/heartbeat-topics.js';
import { createModules, type Modules } from './inbound/modules.js';
import { createPermissions } from './inbound/permissions.js';
import { createRedelivered, type Marks } from './inbound/redelivered.js';
import { createRefusals, LOGGED_LENGTH } from './inbound/refusals.js';
import { createRequests } from './inbound/requests.js';
import { createResets } from './inbound/resets.js';
import { createRouter, type OnMessage } from './inbound/router.js';
import { createUnanswered } from './inbound/unanswered.js';
import { createBootCounter } from './liveness/boot-counter.js';
import { createBootSigns } from './liveness/boot-signs.js';
import { createDuplicateWatch } from './liveness/duplicate-watch.js';
import { createOcppSide } from './liveness/ocpp-side.js';
import type { Registry } from './liveness/registry.js';
import { createCommunicationChecks } from './outbound/communication-checks.js';
import { createDecidedAnswers } from './outbound/decided-answers.js';
import { createReplies } from './outbound/reply.js';
import type { ReplyCache } from './outbound/reply-cache.js';
import { createStatusPublisher } from './outbound/status-publisher.js';
import { createBacklogMarker } from './session/backlog-marker.js';
import { createClassify } from './session/classify.js';
import { createKeyedQueue } from './session/keyed-queue.js';
import { createMqttSession, type MqttSession, type MqttSessionOptions } from './session/mqtt-session.js';
import { asLeader, createRetryUntilClosed } from './session/retry-until-closed.js';

export interface MqttServiceDeps {
  readonly mqtt: MqttSessionOptions;
  /** The gateways of one depot share a session. */
  readonly depot: string;
  /** How old a message may be that the broker has kept. */
  readonly backlogMs: number;
  readonly prefix: TopicPrefix;
  readonly intake: Intake;
  readonly registry: Registry;
  readonly boots: Boots;
  readonly store: Store;
  readonly notifications: Notifications;
  readonly marks: Marks;
  /** Outlives the service: the next one may be asked again what this one has answered. */
  readonly replyCache: ReplyCache;
  /** Redis answers, and no commit is of unknown fate. */
  readonly canStore: () => boolean;
  readonly now: Now;
  readonly metrics: GatewayMetrics;
  /** What one station may send; those that are not listed share a few times as much. */
  readonly messagesPerS: number;
  readonly log: Logger;
}

export interface MqttService {
  /** Connected, subscribed, and through the backlog. */
  isServing(): boolean;
  readonly closed: Promise<string>;
  end(): Promise<void>;
}

/** Which messages are wanted, and how surely. */
function subscriptions(prefix: TopicPrefix, markerTopic: string): Record<string, 0 | 1> {
  const filters: Record<string, 0 | 1> = { [markerTopic]: 1 };
  for (const name of channelNames('e2m')) filters[channelFilter(prefix, name)] = CHANNELS[name].qos;
  for (const leaf of OCPP_CONSUMER.leaves) filters[OCPP_CONSUMER.filter(prefix, leaf)] = 1;
  filters[`${prefix.wildcard}${DISCOVERY.readyBeacon}`] = 1;
  filters[`${prefix.wildcard}${DISCOVERY.answerFilter}`] = 1;
  return filters;
}

/** What cannot be handled would be so again the next time: it is logged, and the message is done with. */
function guarded(onMessage: OnMessage, over: AbortSignal, limitedLog: RateLimitedLog): OnMessage {
  return (message, how) => {
    const surprise = (error: unknown): void => {
      if (over.aborted || hasCode(error, 'MQTT_CLOSED')) throw error;
      limitedLog.error({ topic: message.topic.slice(0, LOGGED_LENGTH), err: error }, 'message not handled');
    };
    try {
      return onMessage(message, how)?.catch(surprise);
    } catch (error) {
      return surprise(error);
    }
  };
}

/** All parts of the service, from the session inwards and back to it. */
function compose(deps: MqttServiceDeps, session: MqttSession, over: AbortSignal, isStopping: () => boolean) {
  const { prefix, intake, registry, store, replyCache, metrics, log, backlogMs, messagesPerS } = deps;
  const { publish } = session;
  const { standing } = deps.mqtt;
  const limitedLog = createRateLimitedLog(log);
  const backlogMarker = createBacklogMarker(deps.depot);
  const queue = createKeyedQueue();
  const retryUntilClosed = createRetryUntilClosed(over, log);
  const retryAsLeader = asLeader(retryUntilClosed, standing);

  const createReply = createReplies({
    publish,
    standing,
    replyCache,
    limitedLog,
    onAnswered: (name, by, ms) => metrics.answers.labels(name, by).observe(ms / 1000),
  });
  const publishDecided = createDecidedAnswers({ intake, retryUntilClosed, limitedLog, log });
  const answer = createAnswering({ intake, createReply, publishDecided, standing, queue, retryUntilClosed, log });
  const refusals = createRefusals({
    prefix,
    publish,
    answer,
    onBad: () => metrics.badMessages.inc(),
    onUnread: () => metrics.unread.inc(),
    limitedLog,
  });
  const { bad } = refusals;

  const onSent = (): void => metrics.statusesTold.inc();
  const publisher = createStatusPublisher({ store, registry, prefix, publish, now: deps.now, log, onSent });
  const keepsPromise = (): boolean =>
    session.isOpen() && standing() === 'leading' && deps.canStore() && publisher.moves();
  const checks = createCommunicationChecks({ registry, prefix, publish, keepsPromise, log });
  const ocppSide = createOcppSide({ registry, prefix, publish, onRegistered: publisher.kick, log });

  // Discovery asks modules and is given their answers; what follows from an answer may be another question.
  const modules: Modules = createModules({
    registry,
    duplicates: { judge: (entry) => duplicates.judge(entry) },
    ocppSide,
    checks,
    publisher,
  });
  const discovery = createDiscovery({ prefix, publish, modules, bad, log });
  const onChange = (): void => {
    metrics.duplicates.set(registry.duplicates().length);
    void registry.flushSoon();
  };
  const duplicates = createDuplicateWatch({ discovery, onChange, limitedLog });

  const signs = createBootSigns(over);
  const { boots } = deps;
  const bootCounter = createBootCounter({ boots, publisher, duplicates, queue, retryUntilClosed: retryAsLeader, log });
  const heartbeats = createHeartbeatHandler({ bootCounter, duplicates, publisher, checks, discovery, signs });
  const heartbeatTopics = createHeartbeatTopics(registry);

  const unanswered = createUnanswered({ queue, retryUntilClosed, standing, limitedLog });
  const request = createRequests({ prefix, registry, answer, refusals, bootCounter, signs, backlogMarker, backlogMs });
  const reset = createResets({ store, intake, backlogMarker, unanswered, refusals, limitedLog, log });
  const permission = createPermissions({ intake, registry, unanswered, limitedLog });
  const handlers = { heartbeats, request, reset, permission, refusals, discovery, ocppSide, publisher };
  const router = createRouter({ prefix, registry, heartbeatTopics, ...handlers, backlogMarker, metrics, limitedLog });

  const { marks } = deps;
  const redelivered = createRedelivered({ marks, retryUntilClosed: retryAsLeader, standing, isStopping });
  const careful = createCarefulReading({ prefix, registry, replyCache, refusals, redelivered }, router);
  const markerTopic = backlogMarker.topic;
  return {
    classify: createClassify({ prefix, registry, heartbeatTopics, markerTopic, messagesPerS, metrics }),
    onMessage: guarded(careful, over, limitedLog),
    publisher,
    checks,
    discovery,
    backlogMarker,
    redelivered,
    /** Their timers. */
    stop: (): void => {
      for (const part of [publisher, checks, duplicates, bootCounter, discovery]) part.stop();
    },
  };
}

/** Open a session and serve. Rejects when the broker cannot be reached or refuses. */
export async function openMqttService(deps: MqttServiceDeps): Promise<MqttService> {
  const { prefix, registry } = deps;
  const over = new AbortController();
  let ends: 'by us' | 'lost' | undefined;
  const session = createMqttSession(deps.mqtt);
  const parts = compose(deps, session, over.signal, () => ends === 'by us');
  const { publisher, checks, discovery, backlogMarker, redelivered } = parts;
  const stop = (): void => {
    ends ??= 'lost';
    over.abort();
    parts.stop();
  };
  try {
    await registry.load();
    assertMay(deps.mqtt.standing(), 'publish');
    await session.connect(parts);
  } catch (error) {
    // The next try has timers of its own.
    stop();
    throw error;
  }
  void session.closed.then(stop);
  checks.beginAll();
  try {
    await session.subscribe(subscriptions(prefix, backlogMarker.topic));
    await session.publish(backlogMarker.topic, backlogMarker.nonce, 1);
  } catch (error) {
    await session.end();
    throw error;
  }
  const unsubscribe = deps.notifications.on('outbox', publisher.kick);
  void session.closed.then(unsubscribe);
  registry.start();
  if (!prefix.perStation) discovery.ask('');
  if (prefix.perStation) for (const entry of registry.all()) discovery.ask(entry.station);
  void publisher.sweep();
  return {
    isServing: () => !over.signal.aborted && backlogMarker.isPassed(),
    closed: session.closed,
    async end() {
      ends ??= 'by us';
      stop();
      await session.end();
      await redelivered.settled();
      await registry.stop();
    },
  };
}
