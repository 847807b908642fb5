/** What this gateway does while it leads, from its settings. */
import { createBoots } from '@khumbu/intake/boots';
import type { Intake } from '@khumbu/intake/intake';
import { createRetentionDate } from '@khumbu/operations/clock/retention-date';
import { createReconciler } from '@khumbu/operations/reconciler/reconciler';
import { trimEnded } from '@khumbu/operations/records/retention';
import { createSecretSweep } from '@khumbu/operations/records/sweep-secrets';
import { createChainWriter } from '@khumbu/operations/security-log/chain-writer';
import { forgetEntries } from '@khumbu/operations/security-log/forget-entries';
import { createReadGroups } from '@khumbu/operations/stations/read-groups';
import type { TopicPrefix } from '@khumbu/shared/contract/topics';
import type { followAuthorities } from '@khumbu/shared/runtime/certificate-bundle';
import type { Lifecycle } from '@khumbu/shared/runtime/lifecycle';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { createCollection } from '../collection/collect-logs.js';
import { createCollectionState } from '../collection/collection-state.js';
import { collectionRules } from '../collection/settings.js';
import type { GatewayConfig } from '../config.js';
import { createAnswerFrames } from '../frames/answer-frames.js';
import { createFrameRecorder, type FrameRecorder } from '../frames/frame-recorder.js';
import { createEventLoopTurn } from '../http/event-loop-turn.js';
import { type Leader, runLeader } from '../leader/leader.js';
import type { Lease } from '../leader/lease.js';
import { createMarks } from '../mqtt/inbound/redelivered.js';
import { openMqttService } from '../mqtt/mqtt-service.js';
import { createReplyCache } from '../mqtt/outbound/reply-cache.js';
import type { MqttSessionOptions } from '../mqtt/session/mqtt-session.js';
import { createRateLimitedLog } from '../rate-limited-log.js';
import type { IntakeParts } from './intake.js';

/** Redis that has not answered a probe for so long counts as not there. */
const REDIS_SILENT_MS = 3000;

export interface LeaderParts extends Omit<IntakeParts, 'certificates'> {
  readonly prefix: TopicPrefix;
  readonly lease: Lease;
  readonly intake: Intake;
  readonly brokerCa: ReturnType<typeof followAuthorities>;
  readonly servingKey: string;
  /** When Redis answered a probe last, monotonic. */
  readonly redisAnsweredAt: () => number;
}

const mqttOptions = (config: GatewayConfig, { lease, brokerCa }: LeaderParts): MqttSessionOptions => ({
  url: config.MQTT_URL,
  clientId: config.MQTT_CLIENT_ID ?? `khumbu-${config.KEY_PREFIX}`,
  sessionExpiryS: config.MQTT_SESSION_EXPIRY_S,
  keepAliveS: 5,
  connectTimeoutMs: 2000,
  standing: lease.standing,
  ...(config.MQTT_USERNAME === undefined ? {} : { username: config.MQTT_USERNAME }),
  ...(config.MQTT_PASSWORD === undefined ? {} : { password: config.MQTT_PASSWORD }),
  ...(brokerCa === undefined ? {} : { ca: brokerCa.current() }),
});

/** How a service is opened, again whenever a connection was lost. */
function serviceOpener(
  config: GatewayConfig,
  parts: LeaderParts,
  recorder: FrameRecorder,
  stopping: AbortSignal,
  log: Logger,
) {
  const { prefix, connections, intake, registry, directory, metrics } = parts;
  const { patient, store, jobs, notifications, clock } = connections;
  const { now } = clock;
  const shared = {
    recorder,
    depot: config.KEY_PREFIX,
    prefix,
    intake,
    registry,
    boots: createBoots({ store, jobs, directory, now, log: createRateLimitedLog(log) }),
    directory,
    store,
    notifications,
    marks: createMarks(patient, store.keys),
    replyCache: createReplyCache(intake.persistDefaultReplies, stopping, log),
    now,
    metrics,
    messagesPerS: config.STATION_MESSAGES_PER_S,
    log,
  };
  return (backlogMs: number) => {
    // Redis has just told how old the backlog is: the first check need not wait for a round of probes.
    const openedAt = performance.now();
    const canStore = (): boolean =>
      intake.isSettled() && performance.now() - Math.max(openedAt, parts.redisAnsweredAt()) < REDIS_SILENT_MS;
    return openMqttService({ ...shared, backlogMs, mqtt: mqttOptions(config, parts), canStore });
  };
}

/** `undefined`: nothing is collected. Throws `CONFIG_INVALID`. */
function logCollection(config: GatewayConfig, { connections, lease, intake, directory }: LeaderParts, log: Logger) {
  const rules = collectionRules(config);
  if (!rules) return undefined;
  const { patient, store, clock } = connections;
  const state = createCollectionState(patient, store.keys, lease.holder);
  const readGroups = createReadGroups({ redis: patient, keys: store.keys, directory });
  return createCollection({ rules, state, store, intake, directory, readGroups, now: () => clock.now().wall, log });
}

export function startLeader(config: GatewayConfig, parts: LeaderParts, life: Lifecycle, log: Logger): Leader {
  const { connections, lease, directory, metrics, servingKey } = parts;
  const { prompt, patient, store, jobs, notifications, clock } = connections;
  const { now } = clock;
  const stopping = new AbortController();
  const retentionDate = createRetentionDate(patient, store.keys.retentionDate, now);
  const recorder = createFrameRecorder(parts.prefix, now);
  const answerFrames = createAnswerFrames({
    recorder,
    redis: patient,
    keys: store.keys,
    standing: lease.standing,
    eventLoopTurn: createEventLoopTurn(),
    log,
  });
  // Also while there is no connection to the broker: then they are wanted most.
  const stopAnswering = notifications.on('frames', answerFrames);
  const sweepSecrets = createSecretSweep(patient, store, log);
  const chain = createChainWriter({
    redis: patient,
    keys: store.keys,
    holder: lease.holder,
    now,
    // Where the log goes, the end of the chain cannot be cut off unseen.
    onAnchor: (head) => log.info({ audit: true, securityLog: head }, 'the newest entry of the security log'),
  });
  const leader = runLeader(
    {
      lease,
      openMqttService: serviceOpener(config, parts, recorder, stopping.signal, log),
      reconciler: createReconciler({ store, jobs, directory, now, log }),
      reconcileEveryMs: config.RECONCILE_INTERVAL_MS,
      chain: (signal) => chain.round(signal),
      collect: logCollection(config, parts, log),
      trim: async () => {
        const entries = { days: config.SECURITY_LOG_DAYS, most: config.SECURITY_LOG_MAX_ENTRIES };
        const date = await retentionDate();
        await forgetEntries(patient, store.keys, lease.holder, entries, date);
        const rules = { perStation: config.KEEP_OPERATIONS_PER_STATION, days: config.KEEP_OPERATIONS_DAYS };
        await trimEnded(patient, store.keys, rules, date);
        await sweepSecrets(now().wall);
      },
      redis: prompt,
      servingKey,
      servedKey: `${store.keys.lease}:served`,
      sessionExpiryMs: config.MQTT_SESSION_EXPIRY_S * 1000,
      log,
      onLeader: (leads) => {
        metrics.leader.set(leads ? 1 : 0);
        if (leads) return;
        metrics.duplicates.set(0);
        recorder.forget();
      },
    },
    stopping.signal,
  );
  life.onStop('leader', async () => {
    stopping.abort();
    await leader.done;
    stopAnswering();
  });
  return leader;
}
