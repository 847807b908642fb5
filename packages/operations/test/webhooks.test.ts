/** What webhooks are made of: signatures, filters, pauses, and the scripts that change several things at once. */

import { setImmediate as immediate } from 'node:timers/promises';
import { stationEvent } from '@khumbu/operations/events/events';
import { EVENTS_KEPT, hasLostEntries, readEntry, readPage } from '@khumbu/operations/events/stream-entries';
import type { Keys } from '@khumbu/operations/records/keys';
import { createReadGroups, type GroupsOf, noGroups, type ReadGroups } from '@khumbu/operations/stations/read-groups';
import { backoffMs } from '@khumbu/operations/webhooks/backoff';
import { deliveriesOf, startDispatcher } from '@khumbu/operations/webhooks/dispatcher';
import { eventFilter, parseEventFilter } from '@khumbu/operations/webhooks/event-filter';
import { newKey, signedHeaders } from '@khumbu/operations/webhooks/signature';
import { type Delivery, isShownUrl, shownUrl, type Webhook } from '@khumbu/operations/webhooks/webhook';
import {
  createWebhookStore,
  MOST_DEAD_LETTERS,
  MOST_WAITING,
  MOST_WEBHOOKS,
  type WebhookStore,
} from '@khumbu/operations/webhooks/webhook-store';
import { startWebhookWorker } from '@khumbu/operations/webhooks/webhook-worker';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { awaitUntil } from '@khumbu/test-support/events';
import { Webhook as Verifier } from 'standardwebhooks';
import t, { type Test } from 'tap';
import { fresh, NOW, redis, server } from './store-stage.js';

const webhookOf = (id: string, more: Partial<Webhook> = {}): Webhook => ({
  id,
  url: 'https://csms.example/hook',
  keys: [newKey(NOW)],
  createdAt: NOW,
  ...more,
});
const deliveryOf = (webhook: string, station: string, n: number): Delivery => ({
  id: `${webhook}.${n}-0`,
  station,
  type: 'station',
  body: `{"n":${n}}`,
});
const open = () => {
  const { store } = fresh();
  return { keys: store.keys, store, webhooks: createWebhookStore(redis, store.keys) };
};

void t.test(
  'messages are signed so that the library of Standard Webhooks takes them, by each key that is valid',
  async (t) => {
    const now = Date.now();
    const [fresh, old, over] = [
      newKey(now),
      { ...newKey(now), expiresAt: now + 1000 },
      { ...newKey(now), expiresAt: now - 1 },
    ];
    const message = { id: 'wh_1.1-0', body: '{"type":"station","ünd":"✓"}' };
    const headers = signedHeaders([fresh, old, over], message, now);
    for (const { secret } of [fresh, old])
      t.strictSame(new Verifier(secret).verify(message.body, headers), JSON.parse(message.body));
    t.throws(() => new Verifier(over.secret).verify(message.body, headers), /No matching signature/);
    t.throws(() => new Verifier(fresh.secret).verify(`${message.body} `, headers), /No matching signature/);
    t.throws(
      () => new Verifier(fresh.secret).verify(message.body, { ...headers, 'webhook-id': 'wh_1.2-0' }),
      /No matching/,
    );
    t.not(fresh.secret, old.secret);
  },
);

void t.test('pauses double up to a quarter of an hour, a fifth more or less', async (t) => {
  t.strictSame(
    [1, 2, 3, 8, 20, 1000].map((made) => backoffMs(made, 5000, () => 0.5)),
    [5000, 10_000, 20_000, 640_000, 900_000, 900_000],
  );
  t.equal(
    backoffMs(1, 5000, () => 0),
    4000,
  );
  t.equal(
    backoffMs(1, 5000, () => 1),
    6000,
  );
});

void t.test('filters choose by what an event says and by the labels of its station', async (t) => {
  const groupsOf: GroupsOf = (station) =>
    station === 'cs-1' ? { type: 'dc-180', labels: { site: 'north' } } : { labels: {} };
  const operation = {
    type: 'operation',
    at: '2026-11-29T00:00:00.000Z',
    stationId: 'cs-1',
    operationId: 'op',
    kind: 'firmware_update',
    origin: 'rest',
    status: 'Installed',
    version: 3,
    ended: true,
    outcome: { ok: true, reason: 'done' },
  } as const;
  const station = stationEvent('cs-2', 'away', NOW);
  const rows: [filter: string | undefined, operation: boolean, station: boolean][] = [
    [undefined, true, true],
    ['event = station', false, true],
    ['event = operation and ended = true', true, false],
    ['ok = false', false, false],
    ['kind in (firmware_update, reset) or change = away', true, true],
    ['change = back', false, false],
    ['station ~ cs-*', true, true],
    ['label.site = north', true, false],
    ['not label.site = north', false, true],
    ['type ~ dc-*', true, false],
    ['status = Installed and reason = done and origin = rest', true, false],
  ];
  for (const [filter, ofOperation, ofStation] of rows) {
    const wants = eventFilter(filter, groupsOf);
    t.strictSame([wants(operation), wants(station)], [ofOperation, ofStation], filter ?? 'none');
  }
  t.throws(() => parseEventFilter('change = gone'), { code: 'FILTER_INVALID', expected: ['heard'] });
  t.throws(() => parseEventFilter('colour = red'), /no field/);
});

void t.test('an address is shown without what may be secret in it', async (t) => {
  const rows: [url: string, shown: string][] = [
    ['https://user:word@csms.example/hooks/khumbu?token=secret#x', 'https://csms.example/…'],
    ['https://hooks.example:8443/bot-token/', 'https://hooks.example:8443/…'],
    ['https://user:word@csms.example', 'https://csms.example/…'],
    ['https://csms.example/?token=secret', 'https://csms.example/…'],
    ['http://csms.example', 'http://csms.example/'],
  ];
  for (const [url, shown] of rows) {
    t.equal(shownUrl(url), shown);
    t.equal(shownUrl(shown), shown, 'it is shown as it is');
    t.strictSame([isShownUrl(url), isShownUrl(shown)], [false, shown.endsWith('…')]);
  }
});

void t.test('the position moves with what it passed over, from where it was read alone', async (t) => {
  const { webhooks, keys } = open();
  await webhooks.create(webhookOf('wh_a'));
  t.strictSame(await webhooks.positions(), { wh_a: '0-0' });
  const first = [deliveryOf('wh_a', 'cs-1', 1), deliveryOf('wh_a', 'cs 2', 2)];
  t.equal(await webhooks.advance('wh_a', '0-0', '2-0', first), true);
  t.equal(await webhooks.advance('wh_a', '0-0', '2-0', first), false, 'another process has read the same');
  t.equal(await webhooks.advance('wh_b', '0-0', '2-0', first), false, 'there is none');
  t.strictSame(await webhooks.positions(), { wh_a: '2-0' });
  t.strictSame(await webhooks.counts('wh_a'), { waiting: 2, deadLetters: 0, dropped: 0 });
  const pairs = (await webhooks.busy()).map(({ webhook, station }) => [webhook, station]);
  t.strictSame(pairs.map(String).toSorted(), ['wh_a,cs 2', 'wh_a,cs-1']);
  t.equal(await webhooks.remove('wh_a'), true);
  t.equal(await webhooks.remove('wh_a'), false);
  t.strictSame(await redis.keys(`${keys.webhooks}*`), [], 'nothing is left');
  t.strictSame(await redis.keys(`${keys.webhookBusy.replace('-busy', '')}*`), [], 'nothing is left');
});

void t.test('the first of a list is taken off once, and a dead letter goes back behind what waits', async (t) => {
  const { webhooks } = open();
  await webhooks.create(webhookOf('wh_a'));
  const [one, two] = [deliveryOf('wh_a', 'cs-1', 1), deliveryOf('wh_a', 'cs-1', 2)];
  await webhooks.advance('wh_a', '0-0', '2-0', [one, two]);
  t.match(await webhooks.head('wh_a', 'cs-1'), one);
  const dead = { ...one, at: NOW, reason: 'http_500', message: 'the server answered 500', tries: 3 };
  t.match(await webhooks.settle('wh_a', one, dead), two);
  t.match(await webhooks.settle('wh_a', one, dead), two, 'it is over already: nothing else is taken off');
  t.strictSame(await webhooks.deadLetters('wh_a'), [dead]);
  t.equal(await webhooks.resend('wh_a', one.id), true);
  t.equal(await webhooks.resend('wh_a', one.id), false);
  t.match(await webhooks.settle('wh_a', two), { id: one.id, body: one.body });
  t.equal(await webhooks.settle('wh_a', one), undefined);
  t.strictSame(await webhooks.busy(), []);
  t.strictSame(await webhooks.counts('wh_a'), { waiting: 0, deadLetters: 0, dropped: 0 });
});

void t.test('dead letters are bounded and those that made room are counted; so are webhooks', async (t) => {
  const { webhooks, keys } = open();
  await webhooks.create(webhookOf('wh_a'));
  const all = Array.from({ length: MOST_DEAD_LETTERS + 2 }, (_none, n) => deliveryOf('wh_a', 'cs-1', n));
  await webhooks.advance('wh_a', '0-0', '9-0', all);
  for (const one of all) await webhooks.settle('wh_a', one, { ...one, at: NOW, reason: 'x', message: 'x', tries: 1 });
  t.strictSame(await webhooks.counts('wh_a'), { waiting: 0, deadLetters: MOST_DEAD_LETTERS, dropped: 2 });
  t.equal((await webhooks.deadLetters('wh_a'))[0]?.id, 'wh_a.2-0');
  const made = await Promise.all(
    Array.from({ length: MOST_WEBHOOKS }, (_none, n) => webhooks.create(webhookOf(`wh_${n}`))),
  );
  t.equal(made.filter(Boolean).length, MOST_WEBHOOKS - 1);
  t.equal(await redis.hlen(keys.webhooks), MOST_WEBHOOKS);
});

void t.test('of changes at once none is lost', async (t) => {
  const { webhooks } = open();
  await webhooks.create(webhookOf('wh_a', { title: '' }));
  await Promise.all(
    ['a', 'b', 'c'].map((letter) => webhooks.change('wh_a', (one) => ({ ...one, title: `${one.title}${letter}` }))),
  );
  const { title = '' } = (await webhooks.read('wh_a')) ?? {};
  t.strictSame([title.length, new Set(title).size], [3, 3]);
  t.equal(await webhooks.change('wh_b', (one) => one), undefined);
});

void t.test('what the stream has lost is told before what follows', async (t) => {
  const { store } = open();
  await store.commit(store.transaction().emitEvent(stationEvent('cs-1', 'away', NOW)));
  const [raw] = await redis.xrange(store.keys.events, '-', '+');
  const entries = raw ? [readEntry(raw)] : [];
  const page = { gap: { after: '1-0', until: '5-0' }, entries };
  const [gap, event] = deliveriesOf({ id: 'wh_a', filter: 'change = away' }, page, noGroups, NOW);
  t.match(gap, { id: 'wh_a.gap-5-0', station: '', type: 'gap' });
  t.strictSame(JSON.parse(gap?.body ?? ''), {
    type: 'gap',
    timestamp: new Date(NOW).toISOString(),
    data: { type: 'gap', after: '1-0', until: '5-0' },
  });
  t.match(event, { id: `wh_a.${raw?.[0]}`, station: 'cs-1', type: 'station' });
  t.match(JSON.parse(event?.body ?? ''), { type: 'station', data: { stationId: 'cs-1', change: 'away' } });
  t.strictSame(deliveriesOf({ id: 'wh_a', filter: 'change = back' }, { entries }, noGroups, NOW), []);
});

const WAIT_MS = 60_000;

/** A dispatcher beside a store that may be another one than the real one. */
function dispatch(
  t: Test,
  store: WebhookStore,
  keys: Keys,
  readGroups: ReadGroups = () => Promise.resolve(noGroups),
): Error[] {
  const errors: Error[] = [];
  const dispatcher = startDispatcher({
    store,
    redis,
    waiting: redis.duplicate(),
    keys,
    readGroups,
    now: () => NOW,
    onDeliveries: () => Promise.resolve(),
    onError: (error) => errors.push(error as Error),
  });
  t.teardown(() => dispatcher.stop());
  return errors;
}

void t.test('a webhook that is full is asked again after a pause, and goes on when there is room', async (t) => {
  const { store, webhooks, keys } = open();
  for (const id of ['wh_full', 'wh_live']) await webhooks.create(webhookOf(id));
  let isFull = true;
  const asked: number[] = [];
  const counts = async (id: string) => {
    const real = await webhooks.counts(id);
    if (id !== 'wh_full') return real;
    asked.push(performance.now());
    return isFull ? { ...real, waiting: MOST_WAITING } : real;
  };
  const errors = dispatch(t, { ...webhooks, counts }, keys);
  await awaitUntil(() => asked.length > 0, WAIT_MS, 'the first look');
  for (const station of ['cs-1', 'cs-2', 'cs-3']) {
    await store.commit(store.transaction().emitEvent(stationEvent(station, 'away', NOW)));
    await awaitUntil(() => webhooks.head('wh_live', station), WAIT_MS, 'the other one is told meanwhile');
  }
  await awaitUntil(() => asked.length > 2, WAIT_MS, 'looks while it is full');
  t.ok((asked[2] ?? 0) - (asked[0] ?? 0) > 3000, `a pause between looks: ${asked.join(', ')}`);
  t.equal(await webhooks.head('wh_full', 'cs-1'), undefined);
  isFull = false;
  await awaitUntil(() => webhooks.head('wh_full', 'cs-1'), WAIT_MS, 'what it was not told');
  t.strictSame(errors, []);
});

void t.test('while all webhooks are full nothing is asked without a pause', async (t) => {
  const { store, webhooks, keys } = open();
  await webhooks.create(webhookOf('wh_full'));
  await store.commit(store.transaction().emitEvent(stationEvent('cs-1', 'away', NOW)));
  const rounds: number[] = [];
  const full: WebhookStore = {
    ...webhooks,
    list: () => {
      rounds.push(performance.now());
      return webhooks.list();
    },
    counts: () => Promise.resolve({ waiting: MOST_WAITING, deadLetters: 0, dropped: 0 }),
  };
  dispatch(t, full, keys);
  await awaitUntil(() => rounds.length > 2, WAIT_MS, 'three rounds');
  t.ok((rounds[2] ?? 0) - (rounds[0] ?? 0) > 3000, `pauses: ${rounds.join(', ')}`);
});

void t.test('a webhook whose filter cannot be read holds up no other one', async (t) => {
  const { store, webhooks, keys } = open();
  await webhooks.create(webhookOf('wh_a', { filter: 'colour = red' }));
  await webhooks.create(webhookOf('wh_b'));
  const errors = dispatch(t, webhooks, keys);
  await store.commit(store.transaction().emitEvent(stationEvent('cs-1', 'away', NOW)));
  await awaitUntil(() => webhooks.head('wh_b', 'cs-1'), WAIT_MS, 'what happens');
  t.match(errors[0], { message: /wh_a/, cause: /no field/ });
  await webhooks.change('wh_a', ({ filter: _unreadable, ...one }) => one);
  await awaitUntil(() => webhooks.head('wh_a', 'cs-1'), WAIT_MS, 'the other one, once it can be read');
});

void t.test('a message is appended where there is a webhook and room', async (t) => {
  const { webhooks, keys } = open();
  t.equal(await webhooks.append('wh_a', deliveryOf('wh_a', '', 1)), 'unknown');
  t.strictSame(await redis.keys(`${keys.webhookBusy.replace('-busy', '')}*`), [], 'nothing is left of it');
  await webhooks.create(webhookOf('wh_a'));
  await redis.hset(keys.webhookWaiting, 'wh_a', MOST_WAITING - 1);
  t.equal(await webhooks.append('wh_a', deliveryOf('wh_a', '', 1)), 'appended');
  t.equal(await webhooks.append('wh_a', deliveryOf('wh_a', '', 2)), 'full');
  t.equal((await webhooks.counts('wh_a')).waiting, MOST_WAITING);
  t.equal(await redis.llen(keys.webhookList('wh_a', '')), 1);
});

void t.test('what its station is, a webhook is told of as it is when the event is passed on', async (t) => {
  const { store, webhooks, keys } = open();
  await webhooks.create(webhookOf('wh_a', { filter: 'label.site = north and type = dc-180' }));
  const profiles: Record<string, { type?: string; labels: Record<string, string> }> = {
    'cs-1': { type: 'dc-180', labels: { site: 'north' } },
    'cs-2': { type: 'ac-22', labels: { site: 'north' } },
  };
  const directory = { profileOf: (station: string) => profiles[station] };
  const own = (station: string, ownLabels: Record<string, string> | undefined, ownType: string | undefined) =>
    store.commit(
      store.transaction().setStation(station, {
        ownLabels: ownLabels && JSON.stringify(ownLabels),
        ownType,
      }),
    );
  const happens = (station: string) => store.commit(store.transaction().emitEvent(stationEvent(station, 'away', NOW)));
  const told = async () => [...new Set((await webhooks.busy()).map(({ station }) => station))].toSorted();
  // By the file; by REST over the file; by REST alone, in no file.
  await own('cs-2', undefined, 'dc-180');
  await own('cs-3', { site: 'north' }, 'dc-180');
  await own('cs-4', { site: 'south' }, 'dc-180');
  for (const station of ['cs-1', 'cs-2', 'cs-3', 'cs-4', 'cs-5']) await happens(station);
  const errors = dispatch(t, webhooks, keys, createReadGroups({ redis, keys, directory }));
  await awaitUntil(async () => (await told()).length >= 3, WAIT_MS, 'three stations of the group');
  t.strictSame(await told(), ['cs-1', 'cs-2', 'cs-3']);
  await own('cs-1', { site: 'south' }, undefined);
  await own('cs-4', { site: 'north' }, 'dc-180');
  const before = (await webhooks.counts('wh_a')).waiting;
  await happens('cs-1');
  await happens('cs-4');
  await awaitUntil(() => webhooks.head('wh_a', 'cs-4'), WAIT_MS, 'a station that has joined the group');
  t.equal((await webhooks.counts('wh_a')).waiting, before + 1, 'one that has left it is not told of');
  t.strictSame(errors, []);
});

void t.test('a webhook from before anything happened hears of what the stream has lost meanwhile', async (t) => {
  const { store, webhooks, keys } = open();
  await webhooks.create(webhookOf('wh_new'));
  await webhooks.create(webhookOf('wh_paused', { paused: true }));
  const happens = (station: string) => store.commit(store.transaction().emitEvent(stationEvent(station, 'away', NOW)));
  await happens('cs-1');
  const errors = dispatch(t, webhooks, keys);
  await awaitUntil(() => webhooks.head('wh_new', 'cs-1'), WAIT_MS, 'the first event there ever was');
  t.equal(await webhooks.head('wh_new', ''), undefined, 'nothing is lost');
  for (const station of ['cs-2', 'cs-3']) await happens(station);
  await redis.xtrim(keys.events, 'MAXLEN', 1);
  await webhooks.change('wh_paused', ({ paused: _paused, ...one }) => one);
  await awaitUntil(() => webhooks.head('wh_paused', 'cs-3'), WAIT_MS, 'what is still kept');
  const gap = await webhooks.head('wh_paused', '');
  t.match(gap, { type: 'gap' });
  t.match(JSON.parse(gap?.body ?? '{}'), { data: { type: 'gap', after: '0-0' } });
  t.strictSame([(await webhooks.counts('wh_paused')).waiting, errors], [2, []]);
});

void t.test('whether the beginning of a stream is gone', async (t) => {
  t.equal(hasLostEntries(['length', 3, 'last-generated-id', '5-0', 'entries-added', 3]), false);
  t.equal(hasLostEntries(['length', 3, 'last-generated-id', '5-0', 'entries-added', 4]), true);
  // Redis 6.2 does not count.
  t.equal(hasLostEntries(['length', EVENTS_KEPT - 1, 'last-generated-id', '5-0']), false);
  t.equal(hasLostEntries(['length', EVENTS_KEPT, 'last-generated-id', '5-0']), true);
  const { keys } = open();
  t.strictSame(await readPage(redis, keys.events, '0-0'), { entries: [] }, 'no stream');
});

void t.test('however many ask for it, what waits is gone through once at a time', async (t) => {
  const { webhooks, keys } = open();
  const waits: (() => void)[] = [];
  let [begun, underWay, most] = [0, 0, 0];
  const slow: WebhookStore = {
    ...webhooks,
    busy: async () => {
      [begun, underWay] = [begun + 1, underWay + 1];
      most = Math.max(most, underWay);
      await new Promise<void>((resolve) => waits.push(resolve));
      underWay -= 1;
      return [];
    },
  };
  const own = patientRedis(server.url, () => undefined);
  const errors: unknown[] = [];
  const worker = startWebhookWorker({
    store: slow,
    redis: own,
    keys,
    concurrency: 4,
    tries: 1,
    firstWaitMs: 10,
    mostRetryAfterMs: 10,
    lockMs: 30_000,
    now: () => NOW,
    send: () => Promise.resolve(undefined),
    onDead: () => undefined,
    onGone: () => undefined,
    onError: (error) => errors.push(error),
  });
  t.teardown(async () => {
    await worker.stop();
    own.disconnect();
  });
  const asked = Array.from({ length: 200 }, () => worker.sweep());
  const all = Promise.all(asked).then(() => true);
  const goOn = async (): Promise<boolean | undefined> => {
    waits.shift()?.();
    return Promise.race([all, immediate(undefined)]);
  };
  await awaitUntil(goOn, WAIT_MS, 'all that asked');
  t.strictSame([most, errors], [1, []], 'never two at once');
  // By itself it looks every ten seconds.
  t.ok(begun < 20, `${begun} for 200 questions`);
});
