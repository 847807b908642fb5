/**
 * From the stream of events into the lists of webhooks. Several processes may do it at once, and one that is killed leaves
 * nothing out: a position moves together with what it passed over, and from where it was read alone.
 */
import { sleep } from '@khumbu/shared/runtime/abort';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { Redis } from 'ioredis';
import type { StoredEvent } from '../events/events.js';
import { type Entry, type Page, readPage } from '../events/stream-entries.js';
import { compareIds } from '../events/stream-ids.js';
import type { Keys } from '../records/keys.js';
import { type GroupsOf, noGroups, type ReadGroups } from '../stations/read-groups.js';
import { asksForGroups, eventFilter } from './event-filter.js';
import { type Delivery, isStopped, messageBody, type Webhook } from './webhook.js';
import { MOST_WAITING, type WebhookStore } from './webhook-store.js';

const BLOCK_MS = 2000;
/** One that is full, or whose events cannot be told, is left alone so long, however much happens. */
const REST_MS = BLOCK_MS;
const RETRY_MS = 1000;

export interface DispatcherOptions {
  readonly store: WebhookStore;
  readonly redis: Redis;
  /** A connection of its own, which waits for events; closed at the stop. */
  readonly waiting: Redis;
  readonly keys: Keys;
  readonly readGroups: ReadGroups;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Something waits for these. Must not reject. */
  readonly onDeliveries: (webhook: string, stations: readonly string[]) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const deliveryOf = (webhook: string, { id, type, station, data }: Entry): Delivery => {
  const event = JSON.parse(data) as StoredEvent;
  return { id: `${webhook}.${id}`, station, type, body: messageBody(type, event.at, event) };
};

const gapOf = (webhook: string, gap: NonNullable<Page['gap']>, now: number): Delivery => ({
  id: `${webhook}.gap-${gap.until}`,
  station: '',
  type: 'gap',
  body: messageBody('gap', rfc3339(now), { type: 'gap', ...gap }),
});

/** What of a page a webhook is told. Pure. */
export function deliveriesOf(
  { id, filter }: Pick<Webhook, 'id' | 'filter'>,
  { gap, entries }: Page,
  groupsOf: GroupsOf,
  now: number,
): readonly Delivery[] {
  const wants = eventFilter(filter, groupsOf);
  const wanted = entries.filter(({ data }) => wants(JSON.parse(data) as StoredEvent));
  return [...(gap ? [gapOf(id, gap, now)] : []), ...wanted.map((entry) => deliveryOf(id, entry))];
}

/** Dispatches until stopped. */
export function startDispatcher(options: DispatcherOptions) {
  const { store, redis, waiting, keys, readGroups, now, onDeliveries, onError } = options;
  const stopping = new AbortController();
  /** Until when webhooks are left alone, by their ids, as `performance.now()` has it. */
  const resting = new Map<string, number>();

  /** One page of one webhook; resolves with where it is then. `undefined`: it goes no farther. */
  const advance = async (webhook: Webhook, position: string): Promise<string | undefined> => {
    const { waiting: count } = await store.counts(webhook.id);
    if (count >= MOST_WAITING) {
      resting.set(webhook.id, performance.now() + REST_MS);
      return undefined;
    }
    const page = await readPage(redis, keys.events, position);
    const to = page.entries.at(-1)?.id ?? page.gap?.until;
    if (to === undefined) return undefined;
    const groupsOf = asksForGroups(webhook.filter)
      ? await readGroups(page.entries.map(({ station }) => station))
      : noGroups;
    const deliveries = deliveriesOf(webhook, page, groupsOf, now());
    const isMoved = await store.advance(webhook.id, position, to, deliveries);
    if (isMoved && deliveries.length > 0)
      await onDeliveries(webhook.id, [...new Set(deliveries.map(({ station }) => station))]);
    return isMoved ? to : undefined;
  };

  /** As far as it goes. Resolves with its position; `undefined`: it has none, or rests. */
  const advanceFully = async (webhook: Webhook, position: string | undefined): Promise<string | undefined> => {
    let reached = position;
    try {
      for (let at = position; at !== undefined && !stopping.signal.aborted; ) {
        reached = at;
        at = await advance(webhook, at);
      }
    } catch (error) {
      if (stopping.signal.aborted) return undefined;
      // Others are told what happens nevertheless.
      onError(new Error(`events are not told to the webhook ${webhook.id}`, { cause: error }));
      resting.set(webhook.id, performance.now() + REST_MS);
    }
    return resting.has(webhook.id) ? undefined : reached;
  };

  /** Every webhook that does not rest. Resolves with the newest position of these, `$` if there is none. */
  const round = async (): Promise<string> => {
    const [webhooks, positions] = await Promise.all([store.list(), store.positions()]);
    for (const [id, until] of resting) if (until <= performance.now()) resting.delete(id);
    let newest = '$';
    for (const webhook of webhooks.filter((one) => !isStopped(one) && !resting.has(one.id))) {
      const at = await advanceFully(webhook, positions[webhook.id]);
      if (at !== undefined && (newest === '$' || compareIds(at, newest) > 0)) newest = at;
    }
    return newest;
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        const after = await round();
        if (stopping.signal.aborted) return;
        // A webhook that is new, or has room again, is seen after this at the latest. The position of one that rests is
        // behind what it was not told: waiting from there would not wait.
        await waiting.xread('COUNT', 1, 'BLOCK', BLOCK_MS, 'STREAMS', keys.events, after);
      } catch (error) {
        if (stopping.signal.aborted) return;
        onError(error);
        await sleep(RETRY_MS, stopping.signal);
      }
    }
  };
  const running = run();

  return {
    async stop(): Promise<void> {
      stopping.abort();
      waiting.disconnect();
      await running;
    },
  };
}
