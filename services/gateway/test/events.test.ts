import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { stationEvent } from '@khumbu/operations/events/events';
import { createProgress } from '@khumbu/operations/events/progress';
import { compareIds, idBefore } from '@khumbu/operations/events/stream-ids';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { EventSchema } from '@khumbu/rest-contract/events';
import { violations } from '@khumbu/shared/contract/violations';
import { awaitUntil, collector, within } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { type Json, KEYS, openRest, type Rest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

interface Event {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: Json;
}

/** What came and is not as the OpenAPI document has it. */
const undocumented: string[] = [];
function undocumentedIn({ event, data }: Event): string[] {
  const schema = EventSchema.anyOf.find(({ properties }) => properties.type.const === event);
  if (!schema) return [`an event ${event}`];
  const wrong = violations(schema, data).map(({ pointer, message }) => `${event}${pointer} ${message}`);
  const unknown = Object.keys(data as object).filter((member) => !Object.hasOwn(schema.properties, member));
  return [...wrong, ...unknown.map((member) => `${event} has ${member}`)];
}

/** A subscriber as a browser is one: remembers the last id, also of events without data. */
function subscribe(url: string, options: { lastEventId?: string; onEvent?: (event: Event) => void } = {}) {
  const events = collector<Event>();
  const comments = collector<string>();
  let lastEventId = options.lastEventId;
  let text = '';
  const headers = {
    authorization: `Bearer ${KEYS.read}`,
    ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
  };
  const outgoing = request(url, { headers, agent: false });
  const block = (lines: readonly string[]): void => {
    const field = (name: string): string | undefined =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    for (const line of lines) if (line.startsWith(':')) comments.push(line);
    const id = field('id');
    if (id !== undefined) lastEventId = id;
    const data = field('data');
    if (data === undefined) return;
    const event = { id, event: field('event') ?? 'message', data: JSON.parse(data) as Json };
    undocumented.push(...undocumentedIn(event));
    events.push(event);
    options.onEvent?.(event);
  };
  const connected = once(outgoing, 'response').then(([response]) => {
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        block(text.slice(0, end).split('\n'));
        text = text.slice(end + 2);
      }
    });
    response.on('error', () => undefined);
    return response as { statusCode: number; headers: Record<string, string> };
  });
  outgoing.on('error', () => undefined);
  outgoing.end();
  const closed = new Promise<void>((resolve) => outgoing.once('close', () => resolve()));
  return { events, comments, connected, closed, lastEventId: () => lastEventId, drop: () => outgoing.destroy() };
}

async function listen(t: Test, rest: Rest): Promise<string> {
  await rest.app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => rest.app.server.closeAllConnections());
  return `http://127.0.0.1:${(rest.app.server.address() as AddressInfo).port}/v1/events`;
}

/** Connected, and served from its place on. */
async function following(t: Test, url: string, options: Parameters<typeof subscribe>[1] = {}) {
  const subscriber = subscribe(url, options);
  t.teardown(() => subscriber.drop());
  const response = await within(subscriber.connected, 3000, 'the stream to open');
  await awaitUntil(() => subscriber.lastEventId() !== undefined, 3000, 'the first id');
  return { ...subscriber, response };
}

/** One change of a station, committed as any other; `n` makes it recognizable. */
async function transaction({ store }: Rest, station: string, n: number): Promise<void> {
  const event = stationEvent(station, 'restarted', Date.now(), { bootEpoch: n, bootReason: 'PowerUp' });
  await store.commit(
    store
      .transaction()
      .setStation(station, { bootEpoch: String(n) })
      .emitEvent(event),
  );
}

void t.test('ids have an order', async (t) => {
  const ids = ['0-0', '5-0', '5-1', '5-18446744073709551615', '1795339281926-0', '1795339281926-2'];
  t.strictSame([...ids].reverse().sort(compareIds), ids);
  t.strictSame(['0-0', '5-0', '5-1'].map(idBefore), ['0-0', '4-18446744073709551615', '5-0']);
});

void t.test('every committed state is told, once each, filtered', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {}, 'cs-2': {} }, app: { keepAliveMs: 50 } });
  const url = await listen(t, rest);
  const all = await following(t, url);
  t.match(all.response, { statusCode: 200, headers: { 'content-type': 'text/event-stream; charset=utf-8' } });
  const second = await following(t, `${url}?station=cs-2&type=operation`);
  const logs = await following(t, `${url}?kind=log_upload`);
  const stations = await following(t, `${url}?type=station&station=cs-1&station=cs-2`);

  for (const station of ['cs-1', 'cs-2']) {
    const body = { location: 'https://user:secret@a.example/x' };
    await rest.call('POST', `/v1/stations/${station}/firmware-updates`, { body });
  }
  const { operationId } = (
    await rest.call('POST', '/v1/stations/cs-1/log-uploads', { body: { location: 'https://a.example/' } })
  ).body;
  await rest.call('DELETE', `/v1/stations/cs-1/log-uploads/${operationId}`);
  await transaction(rest, 'cs-1', 1);

  const seen = await all.events.awaitAll((events) => events.length === 8, 3000, 'all events');
  t.strictSame(
    seen.map(({ data }) => [data.stationId, data.kind ?? data.change, data.status ?? data.bootEpoch]),
    [
      ['cs-1', 'firmware_update', 'Offered'],
      ['cs-1', 'firmware_update', 'Accepted'],
      ['cs-2', 'firmware_update', 'Offered'],
      ['cs-2', 'firmware_update', 'Accepted'],
      ['cs-1', 'log_upload', 'Offered'],
      ['cs-1', 'log_upload', 'Accepted'],
      ['cs-1', 'log_upload', 'Canceled'],
      ['cs-1', 'restarted', 1],
    ],
  );
  t.match(seen[6], {
    event: 'operation',
    data: { ended: true, outcome: { ok: false, reason: 'canceled' }, version: 3 },
  });
  t.notMatch(JSON.stringify(seen), 'secret');
  await stations.events.awaitAll((events) => events.length === 1, 3000, 'the restart');
  t.strictSame(
    second.events.items.map(({ data }) => data.stationId),
    ['cs-2', 'cs-2'],
  );
  t.strictSame(
    logs.events.items.map(({ data }) => data.status),
    ['Offered', 'Accepted', 'Canceled'],
  );

  await second.comments.awaitItem((line) => line.includes('keep-alive'), 3000, 'a keep-alive');
  await awaitUntil(
    () => second.lastEventId() === all.lastEventId(),
    3000,
    'the place of a filtered subscriber to move on without events',
  );
});

void t.test('bytes are told while they move, shown with the operation, and never replayed', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const url = await listen(t, rest);
  const start = (await following(t, url)).lastEventId() ?? '';
  const subscriber = await following(t, url);
  const { operationId } = (
    await rest.call('POST', '/v1/stations/cs-1/firmware-updates', { body: { location: 'https://a.example/x' } })
  ).body;
  const record = (await rest.store.load(operationId)) as FirmwareUpdateRecord;
  const context = {
    now: momentOf(Date.now()),
    dialect: 'unknown',
    bootEpoch: 0,
  } as const;
  const detail = { set: { fetch: { id: 'firmware-fetch-1', generation: 1 } } };
  await rest.store.commit(
    rest.store.transaction().put(applyUpdateEvent(record, 'fetchJoined', context, detail).record),
  );

  let now = 1_000_000;
  const progress = createProgress({
    redis: rest.redis,
    keys: rest.store.keys,
    onError: (error) => t.error(error),
    now: () => now,
  });
  const served = [{ operationId, station: 'cs-1', kind: 'firmware_update' as const }];
  const tell = progress('firmware-fetch-1', () => served);
  for (let bytes = 1; bytes <= 500; bytes++) tell(bytes, 1000);
  const first = await subscriber.events.awaitItem(({ event }) => event === 'progress', 3000, 'progress');
  t.match(first, { id: undefined, data: { operationId, stationId: 'cs-1', bytes: 1, totalBytes: 1000 } });
  now += 1000;
  await awaitUntil(
    async () => {
      tell(900, 1000);
      const { body } = await rest.call('GET', `/v1/operations/${operationId}`);
      return body.progress?.bytes === 900;
    },
    3000,
    'the operation to show its bytes',
  );
  await subscriber.events.awaitItem(({ data }) => data.bytes === 900, 3000, 'the second word');
  t.equal(subscriber.events.items.filter(({ event }) => event === 'progress').length, 2, 'one a second');

  const replay = await following(t, url, { lastEventId: start });
  await replay.events.awaitItem(({ data }) => data.status === 'Downloading', 3000, 'the replay');
  t.notOk(replay.events.items.some(({ event }) => event === 'progress'));
});

void t.test('no event is lost, whoever drops whom', async (t) => {
  const one = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const two = await openRest(t, { redis, stations: { 'cs-1': {} }, prefix: one.prefix });
  const urls = [await listen(t, one), await listen(t, two)];
  const EVENTS = 1200;
  const SUBSCRIBERS = 8;
  const got = Array.from({ length: SUBSCRIBERS }, () => [] as number[]);
  const current = await Promise.all(
    got.map((list, index) => following(t, urls[index % 2] ?? '', { onEvent: ({ data }) => list.push(data.bootEpoch) })),
  );
  let drops = 0;
  const dropHalf = async (round: number): Promise<void> => {
    await Promise.all(
      current.map(async (subscriber, index) => {
        if ((index + round) % 2 === 0) return;
        drops += 1;
        subscriber.drop();
        await subscriber.closed;
        // To the other replica, from the last event that was read.
        const url = urls[(index + round) % 4 < 2 ? 0 : 1] ?? '';
        const lastEventId = subscriber.lastEventId() ?? '';
        const list = got[index] ?? [];
        current[index] = await following(t, url, { lastEventId, onEvent: ({ data }) => list.push(data.bootEpoch) });
      }),
    );
  };
  let written = 0;
  const writing = (async () => {
    for (let n = 1; n <= EVENTS; n++) {
      await transaction(one, 'cs-1', n);
      written = n;
    }
  })();
  // Every so often in the middle of it all, more and more events apart.
  for (let round = 0, next = 1; next < EVENTS; round++, next += 10 + round * 8) {
    await awaitUntil(() => written >= next, 10_000, `event ${next}`);
    await dropHalf(round);
  }
  await writing;
  const wanted = Array.from({ length: EVENTS }, (_, index) => index + 1);
  await awaitUntil(() => got.every((list) => list.at(-1) === EVENTS), 10_000, 'everybody to have the last one');
  for (const [index, list] of got.entries()) {
    t.equal(list.join(), wanted.join(), `subscriber ${index}: every event, once, in order`);
  }
  t.ok(drops >= SUBSCRIBERS, `${drops} connections were dropped`);
});

void t.test('a restarted gateway goes on where the old one ended', async (t) => {
  const old = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const before = await following(t, await listen(t, old));
  await transaction(old, 'cs-1', 1);
  await before.events.awaitAll((events) => events.length === 1, 3000, 'the first event');
  const closing = old.close();
  await within(before.closed, 3000, 'the stream to end with the gateway');
  await closing;

  const next = await openRest(t, { redis, stations: { 'cs-1': {} }, prefix: old.prefix });
  await transaction(next, 'cs-1', 2);
  await transaction(next, 'cs-1', 3);
  const after = await following(t, await listen(t, next), { lastEventId: before.lastEventId() ?? '' });
  const events = await after.events.awaitAll((list) => list.length === 2, 3000, 'what came in between');
  t.strictSame(
    events.map(({ data }) => data.bootEpoch),
    [2, 3],
  );
});

void t.test('what is not kept any more is a gap, said aloud', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const url = await listen(t, rest);
  await transaction(rest, 'cs-1', 1);
  const { keys } = rest.store;
  const [[oldest] = ['']] = await rest.redis.xrange(keys.events, '-', '+', 'COUNT', 1);
  for (let n = 2; n <= 10; n++) await transaction(rest, 'cs-1', n);
  await rest.redis.xtrim(keys.events, 'MAXLEN', 3);
  const late = await openRest(t, { redis, prefix: rest.prefix });
  const lateUrl = await listen(t, late);
  const subscriber = await following(t, lateUrl, { lastEventId: oldest });
  const events = await subscriber.events.awaitAll((list) => list.length === 4, 3000, 'the gap and the rest');
  t.strictSame(
    events.map(({ event }) => event),
    ['gap', 'station', 'station', 'station'],
  );
  t.match(events[0]?.data, { type: 'gap', after: oldest });
  t.strictSame(
    events.slice(1).map(({ data }) => data.bootEpoch),
    [8, 9, 10],
  );
  const beginning = await following(t, lateUrl, { lastEventId: '0-0' });
  const all = await beginning.events.awaitAll((list) => list.length === 4, 3000, 'the gap at the beginning');
  t.match(all[0], { event: 'gap', data: { type: 'gap', after: '0-0' } });

  const future = await following(t, url, { lastEventId: '9999999999999-0' });
  t.equal((await future.events.awaitItem(() => true, 3000, 'the gap of a lost stream')).event, 'gap');
  await transaction(rest, 'cs-1', 11);
  await future.events.awaitItem(({ data }) => data.bootEpoch === 11, 3000, 'what comes now');
  for (const id of ['x', '5-18446744073709551616', '5-99999999999999999999']) {
    const bad = await rest.call('GET', '/v1/events', { headers: { 'last-event-id': id } });
    t.strictSame([bad.status, bad.body.code], [400, 'LAST_EVENT_ID_INVALID'], id);
  }
  const greatest = await following(t, url, { lastEventId: '5-18446744073709551615' });
  await greatest.events.awaitItem(({ data }) => data.bootEpoch === 11, 3000, 'what Redis takes is taken');
});

void t.test('who does not read costs little and is let go', async (t) => {
  const rest = await openRest(t, {
    redis,
    stations: { 'cs-1': {} },
    app: { subscriberStallMs: 300, mostSubscribers: 1 },
  });
  const url = await listen(t, rest);
  const outgoing = request(url, { headers: { authorization: `Bearer ${KEYS.read}` }, agent: false });
  outgoing.on('error', () => undefined);
  outgoing.end();
  t.teardown(() => outgoing.destroy());
  const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream];
  response.on('error', () => undefined);
  response.pause();
  const full = await rest.call('GET', '/v1/events');
  t.strictSame([full.status, full.body.code], [503, 'TOO_MANY_SUBSCRIBERS']);

  let most = 0;
  const sockets = new Set<{ writableLength: number; destroyed: boolean }>();
  rest.app.server.on('connection', (socket) => sockets.add(socket));
  const looker = setInterval(() => {
    for (const socket of sockets) most = Math.max(most, socket.writableLength);
  }, 5);
  t.teardown(() => clearInterval(looker));
  const filler = 'x'.repeat(20_000);
  const event = { ...stationEvent('cs-1', 'restarted', 0), filler };
  const openStreams = async (): Promise<string> => (await rest.call('GET', '/metrics', { key: null })).body;
  await awaitUntil(
    async () => {
      for (let n = 0; n < 100; n++) await rest.store.commit(rest.store.transaction().emitEvent(event));
      return /khumbu_event_subscribers 0/.test(await openStreams());
    },
    20_000,
    'the subscriber to be let go',
  );
  t.ok(most < 1_000_000, `${most} bytes waited for it at most`);
});

void t.test('the stream outlives a restart of Redis', async (t) => {
  const own = await startRedis({ dir: t.testdir() });
  t.teardown(() => own.stop());
  const rest = await openRest(t, { redis: own, stations: { 'cs-1': {} } });
  const subscriber = await following(t, await listen(t, rest));
  await transaction(rest, 'cs-1', 1);
  await subscriber.events.awaitAll((list) => list.length === 1, 3000, 'the first event');
  await own.restart();
  await transaction(rest, 'cs-1', 2);
  await subscriber.events.awaitItem(({ data }) => data.bootEpoch === 2, 10_000, 'the event after the restart');
  t.strictSame(
    subscriber.events.items.map(({ data }) => data.bootEpoch),
    [1, 2],
  );
});

void t.test('one caller cannot take the streams of all others', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, app: { mostSubscribersPerCaller: 3 } });
  const url = await listen(t, rest);
  // At once: a subscriber that is still being looked up counts too.
  const many = Array.from({ length: 10 }, () => subscribe(url));
  t.teardown(() => {
    for (const one of many) one.drop();
  });
  const answers = await within(Promise.all(many.map(({ connected }) => connected)), 20_000, 'ten answers');
  t.strictSame(
    answers.map(({ statusCode }) => statusCode).sort((a, b) => a - b),
    [200, 200, 200, ...Array(7).fill(429)],
  );
  const full = await rest.call('GET', '/v1/events', { key: KEYS.read });
  t.match(full.body, {
    status: 429,
    code: 'TOO_MANY_EVENT_STREAMS',
    title: /caller/,
    detail: /^read has 3 event streams/,
  });
  t.match(full.headers['retry-after'], /^\d+$/);
  const other = request(url, { headers: { authorization: `Bearer ${KEYS.operate}` }, agent: false });
  other.on('error', () => undefined).end();
  const [response] = (await once(other, 'response')) as [{ statusCode: number }];
  t.equal(response.statusCode, 200, 'another caller is served');
  other.destroy();

  const open = many.filter((_one, index) => answers[index]?.statusCode === 200);
  open[0]?.drop();
  const again = async (): Promise<boolean> => {
    const next = subscribe(url);
    t.teardown(() => next.drop());
    const { statusCode } = await next.connected;
    if (statusCode !== 200) next.drop();
    return statusCode === 200;
  };
  await awaitUntil(again, 20_000, 'the place that was given back');
});

void t.test('a stream ends when the key that opened it is withdrawn, and others go on', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const url = await listen(t, rest);
  const open = async (key: string) => {
    const asked = request(url, { headers: { authorization: `Bearer ${key}` }, agent: false });
    asked.on('error', () => undefined).end();
    t.teardown(() => asked.destroy());
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    t.equal(response.statusCode, 200);
    const state = { ended: false };
    response.resume().on('close', () => {
      state.ended = true;
    });
    return { state, response };
  };
  const [read, operate, other] = [await open(KEYS.read), await open(KEYS.operate), await open(KEYS.other)];
  const keys = JSON.parse(readFileSync(rest.keysFile, 'utf8')) as { name: string; scopes: string[] }[];
  const without = keys.filter(({ name }) => name !== 'read');
  const withLess = without.map((key) => (key.name === 'operate' ? { ...key, scopes: [] } : key));
  writeFileSync(rest.keysFile, JSON.stringify(withLess, undefined, 1));
  await awaitUntil(() => read.state.ended, 30_000, 'the end of the stream of the key that is gone');
  await awaitUntil(() => operate.state.ended, 30_000, 'the end of the stream of the key that may not read any more');
  t.ok(read.response.complete, 'it ends as a whole');
  t.equal((await rest.call('GET', '/v1/stations', { key: KEYS.read })).status, 401);
  t.equal((await rest.call('GET', '/v1/stations', { key: KEYS.operate })).status, 403);
  t.notOk(other.state.ended);
});

void t.test('names of API keys cannot be mistaken for others', async (t) => {
  const rest = await openRest(t, { redis });
  const keys = JSON.parse(readFileSync(rest.keysFile, 'utf8')) as object[];
  for (const name of ['jwt:tool-1', 'oidc:ada', ' ', '\t']) {
    writeFileSync(rest.keysFile, JSON.stringify([...keys, { name, sha256: '0'.repeat(64), scopes: [] }]));
    await awaitUntil(
      () => /API_KEYS_FILE: .*\/name/.test(rest.files.summary()),
      30_000,
      () => `${JSON.stringify(name)}: ${rest.files.summary()}`,
    );
    t.equal((await rest.call('GET', '/v1/stations', { key: KEYS.read })).status, 200);
    writeFileSync(rest.keysFile, `${JSON.stringify(keys)}\n`);
    await awaitUntil(
      () => rest.files.summary() === 'ok',
      30_000,
      () => rest.files.summary(),
    );
  }
});

void t.test('who leaves while the stream is being opened gives its place back', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, app: { mostSubscribersPerCaller: 1 } });
  const url = await listen(t, rest);
  for (let round = 0; round < 5; round++) {
    redis.freeze();
    const asked = once(rest.app.server, 'request') as Promise<[unknown, ServerResponse]>;
    const early = subscribe(url);
    early.connected.catch(() => undefined);
    const [, response] = await within(asked, 20_000, 'the request');
    early.drop();
    await within(once(response, 'close'), 20_000, 'its end');
    redis.thaw();
  }
  const served = async (): Promise<boolean> => {
    const next = subscribe(url);
    const { statusCode } = await next.connected;
    next.drop();
    return statusCode === 200;
  };
  await awaitUntil(served, 20_000, 'a stream');
});

void t.test('every event that came is as the OpenAPI document has it', async (t) => {
  t.same(undocumented, []);
});
