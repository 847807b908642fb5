/**
 * Webhooks and what is on its way to them, in Redis. Whatever belongs together changes in one script: the position of a
 * webhook with the deliveries it passed over, the first entry of a list with the dead letter it becomes.
 */
import type { Redis } from 'ioredis';
import { newestId } from '../events/stream-entries.js';
import type { Keys } from '../records/keys.js';
import { repliesOf } from '../records/replies.js';
import { type DeadLetter, type Delivery, pairOf, readPair, type Webhook } from './webhook.js';

/** A dead receiver may not fill Redis: older ones make room, and are counted. */
export const MOST_DEAD_LETTERS = 1000;
export const MOST_WAITING = 5000;
export const MOST_WEBHOOKS = 50;

/** ARGV: webhook, its old position, its new one, prefix of lists, prefix of members, then station and delivery in turn. */
const ADVANCE = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] or redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
local count = 0
for at = 6, #ARGV, 2 do
  redis.call('RPUSH', ARGV[4] .. ARGV[at], ARGV[at + 1])
  redis.call('SADD', KEYS[3], ARGV[5] .. ARGV[at])
  count = count + 1
end
if count > 0 then redis.call('HINCRBY', KEYS[4], ARGV[1], count) end
return 1`;

/** ARGV: webhook, member, id of the delivery, dead letter or nothing, most of these. Answers with the next entry. */
const SETTLE = `
local head = redis.call('LINDEX', KEYS[1], 0)
if head and cjson.decode(head).id == ARGV[3] then
  redis.call('LPOP', KEYS[1])
  redis.call('HINCRBY', KEYS[3], ARGV[1], -1)
  if ARGV[4] ~= '' then
    redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
    redis.call('RPUSH', KEYS[5], ARGV[3])
    while redis.call('LLEN', KEYS[5]) > tonumber(ARGV[5]) do
      if redis.call('HDEL', KEYS[4], redis.call('LPOP', KEYS[5])) == 1 then redis.call('HINCRBY', KEYS[6], ARGV[1], 1) end
    end
  end
end
local next = redis.call('LINDEX', KEYS[1], 0)
if not next then redis.call('SREM', KEYS[2], ARGV[2]) end
return next`;

/** ARGV: webhook, prefix of lists, prefix of members, id of the delivery. */
const RESEND = `
local text = redis.call('HGET', KEYS[1], ARGV[4])
if not text then return 0 end
local dead = cjson.decode(text)
redis.call('HDEL', KEYS[1], ARGV[4])
redis.call('LREM', KEYS[2], 1, ARGV[4])
redis.call('RPUSH', ARGV[2] .. dead.station, text)
redis.call('SADD', KEYS[3], ARGV[3] .. dead.station)
redis.call('HINCRBY', KEYS[4], ARGV[1], 1)
return 1`;

/** ARGV: webhook, delivery, member, most that wait. Answers 1, or 0 when there is no room, or -1 when there is no webhook. */
const APPEND = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return -1 end
if tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0') >= tonumber(ARGV[4]) then return 0 end
redis.call('RPUSH', KEYS[3], ARGV[2])
redis.call('SADD', KEYS[4], ARGV[3])
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
return 1`;

/** ARGV: webhook, JSON, position, most. Creates only where there is room. */
const CREATE = `
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return 1`;

/** ARGV: webhook, JSON as it was, JSON as it is to be. */
const REPLACE = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`;

/** ARGV: webhook, prefix of lists, prefix of members. KEYS: hashes by webhook, the set of members, dead letters and their order. */
const REMOVE = `
local removed = redis.call('HDEL', KEYS[1], ARGV[1])
for at = 2, 4 do redis.call('HDEL', KEYS[at], ARGV[1]) end
for _, member in ipairs(redis.call('SMEMBERS', KEYS[5])) do
  if string.sub(member, 1, #ARGV[3]) == ARGV[3] then
    redis.call('DEL', ARGV[2] .. string.sub(member, #ARGV[3] + 1))
    redis.call('SREM', KEYS[5], member)
  end
end
redis.call('DEL', KEYS[6], KEYS[7])
return removed`;

export interface WebhookCounts {
  /** Deliveries that wait or are on their way. */
  readonly waiting: number;
  readonly deadLetters: number;
  /** Dead letters that made room for newer ones. */
  readonly dropped: number;
}

/** `full`: as much waits as may. `unknown`: there is no such webhook. Nothing was appended then. */
export type Appended = 'appended' | 'full' | 'unknown';

function createNotify(redis: Redis, keys: Keys): (id: string) => Promise<number> {
  return (id) => redis.publish(keys.notifications, `webhook ${id}`);
}

/** What is registered. */
function registered(redis: Redis, keys: Keys) {
  const { webhooks, webhookPositions, webhookBusy, webhookWaiting, webhookDropped } = keys;
  const notify = createNotify(redis, keys);
  return {
    read: async (id: string): Promise<Webhook | undefined> => {
      const text = await redis.hget(webhooks, id);
      return text === null ? undefined : (JSON.parse(text) as Webhook);
    },
    list: async (): Promise<readonly Webhook[]> => {
      const all = Object.values(await redis.hgetall(webhooks)).map((text) => JSON.parse(text) as Webhook);
      return all.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
    },
    /** What happens from now on is told to it. `false`: there are as many as there may be. */
    create: async (webhook: Webhook): Promise<boolean> => {
      const position = await newestId(redis, keys.events);
      const { id } = webhook;
      const made = await redis.eval(
        CREATE,
        2,
        webhooks,
        webhookPositions,
        id,
        JSON.stringify(webhook),
        position,
        MOST_WEBHOOKS,
      );
      if (made === 1) await notify(id);
      return made === 1;
    },
    /** What `change` makes of it as it is; asked again when another change was quicker. `undefined`: there is none. */
    change: async (id: string, change: (webhook: Webhook) => Webhook): Promise<Webhook | undefined> => {
      for (;;) {
        const text = await redis.hget(webhooks, id);
        if (text === null) return undefined;
        const next = change(JSON.parse(text) as Webhook);
        if ((await redis.eval(REPLACE, 1, webhooks, id, text, JSON.stringify(next))) === 1) {
          await notify(id);
          return next;
        }
      }
    },
    /** With all that is on its way to it. `false`: there was none. */
    remove: async (id: string): Promise<boolean> => {
      const hashes = [webhooks, webhookPositions, webhookWaiting, webhookDropped];
      const dead = [keys.webhookDead(id), keys.webhookDeadOrder(id)];
      const removed = await redis.eval(
        REMOVE,
        7,
        ...hashes,
        webhookBusy,
        ...dead,
        id,
        keys.webhookList(id, ''),
        pairOf(id, ''),
      );
      return removed === 1;
    },
    counts: async (id: string): Promise<WebhookCounts> => {
      type Counts = [waiting: string | null, dead: number, dropped: string | null];
      const [waiting, deadLetters, dropped] = await repliesOf<Counts>(
        redis.multi().hget(webhookWaiting, id).hlen(keys.webhookDead(id)).hget(webhookDropped, id),
      );
      return { waiting: Number(waiting ?? 0), deadLetters, dropped: Number(dropped ?? 0) };
    },
  };
}

/** What is on its way. */
function onTheWay(redis: Redis, keys: Keys) {
  const { webhooks, webhookPositions, webhookBusy, webhookWaiting, webhookDropped } = keys;
  const notify = createNotify(redis, keys);
  return {
    /** Where each webhook is in the stream of events. */
    positions: (): Promise<Record<string, string>> => redis.hgetall(webhookPositions),
    /** `false`: it is elsewhere by now, or there is no such webhook any more. */
    advance: async (id: string, from: string, to: string, deliveries: readonly Delivery[]): Promise<boolean> => {
      const entries = deliveries.flatMap((delivery) => [delivery.station, JSON.stringify(delivery)]);
      const known = [webhookPositions, webhooks, webhookBusy, webhookWaiting];
      const moved = await redis.eval(
        ADVANCE,
        4,
        ...known,
        id,
        from,
        to,
        keys.webhookList(id, ''),
        pairOf(id, ''),
        ...entries,
      );
      return moved === 1;
    },
    /** The first delivery for a webhook and a station, if there is one. */
    head: async (id: string, station: string): Promise<Delivery | undefined> => {
      const text = await redis.lindex(keys.webhookList(id, station), 0);
      return text === null ? undefined : (JSON.parse(text) as Delivery);
    },
    /** Webhooks and stations that something waits for. */
    busy: async (): Promise<readonly { readonly webhook: string; readonly station: string }[]> => {
      return (await redis.smembers(webhookBusy)).map(readPair);
    },
    /** The first delivery is over: it was taken, or becomes a dead letter. Resolves with the next one. */
    settle: async (
      id: string,
      { station, id: delivery }: Delivery,
      dead?: DeadLetter,
    ): Promise<Delivery | undefined> => {
      const lists = [keys.webhookList(id, station), webhookBusy, webhookWaiting];
      const letters = [keys.webhookDead(id), keys.webhookDeadOrder(id), webhookDropped];
      const text = dead ? JSON.stringify(dead) : '';
      const next = await redis.eval(
        SETTLE,
        6,
        ...lists,
        ...letters,
        id,
        pairOf(id, station),
        delivery,
        text,
        MOST_DEAD_LETTERS,
      );
      return typeof next === 'string' ? (JSON.parse(next) as Delivery) : undefined;
    },
    /** The oldest first. */
    deadLetters: async (id: string): Promise<readonly DeadLetter[]> => {
      type Letters = [order: string[], letters: Record<string, string>];
      const [order, letters] = await repliesOf<Letters>(
        redis.multi().lrange(keys.webhookDeadOrder(id), 0, -1).hgetall(keys.webhookDead(id)),
      );
      return order.flatMap((delivery) => {
        const text = letters[delivery];
        return text === undefined ? [] : [JSON.parse(text) as DeadLetter];
      });
    },
    /** Behind what waits for that station already. `false`: there is no such dead letter any more. */
    resend: async (id: string, delivery: string): Promise<boolean> => {
      const known = [keys.webhookDead(id), keys.webhookDeadOrder(id), webhookBusy, webhookWaiting];
      const sent = await redis.eval(RESEND, 4, ...known, id, keys.webhookList(id, ''), pairOf(id, ''), delivery);
      if (sent === 1) await notify(id);
      return sent === 1;
    },
    /** One delivery more, behind what waits for its station. Repeated, it is there twice. */
    append: async (id: string, delivery: Delivery): Promise<Appended> => {
      const { station } = delivery;
      const known = [webhooks, webhookWaiting, keys.webhookList(id, station), webhookBusy];
      const text = JSON.stringify(delivery);
      const appended = await redis.eval(APPEND, 4, ...known, id, text, pairOf(id, station), MOST_WAITING);
      if (appended !== 1) return appended === 0 ? 'full' : 'unknown';
      await notify(id);
      return 'appended';
    },
  };
}

export type WebhookStore = ReturnType<typeof createWebhookStore>;

/** All of it rejects when Redis does not answer; all of it but `append` is safe to repeat. */
export const createWebhookStore = (redis: Redis, keys: Keys) => ({
  ...registered(redis, keys),
  ...onTheWay(redis, keys),
});
