/**
 * What the leader hears of a station beside its requests: heartbeats, and from them that EVerest is there, that it has
 * started anew, or that two stations use one name.
 */
import { performance } from 'node:perf_hooks';
import type { Boots } from '@khumbu/intake/boots';
import { isFinalStatus } from '@khumbu/operations/kinds/final-status';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { RateLimitedLog } from '../../rate-limited-log.js';
import type { BootSigns } from '../liveness/boot-signs.js';
import { hasDuplicateIdentity, restartCounted } from '../liveness/duplicate-identity.js';
import { beaconHeard, bootBegun, hearHeartbeat, heartbeatPeriodMs, restartExplained } from '../liveness/presence.js';
import type { Station } from '../liveness/station.js';
import type { CommunicationChecks } from '../outbound/communication-checks.js';
import type { StatusPublisher } from '../outbound/status-publisher.js';
import type { KeyedQueue } from '../session/keyed-queue.js';
import type { RetryUntilClosed } from '../session/retry-until-closed.js';
import type { Discovery } from './discovery.js';

export interface HeartbeatHandlerDeps {
  readonly boots: Boots;
  readonly publisher: Pick<StatusPublisher, 'kick' | 'tellOnceMore'>;
  readonly checks: Pick<CommunicationChecks, 'begin'>;
  readonly discovery: Pick<Discovery, 'ask'>;
  readonly signs: Pick<BootSigns, 'came'>;
  readonly queue: KeyedQueue;
  readonly retryUntilClosed: RetryUntilClosed;
  /** Whether two stations share an identity has changed: to be stored and shown at once. */
  readonly onDuplicateChange: () => void;
  readonly limitedLog: RateLimitedLog;
  readonly log: Logger;
}

/** In a conflict a boot is counted no sooner than this after the last. */
const DUPLICATE_BOOTS_MS = 5000;
/** In a conflict modules are asked who they are this often. */
const DOUBT_LOOK_MS = 1000;
/** A boot that begins this long after what waited for it was told is another one. */
const EARLY_MS = 60_000;

/** Heartbeat ids began anew. */
interface NewCount {
  /** With this one; 0 where the restart itself was not heard. */
  readonly id: number;
  /** Monotonic. */
  readonly at: number;
  /** How long EVerest had not been heard before. */
  readonly silentMs: number | undefined;
  /** What was told last, and nobody knows whether it was heard. */
  readonly unheard: OutboxEntry | undefined;
  /** It counts as a sign of a second station already. */
  readonly isCounted: boolean;
}

export type HeartbeatHandler = ReturnType<typeof createHeartbeatHandler>;

/** Questions for the boot reason and boots are counted in one line, so that none is counted twice. */
export const bootQueue = (station: string): string => `${station} get_boot_reason`;

export function createHeartbeatHandler(deps: HeartbeatHandlerDeps) {
  const { boots, publisher, checks, discovery, signs, queue, retryUntilClosed, limitedLog, log } = deps;
  /** Stations in conflict with a boot that is still to be counted. */
  const calmed = new Map<string, NodeJS.Timeout>();
  /** Stations in conflict, which are looked at until it is over. */
  const doubted = new Map<string, NodeJS.Timeout>();

  /** Two stations share an identity, or do so no more: told at once. While they do, modules are asked again and again. */
  const judge = (entry: Station): void => {
    const { station } = entry;
    const now = hasDuplicateIdentity(entry.presence, performance.now());
    if (now === entry.duplicateReported) return;
    entry.duplicateReported = now;
    entry.dirty = true;
    deps.onDuplicateChange();
    clearInterval(doubted.get(station));
    doubted.delete(station);
    if (!now) {
      limitedLog.info({ station }, 'the station has its identity for itself again');
      return;
    }
    limitedLog.error({ station }, 'two stations use one identity: nothing is done with either');
    const look = (): void => {
      discovery.ask(station);
      judge(entry);
    };
    doubted.set(station, setInterval(look, DOUBT_LOOK_MS).unref());
  };

  const tellOnceMore = (entry: Station, told: OutboxEntry): void => {
    log.info({ station: entry.station, operationId: told.operationId }, 'a status was probably not heard: told again');
    publisher.tellOnceMore(entry.station, told);
  };

  /** What waited for a boot and was told before it showed: that EVerest was not there any more to hear it. */
  const takeEarly = (entry: Station): OutboxEntry | undefined => {
    const { toldEarly } = entry;
    entry.toldEarly = undefined;
    return toldEarly && performance.now() - toldEarly.at < EARLY_MS ? toldEarly.entry : undefined;
  };

  /** EVerest has started anew. Returns what was told too early for it. */
  const beginBoot = (entry: Station): OutboxEntry | undefined => {
    entry.registered = false;
    entry.bootsNoticed += 1;
    return takeEarly(entry);
  };

  /**
   * `unheard` was told in the last moments of the boot before. A restart of our own came after it. After any other only
   * an end is told again: the trigger is by itself, and the rest is not true any more.
   */
  const countBoot = (entry: Station, { id, at, silentMs, unheard, isCounted }: NewCount): void => {
    const early = beginBoot(entry);
    const { bootsByQuestion } = entry;
    const work = async (): Promise<void> => {
      if (entry.bootsByQuestion !== bootsByQuestion) {
        // Counted by its question, which had a reason to tell.
        if (early) tellOnceMore(entry, early);
        return;
      }
      await retryUntilClosed('a boot', async () => {
        const period = heartbeatPeriodMs(entry.presence);
        const isOurs = await boots.notice(entry.station, silentMs, period);
        entry.bootsCounted += 1;
        if (isOurs) entry.presence = restartExplained(entry.presence);
        else if (!isCounted) entry.presence = restartCounted(entry.presence, id, at);
        judge(entry);
        if (early) tellOnceMore(entry, early);
        else if (!isOurs && unheard && isFinalStatus(unheard)) tellOnceMore(entry, unheard);
      });
      await retryUntilClosed('what follows a boot', () => boots.settle(entry.station));
      publisher.kick(entry.station);
    };
    // A rejection means that the session is over: the next one hears of the boot by the stored heartbeat.
    queue.run(bootQueue(entry.station), work).catch(() => undefined);
  };

  /** Two stations that count beside each other start anew with every heartbeat: of those boots few are stored. */
  const countBootCalmly = (entry: Station, count: NewCount): void => {
    if (!hasDuplicateIdentity(entry.presence, count.at)) {
      countBoot(entry, count);
      return;
    }
    if (calmed.has(entry.station)) return;
    const timer = setTimeout(() => {
      calmed.delete(entry.station);
      countBoot(entry, count);
    }, DUPLICATE_BOOTS_MS);
    calmed.set(entry.station, timer.unref());
  };

  return {
    heartbeat(entry: Station, id: number): void {
      const now = performance.now();
      const before = entry.presence;
      const heard = hearHeartbeat(before, id, now);
      // Whether a restart was ours is known when its boot is counted; of two stations hardly any is.
      const isCounted = hasDuplicateIdentity(before, now);
      entry.presence = isCounted ? heard.presence : heard.unjudged;
      entry.dirty = true;
      judge(entry);
      // That a station is away shows some time after it left, and EVerest hears at QoS 0: what was told in between is lost.
      const told = entry.toldUnconfirmed;
      entry.toldUnconfirmed = undefined;
      if (heard.restarted)
        countBootCalmly(entry, {
          id: before.handedOver ? 0 : id,
          at: now,
          silentMs: before.heardAt === undefined ? undefined : now - before.heardAt,
          unheard: told,
          isCounted,
        });
      // A boot its question has told of: what was told since then was told to the new one.
      if (told && heard.returned && !heard.restarted && before.heartbeatId !== -1) tellOnceMore(entry, told);
      if (heard.returned || entry.checkDueAt === undefined) {
        checks.begin(entry);
        publisher.kick(entry.station);
      }
      if (heard.restarted) discovery.ask(entry.station);
      // In the line of its questions it comes after the boot that was just counted.
      signs.came(entry.station, heard.restarted ? 'begins' : 'goes_on');
    },

    /** Modules at the station have started. */
    beacon(entry: Station): void {
      const before = entry.presence;
      entry.presence = beaconHeard(before, performance.now());
      if (entry.presence !== before) signs.came(entry.station, 'beacon');
    },

    /** The next session hears of what was not counted yet by the stored heartbeat. */
    stop(): void {
      for (const timer of calmed.values()) clearTimeout(timer);
      calmed.clear();
      for (const timer of doubted.values()) clearInterval(timer);
      doubted.clear();
    },

    /** Whether two stations share its identity may have changed. */
    judge,

    /**
     * A question was the first sign of a new boot; what waited for the boot goes on. `before`: as it was when the question
     * came.
     */
    async bootBegunByQuestion(entry: Station, before: Pick<Station, 'bootsNoticed' | 'presence'>): Promise<void> {
      entry.bootsByQuestion += 1;
      entry.bootsCounted += 1;
      // What was told last may have been told to this very boot already.
      entry.toldUnconfirmed = undefined;
      // Its first heartbeat may have been heard while the question was decided.
      const isHeard = entry.bootsNoticed !== before.bootsNoticed;
      const early = isHeard ? undefined : beginBoot(entry);
      if (!isHeard) entry.presence = bootBegun(entry.presence, before.presence, performance.now());
      // With the boot it was stored that its first heartbeat is to come, perhaps over the one that was heard.
      delete entry.written;
      entry.dirty = true;
      await retryUntilClosed('what follows a boot', () => boots.settle(entry.station));
      if (early) tellOnceMore(entry, early);
    },
  };
}
