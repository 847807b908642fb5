/**
 * Counts the boots of EVerest: each once, whether its first sign was a heartbeat or a question for the boot reason, and what
 * was published in the boot before and not heard there is published again.
 */
import type { Boots } from '@khumbu/intake/boots';
import { isFinalStatus } from '@khumbu/operations/kinds/kinds';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import type { Core } from '../core.js';
import { type BootMark, bootSince } from './boot-mark.js';
import { hasDuplicateIdentity, restartCounted } from './duplicate-identity.js';
import type { DuplicateWatch } from './duplicate-watch.js';
import { bootBegun, heartbeatPeriodMs, restartExplained } from './presence.js';
import type { Station } from './station.js';

/** Of two stations with one identity a boot is counted no sooner than this after the last. */
const DUPLICATE_BOOTS_MS = 5000;
/** A boot that begins this long after what waited for it was published is another one. */
const EARLY_MS = 60_000;

/** Heartbeat ids began anew. */
export interface NewCount {
  /** With this one; 0 where the restart itself was not heard. */
  readonly id: number;
  /** Monotonic. */
  readonly at: number;
  /** How long EVerest had not been heard before. */
  readonly silentMs: number | undefined;
  /** What was published last, if no heartbeat of the boot before came after it. */
  readonly unheard: OutboxEntry | undefined;
  /** It counts as a sign of a second station already. */
  readonly isCounted: boolean;
}

type Deps = Pick<Core, 'queue' | 'retryAsLeader' | 'log'> & {
  readonly boots: Boots;
  readonly publisher: {
    kick(station: string): void;
    publishOnceMore(station: string, entry: OutboxEntry): void;
  };
  readonly duplicates: DuplicateWatch;
};

/** Questions for the boot reason and boots are counted one after the other, so that none is counted twice. */
export const bootQueue = (station: string): string => `${station} get_boot_reason`;

/** What waited for the boot that begins now, and was published before it showed: the boot before may have received it. */
function takeEarly({ published }: Station): OutboxEntry | undefined {
  if (!published?.isEarly) return undefined;
  published.isEarly = false;
  return performance.now() - published.at < EARLY_MS ? published.entry : undefined;
}

export type BootCounter = ReturnType<typeof createBootCounter>;

export function createBootCounter(deps: Deps) {
  const { boots, publisher, duplicates, queue, retryAsLeader, log } = deps;
  /** Stations with a boot that is still to be counted, because another one was just before. */
  const delayed = new Map<string, NodeJS.Timeout>();

  const publishOnceMore = (entry: Station, status: OutboxEntry): void => {
    log.info(
      { station: entry.station, operationId: status.operationId },
      'a status was probably not heard: told again',
    );
    publisher.publishOnceMore(entry.station, status);
  };

  /** EVerest has started anew. Returns the number of the boot. */
  const begin = (entry: Station): number => {
    entry.registered = false;
    // They ended with the boot before, and nothing told so.
    if (entry.transactions) entry.transactions = [];
    return ++entry.bootsNoticed;
  };

  /**
   * `unheard` was published in the last moments of the boot before. A restart that Khumbu caused came after it. After any other
   * only an end is published again: a trigger is reaffirmed with the boot, and the rest is not true any more.
   */
  const count = (entry: Station, { id, at, silentMs, unheard, isCounted }: NewCount): void => {
    const boot = begin(entry);
    const early = takeEarly(entry);
    const store = async (): Promise<void> => {
      const isOurs = await boots.notice(entry.station, silentMs, heartbeatPeriodMs(entry.presence));
      entry.bootsCounted = boot;
      entry.dirty = true;
      if (isOurs) entry.presence = restartExplained(entry.presence);
      else if (!isCounted) entry.presence = restartCounted(entry.presence, id, at);
      duplicates.judge(entry);
      if (early) publishOnceMore(entry, early);
      else if (!isOurs && unheard && isFinalStatus(unheard)) publishOnceMore(entry, unheard);
    };
    const work = async (): Promise<void> => {
      if (entry.bootsCounted >= boot) {
        // Its question has counted it.
        if (early) publishOnceMore(entry, early);
        return;
      }
      await retryAsLeader('a boot', store);
      await retryAsLeader('what follows a boot', () => boots.settle(entry.station));
      publisher.kick(entry.station);
    };
    // A rejection means that the session is over: the next one notices the boot by the stored heartbeat.
    queue.run(bootQueue(entry.station), work).catch(() => undefined);
  };

  return {
    /** Two stations that count beside each other start anew with every heartbeat: of those boots few are stored. */
    begunByHeartbeat(entry: Station, newCount: NewCount): void {
      if (!hasDuplicateIdentity(entry.presence, newCount.at)) {
        count(entry, newCount);
        return;
      }
      if (delayed.has(entry.station)) return;
      const timer = setTimeout(() => {
        delayed.delete(entry.station);
        count(entry, newCount);
      }, DUPLICATE_BOOTS_MS);
      delayed.set(entry.station, timer.unref());
    },

    /** A question that came at `mark` was the first sign of a new boot, and has counted it; what waited for the boot goes on. */
    async begunByQuestion(entry: Station, mark: BootMark): Promise<void> {
      // Its first heartbeat may have come while the question was decided.
      const isHeard = bootSince(mark, entry) === 'another';
      // What was published last may have been received by this very boot already.
      if (entry.published) entry.published.isUnheard = false;
      let early: OutboxEntry | undefined;
      if (!isHeard) {
        begin(entry);
        early = takeEarly(entry);
        entry.presence = bootBegun(entry.presence, mark.presence, performance.now());
      }
      entry.bootsCounted = entry.bootsNoticed;
      // With the boot it was stored that its first heartbeat is to come, perhaps over the one that was heard.
      delete entry.written;
      entry.dirty = true;
      await retryAsLeader('what follows a boot', () => boots.settle(entry.station));
      if (early) publishOnceMore(entry, early);
    },

    publishOnceMore,

    /** The next session notices by the stored heartbeat what was not counted yet. */
    stop(): void {
      for (const timer of delayed.values()) clearTimeout(timer);
      delayed.clear();
    },
  };
}
