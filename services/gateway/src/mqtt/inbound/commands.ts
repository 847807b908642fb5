/** What stations ask of us: requests that are answered, resets, and the permission to install. */
import { performance } from 'node:perf_hooks';
import { type BootSign, signWaitMs } from '@khumbu/intake/decide-boot-reason';
import type { Liveness } from '@khumbu/intake/get-boot-reason';
import { anonymousAnswerKey, type Intake } from '@khumbu/intake/intake';
import type { Store } from '@khumbu/operations/kinds/store';
import { readStationState } from '@khumbu/operations/stations/station-state';
import { channel, type E2mChannelName, type RequestChannelName } from '@khumbu/shared/contract/channels';
import { type Decoded, encodeReply } from '@khumbu/shared/contract/codec';
import type { ResetRequest } from '@khumbu/shared/contract/schemas';
import { replyTopic, type StationAddress, type TopicPrefix } from '@khumbu/shared/contract/topics';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { RateLimitedLog } from '../../rate-limited-log.js';
import type { BootSigns } from '../liveness/boot-signs.js';
import { heartbeatPeriodMs, isBootUnsure, type Presence } from '../liveness/presence.js';
import type { Registry } from '../liveness/registry.js';
import type { Station } from '../liveness/station.js';
import { type BacklogMarker, stillWaits } from '../session/backlog-marker.js';
import type { Incoming, Speech } from '../session/mqtt-session.js';
import type { Answering } from './answering.js';
import { bootQueue, type HeartbeatHandler } from './heartbeat-handler.js';
import { dialectShownBy, REQUESTS } from './request-table.js';
import type { DoUnanswered } from './unanswered.js';

export interface CommandsDeps {
  readonly prefix: TopicPrefix;
  readonly store: Store;
  readonly intake: Intake;
  readonly registry: Registry;
  readonly answer: Answering;
  readonly heartbeatHandler: Pick<HeartbeatHandler, 'bootBegunByQuestion'>;
  readonly signs: BootSigns;
  readonly backlogMarker: BacklogMarker;
  /** How old a message of the backlog may be. */
  readonly backlogMs: number;
  readonly publish: (topic: string, payload: string, qos: 0 | 1, speech: Speech) => Promise<void>;
  readonly unanswered: DoUnanswered;
  /** A message that nothing is done with, and why. */
  readonly bad: (topic: string, reason: string) => void;
  /** A message was not read because it ended a leader. */
  readonly onUnread: () => void;
  readonly limitedLog: RateLimitedLog;
  readonly log: Logger;
}

/** EVerest's frame, not taken apart: a name that is written inside a text of it has its quotes escaped. */
export function plainReplyTo(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return /"replyTo"\s{0,8}:\s{0,8}"([^"\\]{1,300})"/.exec(text)?.[1];
}

export const isRequest = (name: E2mChannelName): name is RequestChannelName => Object.hasOwn(REQUESTS, name);

/** What is known of a station's liveness at this moment. Pure. */
function livenessOf(presence: Presence, now: number): Liveness {
  const { heartbeatId, heartbeatAt, countBeganAt, begunAt = heartbeatAt, beaconAt } = presence;
  const since = (at: number | undefined): number | undefined => (at === undefined ? undefined : now - at);
  return {
    silentMs: since(heartbeatAt),
    heartbeatPeriodMs: heartbeatPeriodMs(presence),
    awaitsHeartbeat: heartbeatId === -1,
    begunMs: since(begunAt),
    countAgeMs: since(countBeganAt),
    beaconHeard: beaconAt !== undefined && beaconAt > (heartbeatAt ?? 0),
  };
}

export function createCommands(deps: CommandsDeps) {
  const {
    prefix,
    store,
    intake,
    registry,
    answer,
    heartbeatHandler,
    backlogMarker,
    signs,
    unanswered,
    bad,
    limitedLog,
    log,
  } = deps;
  /** The last reset of each station that was written down: a repeat is the same one. */
  const auditedResets = new Map<string, string>();

  /** Stored before the request is served, so that its statuses are already spoken in the station's dialect. */
  const learnDialect = async (entry: Station, name: RequestChannelName, payload: unknown): Promise<void> => {
    const shown = dialectShownBy(name, payload);
    if (!shown || entry.learnedDialect === shown) return;
    entry.learnedDialect = shown;
    entry.dirty = true;
    await registry.storeSoon(entry);
  };

  /** Allowed in this boot, perhaps hours ago (it waited for transactions), and not asked for since: we wait for it. */
  const isAwaited = async (station: string): Promise<boolean> => {
    const state = readStationState(await store.station(station));
    return state.resetAllowedEpoch === state.bootEpoch || state.restartExpected !== undefined;
  };

  /**
   * Counts only if an update waits for it; may be repeated, early, or mean nothing. It is of the boot that was noticed
   * last, so that boot is counted first.
   */
  const allowNow = ({ station }: Station, message: Incoming): Promise<void> => {
    const work = (): Promise<unknown> => intake.allowInstallation(station, 'everest');
    return unanswered({ queueKey: bootQueue(station), meaning: 'permission', message, what: 'a permission', work });
  };

  return {
    /** Nothing is done with it, but who can be answered gets the default, which no later leader decides anew. */
    async refuse(
      name: E2mChannelName | undefined,
      address: StationAddress,
      { topic, acknowledge }: Pick<Incoming, 'topic' | 'acknowledge'>,
      replyTo: string | undefined,
      reason: string,
    ): Promise<void> {
      bad(topic, reason);
      if (name === undefined || replyTo === undefined) return;
      const { reply } = channel(name);
      const to = replyTopic(prefix, address, replyTo);
      if (!reply || to === undefined) return;
      acknowledge?.();
      await deps.publish(to, encodeReply(name, reply.fallback), 1, 'refuse');
    },

    /**
     * It came again and ended the leader that read it, so its words are not looked at: what it was answered before is told,
     * else the default. Whoever sent it can be answered where its frame says so plainly.
     */
    async refuseUnread(name: E2mChannelName | undefined, entry: Station, message: Incoming): Promise<void> {
      const { topic, payload: bytes, acknowledge } = message;
      const replyTo = plainReplyTo(bytes);
      const to = replyTo === undefined ? undefined : replyTopic(prefix, entry, replyTo);
      limitedLog.error(
        { station: entry.station, topic: topic.slice(0, 300) },
        'a message that ended a leader is not read again',
      );
      deps.onUnread();
      if (name === undefined || !isRequest(name) || to === undefined) {
        acknowledge?.();
        return bad(topic, 'it ended a leader before');
      }
      await answer({
        name,
        station: entry.station,
        payload: undefined,
        replyTopic: to,
        dup: true,
        bytes,
        liveness: { silentMs: undefined, heartbeatPeriodMs: undefined },
        isLate: true,
        refusal: 'it came again, and ended the leader that read it',
        acknowledge,
        queueKey: `${entry.station} unread`,
        prepare: async () => undefined,
        awaitSign: async () => undefined,
        decided: async () => undefined,
      });
    },

    async request(
      name: RequestChannelName,
      entry: Station,
      message: Incoming,
      decoded: Pick<Decoded & { ok: true }, 'payload' | 'replyTo'>,
    ): Promise<void> {
      const { station } = entry;
      const { payload: bytes, topic, dup } = message;
      const to = decoded.replyTo === undefined ? undefined : replyTopic(prefix, entry, decoded.replyTo);
      if (decoded.replyTo !== undefined && to === undefined)
        return bad(topic, 'the reply topic is not the station’s own');
      const isOld = !backlogMarker.isPassed() && !stillWaits(entry.presence.communication, deps.backlogMs / 1000);
      // If it has not given up, it need not wait any longer; nothing follows from the request either way.
      const refusal = isOld ? 'too old: the station may have given up waiting' : undefined;
      // What the leader before us had in hand it may have answered: that answer stands, however old it is.
      if (refusal !== undefined && !dup) return this.refuse(name, entry, message, decoded.replyTo, refusal);
      const arrived = performance.now();
      const { bootsNoticed, bootsCounted, presence } = entry;
      const liveness = livenessOf(presence, arrived);
      /** What has come since it arrived, or what comes next. */
      const signSince = (): BootSign | undefined => {
        if (entry.bootsNoticed !== bootsNoticed) return 'begins';
        if (entry.presence.heartbeatAt !== presence.heartbeatAt) return 'goes_on';
        return entry.presence.beaconAt === presence.beaconAt ? undefined : 'beacon';
      };
      await answer({
        name,
        station,
        payload: decoded.payload,
        replyTopic: to,
        dup,
        bytes,
        refusal,
        get liveness() {
          return { ...liveness, isCounted: entry.bootsCounted !== bootsCounted };
        },
        isLate: dup || !backlogMarker.isPassed(),
        acknowledge: message.acknowledge,
        queueKey: name === 'get_boot_reason' ? bootQueue(station) : `${station} ${name}`,
        prepare: () => learnDialect(entry, name, decoded.payload),
        awaitSign: async (bootEpoch) => {
          const { silentMs = 0, heartbeatPeriodMs: periodMs = 0 } = liveness;
          const waitMs = signWaitMs(silentMs, periodMs, presence.communication) - (performance.now() - arrived);
          const what = signSince() ?? (await signs.next(station, Math.max(0, waitMs), message));
          return what && { what, bootEpoch };
        },
        decided: async (answered) => {
          if (answered.begun) await heartbeatHandler.bootBegunByQuestion(entry, { bootsNoticed, presence });
        },
      });
    },

    /** EVerest has stopped itself and waits: a reset is stored, however long that takes. */
    reset({ station }: Station, message: Incoming, request: ResetRequest): Promise<void> {
      const { type, scheduled } = request;
      const isLate = !backlogMarker.isPassed();
      const work = async (): Promise<void> => {
        if (isLate && !(await isAwaited(station))) return bad(message.topic, 'an old reset nobody waits for');
        const requester = { station, answerKey: anonymousAnswerKey(), origin: 'everest' as const };
        const { operationId, reason } = await intake.reset(request, requester);
        const what = { station, type, scheduled, operationId, reason };
        if (operationId === undefined || auditedResets.get(station) === operationId)
          limitedLog.info(what, 'reset asked for, and nothing new follows');
        else {
          auditedResets.set(station, operationId);
          log.info({ audit: true, origin: 'everest', ...what }, 'reset asked for');
        }
      };
      const meaning = `${type} ${scheduled ?? false}`;
      return unanswered({ queueKey: `${station} reset`, meaning, message, what: 'a reset', work });
    },

    /**
     * After a takeover the broker may have kept it from a boot that is over: it waits for the station's next heartbeat,
     * and does not count where that one, or a question before it, began another boot.
     */
    allow(entry: Station, message: Incoming): Promise<void> {
      if (!isBootUnsure(entry.presence)) return allowNow(entry, message);
      message.stepAside?.();
      const { station, bootsNoticed } = entry;
      const work = async (): Promise<void> => {
        if (isBootUnsure(entry.presence)) throw new Error('no heartbeat was heard yet');
        if (entry.bootsNoticed === bootsNoticed) await allowNow(entry, message);
        else limitedLog.info({ station }, 'a permission of a boot that is over');
      };
      const queueKey = `${station} boot unsure`;
      return unanswered({ queueKey, meaning: 'permission', message, what: 'a permission from the time before', work });
    },
  };
}
