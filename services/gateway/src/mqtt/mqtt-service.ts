/**
 * Everything one MQTT session of the leader does, put together. A service lives as long as one connection; what lasts longer
 * is stored.
 */
import type { Boots } from '@khumbu/intake/boots';
import type { Notifications } from '@khumbu/operations/records/notifications';
import { CHANNELS, channelNames } from '@khumbu/shared/contract/channels';
import { channelFilter, DISCOVERY, OCPP_CONSUMER, type TopicPrefix } from '@khumbu/shared/contract/topics';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { FrameRecorder } from '../frames/frame-recorder.js';
import { assertMay } from '../leader/standing.js';
import { createRateLimitedLog, type RateLimitedLog } from '../rate-limited-log.js';
import type { Core } from './core.js';
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
import { createCertificateStore } from './liveness/certificate-store.js';
import { createDuplicateWatch } from './liveness/duplicate-watch.js';
import { createOcppSide } from './liveness/ocpp-side.js';
import type { Station } from './liveness/station.js';
import { createCommunicationChecks } from './outbound/communication-checks.js';
import { createDecidedAnswers } from './outbound/decided-answers.js';
import { createReplies } from './outbound/reply.js';
import { createStatusPublisher } from './outbound/status-publisher.js';
import { createBacklogMarker } from './session/backlog-marker.js';
import { createClassify } from './session/classify.js';
import type { Incoming } from './session/incoming.js';
import { createKeyedQueue } from './session/keyed-queue.js';
import { createMqttSession, type MqttSession, type MqttSessionOptions } from './session/mqtt-session.js';
import { asLeader, createRetryUntilClosed } from './session/retry-until-closed.js';

type Given =
  | 'prefix'
  | 'intake'
  | 'registry'
  | 'store'
  | 'replyCache'
  | 'backlogMs'
  | 'messagesPerS'
  | 'now'
  | 'metrics'
  | 'log';

export interface MqttServiceDeps extends Pick<Core, Given> {
  readonly mqtt: MqttSessionOptions;
  /** The gateways of one depot share a session. */
  readonly depot: string;
  readonly boots: Boots;
  readonly directory: Pick<StationDirectory, 'profileOf' | 'configured'>;
  readonly notifications: Notifications;
  readonly marks: Marks;
  /** Outlives the service: what was said before a connection was lost is wanted most. */
  readonly recorder: FrameRecorder;
  /** Redis answers, and no commit is of unknown fate. */
  readonly canStore: () => boolean;
}

export type MqttService = Awaited<ReturnType<typeof openMqttService>>;

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

/** What goes out is taken down once the broker has it. */
const recorded =
  (publish: MqttSession['publish'], recorder: FrameRecorder): MqttSession['publish'] =>
  async (topic, payload, qos, speech) => {
    const isHeard = await publish(topic, payload, qos, speech);
    recorder.sent(topic, payload, qos, isHeard);
    return isHeard;
  };

/** All parts of the service, from the session inwards and back to it. */
function compose(deps: MqttServiceDeps, session: MqttSession, over: AbortSignal, isStopping: () => boolean) {
  const { boots, marks, log } = deps;
  const { standing } = deps.mqtt;
  const retryUntilClosed = createRetryUntilClosed(over, log);
  const core: Core = {
    ...deps,
    publish: recorded(session.publish, deps.recorder),
    standing,
    backlogMarker: createBacklogMarker(deps.depot),
    queue: createKeyedQueue(),
    retryUntilClosed,
    retryAsLeader: asLeader(retryUntilClosed, standing),
    limitedLog: createRateLimitedLog(log),
  };

  const createReply = createReplies(core);
  const publishDecided = createDecidedAnswers(core);
  const answer = createAnswering({ ...core, createReply, publishDecided });
  const refusals = createRefusals({ ...core, answer });

  const publisher = createStatusPublisher(core);
  const keepsPromise = (): boolean =>
    session.isOpen() && standing() === 'leading' && deps.canStore() && publisher.moves();
  const checks = createCommunicationChecks({ ...core, keepsPromise });
  const ocppSide = createOcppSide({ ...core, onRegistered: publisher.kick });
  const certificateStore = createCertificateStore({ ...core, directory: deps.directory }, over);

  // Discovery asks modules and is given their answers; what follows from an answer may be another question.
  const judge = (entry: Station): void => duplicates.judge(entry);
  const modules: Modules = createModules({ ...core, duplicates: { judge }, ocppSide, checks, publisher });
  const discovery = createDiscovery({ ...core, modules, bad: refusals.bad });
  const duplicates = createDuplicateWatch({ ...core, discovery });

  const signs = createBootSigns(over);
  const bootCounter = createBootCounter({ ...core, boots, publisher, duplicates });
  const heartbeats = createHeartbeatHandler({ bootCounter, duplicates, publisher, checks, discovery, signs });
  const heartbeatTopics = createHeartbeatTopics(core.registry);

  const unanswered = createUnanswered(core);
  const request = createRequests({ ...core, answer, refusals, bootCounter, signs });
  const reset = createResets({ ...core, unanswered, refusals });
  const permission = createPermissions({ ...core, unanswered });
  const handlers = {
    heartbeats,
    request,
    reset,
    permission,
    refusals,
    discovery,
    ocppSide,
    certificateStore,
    publisher,
  };
  const router = createRouter({ ...core, heartbeatTopics, ...handlers });
  const redelivered = createRedelivered({ ...core, marks, isStopping });
  const careful = createCarefulReading({ ...core, refusals, redelivered }, router);
  const handle = guarded(careful, over, core.limitedLog);
  return {
    classify: createClassify({ ...core, heartbeatTopics }),
    onMessage: ((message, how) => {
      deps.recorder.received(message);
      return handle(message, how);
    }) satisfies OnMessage,
    onDropped: ({ topic }: Pick<Incoming, 'topic'>): void => deps.recorder.missed(topic),
    publisher,
    certificateStore,
    checks,
    discovery,
    backlogMarker: core.backlogMarker,
    redelivered,
    /** Their timers. */
    stop: (): void => {
      for (const part of [publisher, checks, duplicates, bootCounter, discovery]) part.stop();
    },
  };
}

/** Open a session and serve. Rejects when the broker cannot be reached or refuses. */
export async function openMqttService(deps: MqttServiceDeps) {
  const { prefix, registry } = deps;
  const over = new AbortController();
  let ends: 'by us' | 'lost' | undefined;
  const session = createMqttSession(deps.mqtt);
  const parts = compose(deps, session, over.signal, () => ends === 'by us');
  const { publisher, certificateStore, checks, discovery, backlogMarker, redelivered } = parts;
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
    deps.recorder.listening();
    void session.closed.then(deps.recorder.deaf);
    await session.publish(backlogMarker.topic, backlogMarker.nonce, 1);
  } catch (error) {
    await session.end();
    throw error;
  }
  const listening = [
    deps.notifications.on('outbox', publisher.kick),
    deps.notifications.on('certificates', certificateStore.wanted),
  ];
  void session.closed.then(() => {
    for (const unsubscribe of listening) unsubscribe();
  });
  registry.start();
  if (!prefix.perStation) discovery.ask('');
  if (prefix.perStation) for (const entry of registry.all()) discovery.ask(entry.station);
  void publisher.sweep();
  return {
    /** Connected, subscribed, and through the backlog. */
    isServing: (): boolean => !over.signal.aborted && backlogMarker.isPassed(),
    closed: session.closed,
    async end(): Promise<void> {
      ends ??= 'by us';
      stop();
      await session.end();
      await redelivered.settled();
      await registry.stop();
    },
  };
}
