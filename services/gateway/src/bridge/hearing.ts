/**
 * What the leader hears of a station beside its requests: heartbeats, and from them that EVerest is there, that it has
 * started anew, or that two stations use one name.
 */
import { performance } from 'node:perf_hooks';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import { isFinalStatus } from '@khumbu/operations/outbox/final-status';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Boots } from '../stations/boots.js';
import { bootBegun, hearHeartbeat, inConflict, restartExplained } from '../stations/presence.js';
import type { Station } from '../stations/station.js';
import type { CalmLog } from './calm-log.js';
import type { CommunicationChecks } from './communication-checks.js';
import type { Discovery } from './discovery.js';
import type { Insist } from './insist.js';
import type { Lines } from './lines.js';
import type { StatusPump } from './status-pump.js';

export interface HearingDeps {
  readonly boots: Boots;
  readonly pump: Pick<StatusPump, 'kick' | 'tellOnceMore'>;
  readonly checks: Pick<CommunicationChecks, 'begin'>;
  readonly discovery: Pick<Discovery, 'ask'>;
  readonly lines: Lines;
  readonly insist: Insist;
  readonly calm: CalmLog;
  readonly log: Logger;
}

/** In a conflict a boot is counted no sooner than this after the last. */
const CONFLICT_BOOTS_MS = 5000;
/** A boot that begins this long after what waited for it was told is another one. */
const EARLY_MS = 60_000;

export type Hearing = ReturnType<typeof createHearing>;

/** Questions for the boot reason and boots are counted in one line, so that none is counted twice. */
export const bootLine = (station: string): string => `${station} get_boot_reason`;

export function createHearing({ boots, pump, checks, discovery, lines, insist, calm, log }: HearingDeps) {
  /** Boots noticed by a question whose first heartbeat is still to come. */
  const begunByQuestion = new Set<string>();
  /** Stations in conflict with a boot that is still to be counted. */
  const calmed = new Map<string, NodeJS.Timeout>();

  const noticeConflict = (entry: Station): void => {
    const now = inConflict(entry.presence, performance.now());
    if (now === entry.conflictReported) return;
    entry.conflictReported = now;
    if (now) calm.error({ station: entry.station }, 'two stations use one identity: nothing is done with either');
    else calm.info({ station: entry.station }, 'the station has its identity for itself again');
  };

  const tellOnceMore = (entry: Station, told: OutboxEntry): void => {
    log.info({ station: entry.station, operationId: told.operationId }, 'a status was probably not heard: told again');
    pump.tellOnceMore(entry.station, told);
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
  const countBoot = (entry: Station, silentMs: number | undefined, unheard: OutboxEntry | undefined): void => {
    const early = beginBoot(entry);
    const work = async (): Promise<void> => {
      if (begunByQuestion.delete(entry.station)) {
        // Counted by its question, which had a reason to tell.
        entry.presence = restartExplained(entry.presence);
        return;
      }
      await insist('a boot', async () => {
        const isOurs = await boots.notice(entry.station, silentMs);
        if (isOurs) entry.presence = restartExplained(entry.presence);
        if (early) tellOnceMore(entry, early);
        else if (!isOurs && unheard && isFinalStatus(unheard)) tellOnceMore(entry, unheard);
      });
      await insist('what follows a boot', () => boots.settle(entry.station));
      pump.kick(entry.station);
    };
    // A rejection means that the session is over: the next one hears of the boot by the stored heartbeat.
    lines.inLine(bootLine(entry.station), work).catch(() => undefined);
  };

  /** Two stations that count beside each other start anew with every heartbeat: of those boots few are stored. */
  const countBootCalmly = (entry: Station, silentMs: number | undefined, unheard: OutboxEntry | undefined): void => {
    if (!inConflict(entry.presence, performance.now())) {
      countBoot(entry, silentMs, unheard);
      return;
    }
    if (calmed.has(entry.station)) return;
    const timer = setTimeout(() => {
      calmed.delete(entry.station);
      countBoot(entry, silentMs, unheard);
    }, CONFLICT_BOOTS_MS);
    calmed.set(entry.station, timer.unref());
  };

  return {
    heartbeat(entry: Station, id: number): void {
      const now = performance.now();
      const before = entry.presence;
      const heard = hearHeartbeat(before, id, now);
      entry.presence = heard.presence;
      entry.dirty = true;
      noticeConflict(entry);
      // That a station is away shows some time after it left, and EVerest hears at QoS 0: what was told in between is lost.
      const told = entry.toldUnconfirmed;
      entry.toldUnconfirmed = undefined;
      if (heard.restarted)
        countBootCalmly(entry, before.heardAt === undefined ? undefined : now - before.heardAt, told);
      else begunByQuestion.delete(entry.station);
      // A boot its question has told of: what was told since then was told to the new one.
      if (told && heard.returned && !heard.restarted && before.heartbeatId !== -1) tellOnceMore(entry, told);
      if (heard.returned || entry.checkDueAt === undefined) {
        checks.begin(entry);
        pump.kick(entry.station);
      }
      if (heard.restarted) discovery.ask(entry.station);
    },

    /** The next session hears of what was not counted yet by the stored heartbeat. */
    stop(): void {
      for (const timer of calmed.values()) clearTimeout(timer);
      calmed.clear();
    },

    /** A question was the first sign of a new boot; what waited for the boot goes on. */
    async bootBegunByQuestion(entry: Station): Promise<void> {
      begunByQuestion.add(entry.station);
      // What was told last may have been told to this very boot already.
      entry.toldUnconfirmed = undefined;
      const early = beginBoot(entry);
      entry.presence = bootBegun(entry.presence);
      await insist('what follows a boot', () => boots.settle(entry.station));
      if (early) tellOnceMore(entry, early);
    },
  };
}
