/** The live view of logs as HTTP, with a worker in this process that reads what the test says. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { createKhumbuClient } from '@khumbu/client/client';
import type { LogViewRequest } from '@khumbu/operations/log-views/messages';
import { takeViews, type ViewOutput } from '@khumbu/operations/log-views/take-views';
import { LogViewLineSchema } from '@khumbu/rest-contract/log-view';
import { violations } from '@khumbu/shared/contract/violations';
import { whenAborted } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { awaitUntil, collector } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { KEYS, openRest, type Rest, type RestOptions } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

type Serve = (request: LogViewRequest, output: ViewOutput, signal: AbortSignal) => Promise<void>;

function work(t: Test, rest: Rest, serve: Serve, atOnce = 8) {
  const connect = () => patientRedis(redis.url, () => undefined);
  const own = connect();
  const worker = takeViews({
    redis: own,
    blocking: connect(),
    subscriber: connect(),
    keys: rest.store.keys,
    atOnce,
    serve,
    onError: (error) => t.comment(error),
  });
  const stop = async (): Promise<void> => {
    await worker.stop();
    own.disconnect();
  };
  t.teardown(stop);
  return { stop };
}

async function depot(t: Test, serve: Serve, options: Partial<RestOptions> = {}) {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, ...options });
  const worker = work(t, rest, serve);
  await rest.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = rest.app.server.address() as AddressInfo;
  return { rest, worker, url: `http://127.0.0.1:${port}/v1/stations/cs-1/logs` };
}

/** `end` hangs up. */
async function get(url: string, headers: Record<string, string> = {}) {
  const outgoing = request(url, { headers: { authorization: `Bearer ${KEYS.operate}`, ...headers }, agent: false });
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return { response, end: () => outgoing.destroy() };
}

const lineOf = (words: string): string => `${JSON.stringify({ type: 'record', source: 'journal', text: words })}\n`;

await t.test('quiet logs as text: nothing comes for longer than a connection may be idle', async (t) => {
  const idleMs = 5000;
  const { rest, url } = await depot(t, async (_request, output) => {
    await output.opened();
    await pause(2 * idleMs);
    await output.write(Buffer.from('journal | one\n-- end: complete\n'));
  });
  rest.app.server.setTimeout(idleMs);
  const { response } = await get(`${url}?follow=true`, { accept: 'text/plain' });
  t.equal(await text(response), 'journal | one\n-- end: complete\n');
});

await t.test('what a worker sends arrives as it is; nothing is left in Redis', async (t) => {
  const asked: LogViewRequest[] = [];
  const { rest, url } = await depot(t, async (request, output) => {
    asked.push(request);
    await output.opened();
    await output.write(Buffer.from(lineOf('one')));
    await output.write(Buffer.from('{"type":"end","reason":"complete"}\n'));
  });
  const before = await rest.redis.keys(`${rest.prefix}:*`);
  const query = 'since=2026-11-29T12:00:00Z&until=2026-11-29T13:00:00%2B01:00&grep=a%7Cb&source=journal&source=ocpp';
  const { response } = await get(`${url}?${query}`);
  t.equal(response.statusCode, 200);
  t.match(response.headers, {
    'content-type': 'application/jsonl',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  const lines = (await text(response))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string });
  t.same(lines, [
    { type: 'record', source: 'journal', text: 'one' },
    { type: 'end', reason: 'complete' },
  ]);
  for (const line of lines) {
    const schema = LogViewLineSchema.anyOf.find(({ properties }) => properties.type.const === line.type);
    t.same(schema && violations(schema, line), []);
  }
  const noon = Date.parse('2026-11-29T12:00:00Z');
  t.match(asked, [
    {
      station: 'cs-1',
      type: 'DiagnosticsLog',
      since: noon,
      until: noon,
      grep: 'a|b',
      sources: ['journal', 'ocpp'],
      newest: false,
      follow: false,
      format: 'json',
    },
  ]);
  const after = await rest.redis.keys(`${rest.prefix}:*`);
  t.same(
    after.filter((key) => !before.includes(key) && !key.includes(':security:')),
    [],
  );
  await awaitUntil(
    async () => (await rest.redis.pubsub('CHANNELS', `${rest.prefix}:log-view:*`)).length === 0,
    10_000,
    'the channels to close',
  );
});

await t.test('the newest records, followed as text, until who looks hangs up', async (t) => {
  const asked = collector<LogViewRequest>();
  const ended = collector<unknown>();
  const { url } = await depot(t, async (request, output, signal) => {
    asked.push(request);
    await output.opened();
    await output.write(Buffer.from('journal | one\n'));
    await whenAborted(signal);
    ended.push(signal.reason);
  });
  const { response, end } = await get(`${url}?follow=true`, { accept: 'text/plain' });
  t.equal(response.headers['content-type'], 'text/plain; charset=utf-8');
  const [first] = (await once(response.setEncoding('utf8'), 'data')) as [string];
  t.equal(first, 'journal | one\n');
  t.match((await asked.awaitAll((all) => all.length === 1, 10_000, 'a view to be asked for'))[0], {
    newest: true,
    follow: true,
    format: 'text',
  });
  response.on('error', () => undefined);
  end();
  t.match((await ended.awaitAll((all) => all.length === 1, 20_000, 'the worker to hear of it'))[0], {
    code: 'READER_GONE',
  });
});

await t.test('a reader that does not read makes the station wait', async (t) => {
  const total = 400 * 64 * 1024;
  const written = { bytes: 0 };
  const { url } = await depot(t, async (_request, output) => {
    await output.opened();
    for (let n = 0; n < 400; n += 1) {
      await output.write(Buffer.alloc(64 * 1024, 'x'));
      written.bytes += 64 * 1024;
    }
  });
  const { response } = await get(url, { accept: 'text/plain' });
  response.pause();
  // It stands still, at many looks one after the other.
  let last = 0;
  let same = 0;
  const standsStill = (): boolean => {
    same = written.bytes === last && last > 0 ? same + 1 : 0;
    last = written.bytes;
    return same > 50;
  };
  await awaitUntil(standsStill, 60_000, 'the worker to wait');
  t.ok(last < total, `${last} of ${total} bytes are on their way`);
  const whole = await text(response);
  t.equal(whole.length, total, 'all of it comes once it reads');
});

await t.test('what keeps a view from being opened', async (t) => {
  const failing: Serve = async ({ grep }) => {
    throw new CodedError(grep ?? '', 'told by the driver');
  };
  const { rest, url } = await depot(t, failing, { stations: { 'cs-1': {}, 'cs-2': {} }, unconfigured: ['cs-3'] });
  for (const [code, status, problem] of [
    ['STATION_UNREACHABLE', 503, 'STATION_UNREACHABLE'],
    ['LOGS_UNAVAILABLE', 409, 'LOGS_UNAVAILABLE'],
    ['STATION_FAILED', 409, 'LOGS_UNAVAILABLE'],
    ['STATION_NOT_CONFIGURED', 409, 'STATION_NOT_CONFIGURED'],
    ['STOPPING', 503, 'READS_BUSY'],
  ] as const)
    t.match(await rest.call('GET', `/v1/stations/cs-1/logs?grep=${code}`), {
      status,
      body: { code: problem, detail: 'told by the driver' },
    });
  t.match(await rest.call('GET', '/v1/stations/none/logs'), { status: 404, body: { code: 'STATION_UNKNOWN' } });
  t.match(await rest.call('GET', '/v1/stations/cs-3/logs'), { status: 409, body: { code: 'STATION_NOT_CONFIGURED' } });
  t.match(await rest.call('GET', '/v1/stations/cs-1/logs', { key: KEYS.read }), {
    status: 403,
    body: { code: 'SCOPE_MISSING' },
  });
  for (const [query, parameter] of [
    ['grep=%5B', 'grep'],
    ['grep=', 'grep'],
    ['follow=true&until=2026-11-29T12:00:00Z', 'until'],
    ['since=yesterday', 'since'],
    ['type=Other', 'type'],
    ['other=1', 'other'],
  ])
    t.match(await rest.call('GET', `/v1/stations/cs-1/logs?${query}`), {
      status: 400,
      body: { code: 'PARAMETER_INVALID', detail: new RegExp(parameter ?? '') },
    });
  const empty = 'since=2026-11-29T13:00:00Z&until=2026-11-29T12:00:00Z';
  t.match(await rest.call('GET', `/v1/stations/cs-1/logs?${empty}`), { status: 409, body: { code: 'WINDOW_EMPTY' } });
  t.ok(url);
});

await t.test('as many views as one caller may have, and how they end', async (t) => {
  const { rest, url, worker } = await depot(
    t,
    async (_request, output, signal) => {
      await output.opened();
      await whenAborted(signal);
      signal.throwIfAborted();
    },
    { app: { mostLogViewsPerCaller: 2 } },
  );
  const open = [await get(`${url}?follow=true`), await get(`${url}?follow=true`)];
  const third = await get(`${url}?follow=true`);
  t.equal(third.response.statusCode, 429);
  t.match(JSON.parse(await text(third.response)), { code: 'TOO_MANY_LOG_VIEWS', detail: /MAX_LOG_VIEWS_PER_CALLER/ });
  open[0]?.response.on('error', () => undefined);
  open[0]?.end();
  await awaitUntil(
    async () => {
      const again = await get(`${url}?follow=true`);
      again.response.on('error', () => undefined);
      again.end();
      return again.response.statusCode === 200;
    },
    20_000,
    'a place to be free',
  );
  const rest1 = open[1] && text(open[1].response);
  await worker.stop();
  t.match(await rest1, /\{"type":"end","reason":"stopping"\}\n$/);
  const told = (await rest.redis.lrange(rest.store.keys.securityPending, 0, -1)).join('\n');
  t.match(told, /"what":"log view"/);
});

await t.test('no worker has a place: refused, and not taken up later', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  t.match(await rest.call('GET', '/v1/stations/cs-1/logs'), {
    status: 503,
    body: { code: 'READS_BUSY', detail: /no log-worker/ },
  });
  await awaitUntil(async () => (await rest.redis.llen(rest.store.keys.logViews)) === 0, 10_000, 'it to be removed');
  const gone = await openRest(t, { redis, stations: { 'cs-1': {} }, abandoned: true });
  t.match(await gone.call('GET', '/v1/stations/cs-1/logs'), { status: 503, body: { code: 'WORKERS_GONE' } });
});

await t.test('the typed client reads lines, and ends the view where its reader stops', async (t) => {
  const ended = collector<unknown>();
  const { url } = await depot(t, async ({ grep }, output, signal) => {
    await output.opened();
    await output.write(Buffer.from('{"type":"alive"}\n{"type":"rec'));
    await output.write(Buffer.from(`ord","source":"journal","text":"${grep}"}\n`));
    if (grep === 'cut off') return;
    await whenAborted(signal);
    ended.push(signal.reason);
  });
  const client = createKhumbuClient({ baseUrl: new URL(url).origin, key: () => KEYS.operate });
  for await (const line of client.viewLogs('cs-1', { follow: true, grep: 'a b', source: ['journal'] })) {
    t.same(line, { type: 'record', source: 'journal', text: 'a b' });
    break;
  }
  t.match((await ended.awaitAll((all) => all.length === 1, 20_000, 'the worker to hear of it'))[0], {
    code: 'READER_GONE',
  });
  const lines = [];
  for await (const line of client.viewLogs('cs-1', { grep: 'cut off', since: new Date(0) }))
    lines.push(line.type === 'end' ? line.reason : line.type);
  t.same(lines, ['record', 'lost']);
  await t.rejects(client.viewLogs('none').next(), { code: 'STATION_UNKNOWN' });
});

await t.test('a gateway that stops ends views with a word', async (t) => {
  const ended = collector<unknown>();
  const { rest, url } = await depot(t, async (_request, output, signal) => {
    await output.opened();
    await whenAborted(signal);
    ended.push(signal.reason);
  });
  const { response } = await get(`${url}?follow=true`);
  const whole = text(response);
  const closed = rest.close();
  t.match(await whole, /\{"type":"end","reason":"stopping"\}\n$/);
  t.match((await ended.awaitAll((all) => all.length === 1, 20_000, 'the worker to hear of it'))[0], {
    code: 'READER_GONE',
  });
  await closed;
});
