/**
 * The bridge: everything one MQTT session does. It hears stations, routes what they send by the channel table, and owns
 * the parts that speak to them: answers, statuses, communication checks, discovery. One bridge lives as long as one
 * connection; what it knows beyond that is stored.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { Hints } from '@khumbu/operations/records/hints';
import type { Store } from '@khumbu/operations/records/store';
import {
  CHANNELS,
  type ChannelName,
  channelNames,
  type E2mChannelName,
  type RequestChannelName,
} from '@khumbu/shared/contract/channels';
import { decode, encodeReply, mismatch } from '@khumbu/shared/contract/codec';
import { BootNotificationResponse, ConnectionStatus, type ResetRequest } from '@khumbu/shared/contract/schemas';
import {
  channelFilter,
  DISCOVERY,
  OCPP_CONSUMER,
  parseApiTopic,
  replyTopic,
  type TopicPrefix,
} from '@khumbu/shared/contract/topics';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { anonymousAnswerKey, type FrontDesk } from '../front-desk/front-desk.js';
import type { GatewayMetrics } from '../metrics.js';
import type { Boots } from '../stations/boots.js';
import { bootBegun, hearHeartbeat, heartbeatPeriodMs, inConflict, PROVES_LISTENING } from '../stations/presence.js';
import type { Registry, Station } from '../stations/registry.js';
import { createAnswering } from './answering.js';
import { createCommunicationChecks } from './communication-checks.js';
import { createDiscovery, type Discovered } from './discovery.js';
import { createFence, stillWaits } from './fence.js';
import { createLogLimiter } from './log-limiter.js';
import { type Incoming, type MqttSession, type MqttSessionOptions, openMqttSession } from './mqtt-session.js';
import { dialectShownBy } from './request-table.js';
import { createStatusPump } from './status-pump.js';

const RETRY_MS = 200;

export interface BridgeDeps {
  readonly mqtt: Omit<MqttSessionOptions, 'onMessage'>;
  readonly prefix: TopicPrefix;
  readonly frontDesk: FrontDesk;
  readonly registry: Registry;
  readonly boots: Boots;
  readonly store: Store;
  readonly hints: Hints;
  /** Redis answers. */
  readonly canStore: () => boolean;
  readonly metrics: GatewayMetrics;
  readonly log: Logger;
}

export interface Bridge {
  /** Connected, subscribed, and through the backlog. */
  isServing(): boolean;
  readonly closed: Promise<string>;
  end(): Promise<void>;
}

const REQUEST_NAMES: ReadonlySet<string> = new Set(
  Object.entries(CHANNELS).flatMap(([name, entry]) => ('reply' in entry ? [name] : [])),
);
const BY_LEAF = new Map(channelNames('e2m').map((name) => [CHANNELS[name].leaf as string, name as E2mChannelName]));

/** Open a session and serve. Rejects when the broker cannot be reached or refuses. */
export async function openBridge(deps: BridgeDeps): Promise<Bridge> {
  const { prefix, frontDesk, registry, boots, store, metrics, log } = deps;
  const over = new AbortController();
  const fence = createFence(deps.mqtt.clientId);
  const mayLog = createLogLimiter(() => performance.now());
  /** Requests of one name from one station come one after the other; everything else beside each other. */
  const lines = new Map<string, Promise<void>>();
  /** Boots noticed by a question whose first heartbeat is still to come. */
  const bootsByQuestion = new Set<string>();
  let session: MqttSession | undefined;

  const publish = async (topic: string, payload: string, qos: 0 | 1): Promise<void> => {
    if (!session) throw new Error('not connected yet');
    await session.publish(topic, payload, qos);
  };

  const bad = (topic: string, reason: string): void => {
    metrics.badMessages.inc();
    const left = mayLog(`${topic} ${reason}`);
    if (left !== undefined) log.warn({ topic: topic.slice(0, 300), reason, alsoLeftOut: left }, 'bad message');
  };

  /** Facts that must not be lost while the session lives; the message behind them stays unacknowledged until then. */
  const insist = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        if (over.signal.aborted) throw error;
        log.debug({ what, reason: describeError(error) }, 'not stored yet');
        await pause(RETRY_MS);
      }
    }
  };

  const inLine = (key: string, work: () => Promise<void>): Promise<void> => {
    const turn = (lines.get(key) ?? Promise.resolve()).then(work, work);
    lines.set(key, turn);
    const leave = (): void => {
      if (lines.get(key) === turn) lines.delete(key);
    };
    turn.then(leave, leave);
    return turn;
  };

  const pump = createStatusPump({ store, registry, prefix, publish, log, onSent: () => metrics.statusesTold.inc() });
  const checks = createCommunicationChecks({
    registry,
    prefix,
    publish,
    canServe: () => session !== undefined && deps.mqtt.mayPublish() && deps.canStore() && pump.moves(),
    log,
  });

  const consumerOf = (station: string): Station | undefined => {
    if (prefix.perStation) return registry.get(station);
    const all = [...registry.all()];
    return all.length === 1 ? all[0] : undefined;
  };

  const onDiscovered = (found: Discovered): void => {
    if (found.type === OCPP_CONSUMER.type) {
      const entry = consumerOf(found.station);
      if (!entry) return;
      if (entry.ocppConsumer !== found.moduleId) {
        entry.ocppConsumer = found.moduleId;
        entry.dirty = true;
      }
      for (const leaf of OCPP_CONSUMER.leaves) {
        const question = JSON.stringify({
          headers: { replyTo: DISCOVERY.answerTopic(`latched-${leaf}-${entry.station}`) },
        });
        publish(OCPP_CONSUMER.getTopic(prefix, entry.station, found.moduleId, leaf), question, 1).catch(
          () => undefined,
        );
      }
      return;
    }
    const { entry } = registry.meet(found);
    const now = performance.now();
    entry.presence = {
      ...entry.presence,
      ...(found.communication ? { communication: found.communication } : {}),
      ...(found.twin ? { twinSeenAt: now } : {}),
    };
    entry.dirty = true;
    pump.kick(found.station);
  };
  const discovery = createDiscovery({ prefix, publish, onDiscovered, log });

  const noticeConflict = (entry: Station): void => {
    const now = inConflict(entry.presence, performance.now());
    if (now === entry.conflictReported) return;
    entry.conflictReported = now;
    entry.dirty = true;
    if (now) log.error({ station: entry.station }, 'two stations use one identity: nothing is done with either');
    else log.info({ station: entry.station }, 'the station has its identity for itself again');
  };

  /** The boot is counted in the line of its questions, so that question and heartbeat do not count it twice. */
  const countBoot = (entry: Station, silentMs: number | undefined): void => {
    entry.registered = false;
    const work = async (): Promise<void> => {
      if (bootsByQuestion.delete(entry.station)) return;
      await insist('a boot', () => boots.notice(entry.station, silentMs));
      await insist('what follows a boot', () => boots.settle(entry.station));
      pump.kick(entry.station);
    };
    inLine(`${entry.station} get_boot_reason`, work).catch(() => undefined);
  };

  const onHeartbeat = (entry: Station, id: number): void => {
    const now = performance.now();
    const before = entry.presence;
    const heard = hearHeartbeat(before, id, now);
    entry.presence = heard.presence;
    entry.dirty = true;
    noticeConflict(entry);
    if (heard.restarted) countBoot(entry, before.heardAt === undefined ? undefined : now - before.heardAt);
    else bootsByQuestion.delete(entry.station);
    if (heard.returned || entry.checkDueAt === undefined) {
      checks.begin(entry);
      pump.kick(entry.station);
    }
    if (heard.restarted) discovery.ask(entry.station);
  };

  const onRequest = async (name: RequestChannelName, entry: Station, message: Incoming): Promise<void> => {
    const { station, moduleId } = entry;
    const decoded = decode(name, message.payload);
    const to = decoded.replyTo === undefined ? undefined : replyTopic(prefix, { station, moduleId }, decoded.replyTo);
    if (!decoded.ok) {
      bad(message.topic, decoded.reason);
      if (to !== undefined) await publish(to, encodeReply(name, CHANNELS[name].reply.fallback), 1);
      return;
    }
    if (decoded.replyTo !== undefined && to === undefined)
      return bad(message.topic, 'the reply topic is not the station’s own');
    if (!fence.isPassed() && !stillWaits(entry.presence.communication, deps.mqtt.sessionExpiryS)) {
      return bad(message.topic, 'too old: the station has given up waiting');
    }
    const shown = dialectShownBy(name, decoded.payload);
    if (shown && entry.learnedDialect !== shown) {
      entry.learnedDialect = shown;
      entry.dirty = true;
      await registry.flushSoon();
    }
    const heardAt = entry.presence.heartbeatAt;
    const liveness = {
      silentMs: heardAt === undefined ? undefined : performance.now() - heardAt,
      heartbeatPeriodMs: heartbeatPeriodMs(entry.presence),
    };
    await inLine(`${station} ${name}`, async () => {
      const request = {
        name,
        station,
        payload: decoded.payload,
        replyTopic: to,
        dup: message.dup,
        bytes: message.payload,
        liveness,
      };
      const answer = await answering(request);
      if (answer && 'begun' in answer && answer.begun) {
        bootsByQuestion.add(station);
        entry.presence = bootBegun(entry.presence);
        entry.registered = false;
        await insist('what follows a boot', () => boots.settle(station));
      }
    });
  };

  const onReset = async (entry: Station, message: Incoming): Promise<void> => {
    const decoded = decode('reset', message.payload);
    if (!decoded.ok) return bad(message.topic, decoded.reason);
    const { station } = entry;
    if (!fence.isPassed()) {
      const { resetReservedUntil, restartExpected } = await store.station(station);
      const awaited = Number(resetReservedUntil ?? 0) > Date.now() || restartExpected !== undefined;
      if (!awaited) return bad(message.topic, 'an old reset nobody waits for');
    }
    const request = decoded.payload as ResetRequest;
    await inLine(`${station} reset`, () =>
      insist('a reset', async () => {
        const stored = await frontDesk.reset(request, { station, answerKey: anonymousAnswerKey(), origin: 'everest' });
        log.info(
          { station, type: request.type, operationId: stored.operationId, reason: stored.reason },
          'reset asked for',
        );
      }),
    );
  };

  const onAllow = (entry: Station): Promise<void> =>
    inLine(`${entry.station} allow`, () =>
      insist('a permission', () => frontDesk.allowInstallation(entry.station, 'everest')),
    );

  const answering = createAnswering({
    frontDesk,
    publish,
    signal: over.signal,
    log,
    onAnswered: (name, by, ms) => metrics.answers.labels(name, by).observe(ms / 1000),
  });

  const onSystemApi = (leaf: string, entry: Station, message: Incoming): Promise<void> | void => {
    const name: ChannelName | undefined = BY_LEAF.get(leaf);
    if (!name) return bad(message.topic, 'no such channel');
    metrics.messages.labels(name).inc();
    if (name === 'heartbeat') {
      const decoded = decode(name, message.payload);
      return decoded.ok ? onHeartbeat(entry, decoded.payload as number) : bad(message.topic, decoded.reason);
    }
    if (PROVES_LISTENING.has(name)) {
      entry.presence = { ...entry.presence, heardAt: performance.now() };
      pump.kick(entry.station);
    }
    if (REQUEST_NAMES.has(name)) return onRequest(name as RequestChannelName, entry, message);
    return name === 'reset' ? onReset(entry, message) : onAllow(entry);
  };

  const onOcppConsumer = (leaf: string, entry: Station | undefined, payload: Uint8Array): void => {
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(payload).toString('utf8'));
    } catch {
      return;
    }
    if (!entry) return;
    if (leaf === 'boot_notification_response' && !mismatch(BootNotificationResponse, value)) {
      entry.registered = (value as { status: string }).status === 'Accepted';
      pump.kick(entry.station);
    }
    if (leaf === 'connection_status' && !mismatch(ConnectionStatus, value)) {
      const version = (value as { ocpp_version?: string }).ocpp_version;
      if (version === undefined) return;
      entry.learnedDialect = version.startsWith('1.') ? 'ocpp1.6' : 'ocpp2.x';
      entry.dirty = true;
    }
  };

  /** Everything that arrives comes through here. Never throws; a rejection leaves the message unacknowledged. */
  const onMessage = (message: Incoming): Promise<void> | void => {
    const { topic, payload } = message;
    if (topic === fence.topic) return fence.hear(payload);
    const api = parseApiTopic(prefix, topic);
    if (api?.type === 'system') {
      const { entry, isNew } = registry.meet({ station: api.station, moduleId: api.moduleId });
      if (isNew) {
        log.info({ station: entry.station, moduleId: entry.moduleId }, 'a station is heard for the first time');
        discovery.ask(entry.station);
        return registry.flushSoon().then(() => onSystemApi(api.leaf, entry, message));
      }
      return onSystemApi(api.leaf, entry, message);
    }
    if (api?.type === OCPP_CONSUMER.type) return onOcppConsumer(api.leaf, consumerOf(api.station), payload);
    const rest = prefix.strip(topic);
    if (rest?.rest === DISCOVERY.readyBeacon) return discovery.ask(rest.station ?? '');
    const latched = /\/latched-(boot_notification_response|connection_status)-(.+)$/.exec(rest?.rest ?? '');
    if (latched) return onOcppConsumer(latched[1] ?? '', registry.get(latched[2] ?? ''), payload);
    return discovery.hear(topic, payload);
  };

  await registry.load();
  session = await openMqttSession({
    ...deps.mqtt,
    onMessage: async (message) => {
      try {
        await onMessage(message);
      } catch (error) {
        // What is left to the next session comes again, because this one cannot acknowledge it any more.
        if (!over.signal.aborted) log.error({ topic: message.topic.slice(0, 300), err: error }, 'message not handled');
      }
    },
  });
  const stop = (): void => {
    over.abort();
    pump.stop();
    checks.stop();
    discovery.stop();
  };
  void session.closed.then(stop);
  try {
    const filters: Record<string, 0 | 1> = { [fence.topic]: 1 };
    for (const name of channelNames('e2m')) filters[channelFilter(prefix, name)] = CHANNELS[name].qos;
    for (const leaf of OCPP_CONSUMER.leaves) filters[OCPP_CONSUMER.filter(prefix, leaf)] = 1;
    filters[`${prefix.wildcard}${DISCOVERY.readyBeacon}`] = 1;
    filters[`${prefix.wildcard}${DISCOVERY.answerFilter}`] = 1;
    await session.subscribe(filters);
    await session.publish(fence.topic, fence.nonce, 1);
  } catch (error) {
    await session.end();
    throw error;
  }
  const unsubscribe = deps.hints.on('outbox', (station) => pump.kick(station));
  void session.closed.then(unsubscribe);
  registry.start();
  if (!prefix.perStation) discovery.ask('');
  for (const entry of registry.all()) {
    if (prefix.perStation) discovery.ask(entry.station);
    entry.checkDueAt = performance.now();
  }
  void pump.sweep();
  const opened = session;
  return {
    isServing: () => !over.signal.aborted && fence.isPassed(),
    closed: opened.closed,
    async end() {
      stop();
      await registry.stop();
      await opened.end();
    },
  };
}
