/**
 * The bridge: everything one MQTT session does. It routes what stations send by the channel table and puts the parts
 * together that speak to them: answers, statuses, communication checks, discovery. One bridge lives as long as one
 * connection; what it knows beyond that is stored.
 */

import { performance } from 'node:perf_hooks';
import type { Boots } from '@khumbu/intake/boots';
import type { Intake } from '@khumbu/intake/intake';
import type { Now } from '@khumbu/operations/clock/depot-clock';
import type { Store } from '@khumbu/operations/kinds/store';
import type { Notifications } from '@khumbu/operations/records/notifications';
import {
  CHANNELS,
  channel,
  channelNames,
  type E2mChannelName,
  type RequestChannelName,
} from '@khumbu/shared/contract/channels';
import { decode } from '@khumbu/shared/contract/codec';
import type { ResetRequest } from '@khumbu/shared/contract/schemas';
import {
  channelFilter,
  DISCOVERY,
  OCPP_CONSUMER,
  parseApiTopic,
  type StationAddress,
  type TopicPrefix,
} from '@khumbu/shared/contract/topics';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { assertMay } from '../leader/standing.js';
import type { GatewayMetrics } from '../metrics.js';
import { createRateLimitedLog } from '../rate-limited-log.js';
import { answerKeyOf, createAnswering } from './inbound/answering.js';
import { createCommands, isRequest, plainReplyTo } from './inbound/commands.js';
import { createDiscovery, type Discovered } from './inbound/discovery.js';
import { createHeartbeatHandler } from './inbound/heartbeat-handler.js';
import { createRedelivered, type Marks } from './inbound/redelivered.js';
import { createUnanswered } from './inbound/unanswered.js';
import { createBootSigns } from './liveness/boot-signs.js';
import { oneModuleAnswered, twoModulesAnswered } from './liveness/duplicate-identity.js';
import { createOcppSide } from './liveness/ocpp-side.js';
import { PROVES_LISTENING, provenListening } from './liveness/presence.js';
import type { Registry } from './liveness/registry.js';
import type { Station } from './liveness/station.js';
import { createCommunicationChecks } from './outbound/communication-checks.js';
import type { ReplyCache } from './outbound/reply-cache.js';
import { createStatusPublisher } from './outbound/status-publisher.js';
import { createBacklogMarker } from './session/backlog-marker.js';
import { createClassify } from './session/classify.js';
import { createKeyedQueue } from './session/keyed-queue.js';
import {
  type Classified,
  type Incoming,
  type MqttSession,
  type MqttSessionOptions,
  openMqttSession,
  type Speech,
} from './session/mqtt-session.js';
import { asLeader, createRetryUntilClosed } from './session/retry-until-closed.js';

/** A topic may be 64 KiB long, and so may a reason that names a member; a line in the log need not be. */
const LOGGED_LENGTH = 300;
/** More than any depot has stations; modules may be renamed without end. */
const MAX_HEARTBEAT_TOPICS = 10_000;
/** A reset, or a permission. */
const HARMLESS_BYTES = 1024;
const TOO_MANY = 'more than one station may send';

export interface MqttServiceDeps {
  readonly mqtt: Omit<MqttSessionOptions, 'onMessage' | 'sort'>;
  /** Whose gateways we belong to: theirs share a session. */
  readonly depot: string;
  /** How old a message may be that the broker has kept for us. */
  readonly backlogMs: number;
  readonly prefix: TopicPrefix;
  readonly intake: Intake;
  readonly registry: Registry;
  readonly boots: Boots;
  readonly store: Store;
  readonly notifications: Notifications;
  readonly marks: Marks;
  /** Outlives the bridge: the next one may be asked again what this one has answered. */
  readonly replyCache: ReplyCache;
  /** Redis answers, and no commit is of unknown fate. */
  readonly canStore: () => boolean;
  readonly now: Now;
  readonly metrics: GatewayMetrics;
  /** What one station may send; strangers that are not listed share a few times as much. */
  readonly messagesPerS: number;
  readonly log: Logger;
}

export interface MqttService {
  /** Connected, subscribed, and through the backlog. */
  isServing(): boolean;
  readonly closed: Promise<string>;
  end(): Promise<void>;
}

const BY_LEAF = new Map(channelNames('e2m').map((name) => [CHANNELS[name].leaf as string, name as E2mChannelName]));

/** Which messages we want, and how surely. */
function subscriptions(prefix: TopicPrefix, markerTopic: string): Record<string, 0 | 1> {
  const filters: Record<string, 0 | 1> = { [markerTopic]: 1 };
  for (const name of channelNames('e2m')) filters[channelFilter(prefix, name)] = CHANNELS[name].qos;
  for (const leaf of OCPP_CONSUMER.leaves) filters[OCPP_CONSUMER.filter(prefix, leaf)] = 1;
  filters[`${prefix.wildcard}${DISCOVERY.readyBeacon}`] = 1;
  filters[`${prefix.wildcard}${DISCOVERY.answerFilter}`] = 1;
  return filters;
}

/** Open a session and serve. Rejects when the broker cannot be reached or refuses. */
export async function openMqttService(deps: MqttServiceDeps): Promise<MqttService> {
  const { prefix, intake, registry, boots, store, metrics, log } = deps;
  const { standing } = deps.mqtt;
  const over = new AbortController();
  const backlogMarker = createBacklogMarker(deps.depot);
  const queue = createKeyedQueue();
  const retryUntilClosed = createRetryUntilClosed(over.signal, log);
  const limitedLog = createRateLimitedLog(log);
  let session: MqttSession | undefined;
  let opened: (session: MqttSession) => void = () => undefined;
  const opening = new Promise<MqttSession>((resolve) => {
    opened = resolve;
  });

  const tell = async (topic: string, payload: string, qos: 0 | 1, speech: Speech = 'publish'): Promise<boolean> =>
    // The first messages come with the broker's word that it takes the connection.
    (session ?? (await opening)).publish(topic, payload, qos, speech);
  const publish = async (topic: string, payload: string, qos: 0 | 1, speech: Speech = 'publish'): Promise<void> => {
    await tell(topic, payload, qos, speech);
  };
  const bad = (topic: string, reason: string): void => {
    metrics.badMessages.inc();
    limitedLog.warn({ topic: topic.slice(0, LOGGED_LENGTH), reason: reason.slice(0, LOGGED_LENGTH) }, 'bad message');
  };

  const publisher = createStatusPublisher({
    store,
    registry,
    prefix,
    publish: tell,
    now: deps.now,
    log,
    onSent: () => metrics.statusesTold.inc(),
  });
  const canServe = (): boolean =>
    session !== undefined && standing() === 'leading' && deps.canStore() && publisher.moves();
  const checks = createCommunicationChecks({ registry, prefix, publish, canServe, log });
  const ocppSide = createOcppSide({ registry, prefix, publish, onRegistered: publisher.kick, log });
  const discovery = createDiscovery({
    prefix,
    publish,
    onDiscovered: (found) => onDiscovered(found),
    onAlone: (station, askedAt) => {
      const entry = registry.get(station);
      if (!entry) return;
      entry.presence = oneModuleAnswered(entry.presence, askedAt);
      heartbeatHandler.judge(entry);
    },
    bad,
    log,
  });
  const signs = createBootSigns(over.signal);
  const heartbeatHandler = createHeartbeatHandler({
    boots,
    publisher,
    checks,
    discovery,
    signs,
    queue,
    retryUntilClosed: asLeader(retryUntilClosed, standing),
    onDuplicateChange: () => {
      metrics.duplicates.set(registry.duplicates().length);
      void registry.flushSoon();
    },
    limitedLog,
    log,
  });
  const answer = createAnswering({
    intake,
    publish: tell,
    standing,
    replyCache: deps.replyCache,
    queue,
    retryUntilClosed,
    limitedLog,
    log,
    onAnswered: (name, by, ms) => metrics.answers.labels(name, by).observe(ms / 1000),
  });
  const commands = createCommands({
    prefix,
    store,
    intake,
    registry,
    answer,
    heartbeatHandler,
    signs,
    backlogMarker,
    backlogMs: deps.backlogMs,
    publish,
    unanswered: createUnanswered({ queue, retryUntilClosed, standing, limitedLog }),
    bad,
    onUnread: () => metrics.unread.inc(),
    limitedLog,
    log,
  });

  const onDiscovered = (found: Discovered): void => {
    if (found.type === OCPP_CONSUMER.type) {
      ocppSide.discovered(found.station, found.moduleId);
      return;
    }
    const entry = registry.meet(found)?.entry;
    if (!entry) return;
    if (found.communication) entry.presence = { ...entry.presence, communication: found.communication };
    if (found.isSecond) entry.presence = twoModulesAnswered(entry.presence, performance.now());
    heartbeatHandler.judge(entry);
    entry.dirty = true;
    // Without heartbeats this is the first that is heard of it, and it waits for a check all the same.
    const beats = (found.communication?.heartbeat_period_ms ?? 1) > 0;
    if (!beats && entry.checkDueAt === undefined) checks.begin(entry);
    publisher.kick(found.station);
  };

  /** Most of what comes are heartbeats; their topics are not taken apart each time. */
  const heartbeatTopics = new Map<string, { readonly entry: Station; readonly moduleId: string }>();
  /** A module that was renamed is followed, back again too; a station that was forgotten is met anew. */
  const knownByHeartbeat = (topic: string): Station | undefined => {
    const known = heartbeatTopics.get(topic);
    if (!known) return undefined;
    const { entry, moduleId } = known;
    return moduleId === entry.moduleId && registry.get(entry.station) === entry ? entry : undefined;
  };
  const onHeartbeat = (entry: Station, { topic, payload }: Incoming, how: Classified['how']): void => {
    metrics.heard('heartbeat');
    const decoded = decode('heartbeat', payload);
    if (how !== 'serve') bad(topic, TOO_MANY);
    else if (decoded.ok) heartbeatHandler.heartbeat(entry, decoded.payload as number);
    else bad(topic, decoded.reason);
  };

  const onSystemApi = (
    leaf: string,
    entry: Station,
    message: Incoming,
    how: Classified['how'],
  ): Promise<void> | void => {
    const name = BY_LEAF.get(leaf);
    if (!name) return bad(message.topic, 'no such channel');
    entry.dirty = true;
    if (name === 'heartbeat') {
      if (heartbeatTopics.size >= MAX_HEARTBEAT_TOPICS) heartbeatTopics.clear();
      heartbeatTopics.set(message.topic, { entry, moduleId: entry.moduleId });
      return onHeartbeat(entry, message, how);
    }
    metrics.heard(name);
    const decoded = decode(name, message.payload);
    entry.lastMessageAt = performance.now();
    if (how === 'refuse' || !decoded.ok) {
      const reason = decoded.ok ? TOO_MANY : decoded.reason;
      return commands.refuse(name, entry, message, decoded.replyTo, reason);
    }
    if (PROVES_LISTENING.has(name)) {
      entry.presence = provenListening(entry.presence, performance.now());
      publisher.heard(entry.station);
    }
    if (name === 'reset') return commands.reset(entry, message, decoded.payload as ResetRequest);
    if (name === 'allow_firmware_installation') return commands.allow(entry, message);
    return commands.request(name satisfies RequestChannelName, entry, message, decoded);
  };

  /** There is no room for it: it is answered as a station nobody configured is, and not remembered. */
  const onUnlisted = (address: StationAddress & { leaf: string }, message: Incoming): Promise<void> => {
    const name = BY_LEAF.get(address.leaf);
    const decoded = name && decode(name, message.payload);
    return commands.refuse(name, address, message, decoded?.replyTo, 'too many unknown stations');
  };

  /** Without a prefix per station nobody can tell whose modules have started, unless there is only one. */
  const onBeacon = (station: string | undefined): void => {
    const [only, another] = registry.all();
    const entry = station === undefined ? (another ? undefined : only) : registry.get(station);
    if (entry) heartbeatHandler.beacon(entry);
    discovery.ask(station ?? '');
  };

  /** A rejection means that the session is over before the work was done: the message comes again to the next one. */
  const onMessage = (message: Incoming, how: Classified['how']): Promise<void> | void => {
    const { topic, payload } = message;
    const known = knownByHeartbeat(topic);
    if (known) return onHeartbeat(known, message, how);
    if (topic === backlogMarker.topic) return backlogMarker.hear(payload);
    const api = parseApiTopic(prefix, topic);
    if (api?.type === 'system') {
      const met = registry.meet(api);
      if (!met) return onUnlisted(api, message);
      const { entry, isNew } = met;
      if (!isNew) return onSystemApi(api.leaf, entry, message, how);
      metrics.unconfigured.set(registry.unconfigured());
      limitedLog.info({ station: entry.station, moduleId: entry.moduleId }, 'a station is heard for the first time');
      discovery.ask(entry.station);
      // Listed at once, but nothing waits for it: messages keep their order.
      void registry.flushSoon();
      return onSystemApi(api.leaf, entry, message, how);
    }
    if (how === 'refuse') return bad(topic, TOO_MANY);
    if (api?.type === OCPP_CONSUMER.type) return ocppSide.hearPublished(api.station, api.leaf, payload);
    const stripped = prefix.strip(topic);
    if (stripped?.rest === DISCOVERY.readyBeacon) return onBeacon(stripped.station);
    if (!ocppSide.hearLatched(topic, payload)) discovery.hear(topic, payload);
  };

  let ends: 'by us' | 'lost' | undefined;
  const redelivered = createRedelivered({
    marks: deps.marks,
    retryUntilClosed: asLeader(retryUntilClosed, standing),
    standing,
    isStopping: () => ends === 'by us',
  });
  /** This process has read it and lives; the answer goes out again, also while Redis is out. */
  const wasToldByUs = (station: string, name: E2mChannelName, { payload }: Incoming): boolean => {
    const replyTo = isRequest(name) ? plainReplyTo(payload) : undefined;
    return (
      replyTo !== undefined &&
      deps.replyCache.find(station, answerKeyOf(name as RequestChannelName, replyTo)) !== undefined
    );
  };
  /** What came again is read with care, unless it is too small to hold anything but the word that it is. */
  const receive = (message: Incoming, how: Classified['how']): Promise<void> | void => {
    const api = message.dup ? parseApiTopic(prefix, message.topic) : undefined;
    const name = api?.type === 'system' ? BY_LEAF.get(api.leaf) : undefined;
    const isHarmless = message.payload.length <= HARMLESS_BYTES && !(name && channel(name).reply);
    if (!api || isHarmless || (name && wasToldByUs(api.station, name, message))) return onMessage(message, how);
    const refuse = (): Promise<void> => {
      const entry = api.type === 'system' ? registry.meet(api)?.entry : undefined;
      return entry
        ? commands.refuseUnread(name, entry, message)
        : commands.refuse(name, api, message, undefined, 'it ended a leader before');
    };
    const read = (isRead: () => void): Promise<void> | void => {
      const releasePlace = (): void => {
        message.releasePlace?.();
        isRead();
      };
      return onMessage({ ...message, releasePlace }, how);
    };
    return redelivered.take(api.station, message, read, refuse);
  };

  const stop = (): void => {
    ends ??= 'lost';
    over.abort();
    publisher.stop();
    checks.stop();
    heartbeatHandler.stop();
    discovery.stop();
  };
  const open = async (): Promise<MqttSession> => {
    await registry.load();
    assertMay(standing(), 'publish');
    return openMqttSession({
      ...deps.mqtt,
      sort: createClassify({
        prefix,
        registry,
        known: knownByHeartbeat,
        markerTopic: backlogMarker.topic,
        messagesPerS: deps.messagesPerS,
        metrics,
      }),
      onMessage: (message, how) => {
        const surprise = (error: unknown): void => {
          if (over.signal.aborted || hasCode(error, 'MQTT_CLOSED')) throw error;
          // A surprise would be one again the next time: it is told, and the message is done with.
          limitedLog.error({ topic: message.topic.slice(0, LOGGED_LENGTH), err: error }, 'message not handled');
        };
        try {
          return receive(message, how)?.catch(surprise);
        } catch (error) {
          return surprise(error);
        }
      },
    });
  };
  try {
    session = await open();
  } catch (error) {
    // The next try has timers of its own.
    stop();
    throw error;
  }
  opened(session);
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
  const served = session;
  return {
    isServing: () => !over.signal.aborted && backlogMarker.isPassed(),
    closed: served.closed,
    async end() {
      ends ??= 'by us';
      stop();
      await served.end();
      await redelivered.settled();
      await registry.stop();
    },
  };
}
