/**
 * Publishes what is in the outboxes: of one station one after the other, all stations beside each other. An entry leaves
 * its outbox after the broker has acknowledged it; after a crash it is published again, directly after itself. Entries for
 * a station that is not there wait.
 */
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Core } from '../core.js';
import { type NotPublished, PASSES } from './held-status.js';
import { createStatusSender } from './status-sender.js';

/** How often stations with held entries are looked at, and all outboxes in case a notification was lost. */
const LOOK_MS = 250;
const SWEEP_MS = 2000;
type Deps = Pick<Core, 'registry' | 'prefix' | 'publish' | 'now' | 'log' | 'metrics' | 'store'>;

export type StatusPublisher = ReturnType<typeof createStatusPublisher>;

export function createStatusPublisher(deps: Deps) {
  const { store, log } = deps;
  const sender = createStatusSender(deps);
  const running = new Set<string>();
  const again = new Set<string>();
  /** What is published once more before anything else of that station. */
  const onceMore = new Map<string, OutboxEntry>();
  const held = new Map<string, NotPublished>();
  let stopped = false;

  const drain = async (name: string): Promise<void> => {
    held.delete(name);
    while (!stopped) {
      const entry = await store.headOfOutbox(name);
      const repeated = onceMore.get(name);
      const next = repeated ?? entry;
      const because = next && (await sender.send(name, next));
      if (because) {
        held.set(name, because);
        return;
      }
      // One that was to be repeated meanwhile is older than what has just been published: it would come out of order.
      if (repeated || onceMore.get(name)?.operationId === next?.operationId) onceMore.delete(name);
      if (repeated) continue;
      if (!(await store.popOutbox(name, entry?.id ?? ''))) return;
    }
  };

  const kick = async (name: string): Promise<void> => {
    if (running.has(name)) {
      again.add(name);
      return;
    }
    running.add(name);
    try {
      do {
        again.delete(name);
        await drain(name);
      } while (again.has(name) && !stopped);
    } catch (error) {
      // The entry is still in the outbox; the next look tries again, or the next leader does.
      if (!hasCode(error, 'MQTT_CLOSED', 'NOT_LEADING'))
        log.warn({ station: name, reason: describeError(error) }, 'status not told');
      held.set(name, 'not_told');
    } finally {
      running.delete(name);
    }
  };

  const sweep = async (): Promise<void> => {
    try {
      for (const name of await store.stationsWithOutbox()) if (!running.has(name)) void kick(name);
    } catch (error) {
      log.debug({ reason: describeError(error) }, 'outboxes not read');
    }
  };

  const look = setInterval(() => {
    for (const [name, because] of Array.from(held)) if (PASSES[because]) void kick(name);
  }, LOOK_MS);
  const sweeper = setInterval(() => void sweep(), SWEEP_MS);

  return {
    /** Something may be in this station's outbox, or the station may have come back. */
    kick: (station: string): void => void kick(station),
    /** The station was heard: what waits for it may be published. What does not wait is published already, or on its way. */
    heard(station: string): void {
      if (held.has(station)) void kick(station);
    },
    /** The entry that was published last was probably not heard: again, before any other. */
    publishOnceMore(station: string, entry: OutboxEntry): void {
      onceMore.set(station, entry);
      void kick(station);
    },
    /** All outboxes, for instance at the start. */
    sweep,
    moves: sender.moves,
    stop(): void {
      stopped = true;
      clearInterval(look);
      clearInterval(sweeper);
    },
  };
}
