/** Webhooks as their receivers meet them: order, signatures, tries, dead letters, and workers that are killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type StationChange, stationEvent } from '@khumbu/operations/events/events';
import { createStore } from '@khumbu/operations/kinds/store';
import { subscribeNotifications } from '@khumbu/operations/records/notifications';
import { newKey, signedHeaders, type WebhookKey } from '@khumbu/operations/webhooks/signature';
import type { Webhook } from '@khumbu/operations/webhooks/webhook';
import { createWebhookStore } from '@khumbu/operations/webhooks/webhook-store';
import { createLocationPolicy, type LocationPolicy } from '@khumbu/shared/locations/policy';
import { closeNow } from '@khumbu/shared/runtime/listening';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { awaitUntil } from '@khumbu/test-support/events';
import { openRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { runWebhooks, type WebhookConfig } from '../src/webhooks/run-webhooks.js';
import { loopbackPolicy } from './webhook-policy.js';

const WAIT_MS = 20_000;
t.setTimeout(900_000);
const { server, redis } = await openRedis(t, t.testdir({}));
let opened = 0;

interface Heard {
  readonly id: string;
  readonly station: string;
  readonly n: number;
  readonly type: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Answers as `answer` says; notes what it has answered with success. */
async function openReceiver(
  t: Test,
  answer: (heard: Heard, times: number) => number | Promise<number> = () => 204,
  headers: Readonly<Record<string, string>> = {},
) {
  const taken: Heard[] = [];
  const asked = new Map<string, number>();
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces).toString('utf8');
    const { type, data } = JSON.parse(body) as { type: string; data: { stationId?: string; bootEpoch?: number } };
    const id = String(request.headers['webhook-id']);
    const { stationId: station = '', bootEpoch: n = -1 } = data;
    const heard = { id, station, n, type, headers: request.headers, body };
    asked.set(id, (asked.get(id) ?? 0) + 1);
    const status = await answer(heard, asked.get(id) ?? 0);
    if (status < 300) taken.push(heard);
    response.writeHead(status, headers).end();
  };
  const receiver = createServer((request, response) => void serve(request, response));
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  t.teardown(() => closeNow(receiver));
  const { port } = receiver.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/hook?token=secret`, taken, asked };
}

function openDepot() {
  opened += 1;
  const prefix = `hooks${opened}`;
  const store = createStore(redis, prefix);
  const webhooks = createWebhookStore(redis, store.keys);
  return {
    prefix,
    keys: store.keys,
    webhooks,
    register: async (url: string, more: Partial<Webhook> = {}): Promise<Webhook> => {
      const webhook = { id: `wh_${opened}`, url, keys: [newKey(Date.now())], createdAt: Date.now(), ...more };
      await webhooks.create(webhook);
      return webhook;
    },
    /** As the commit of the gateway that saw it. `n`: so that order can be seen. */
    happens: async (station: string, n: number, change: StationChange = 'restarted'): Promise<void> => {
      const event = stationEvent(station, change, Date.now(), { bootEpoch: n, bootReason: 'PowerUp' });
      await store.commit(store.transaction().emitEvent(event));
    },
  };
}
type Depot = ReturnType<typeof openDepot>;

async function openWorker(
  t: Test,
  { keys }: Depot,
  config: Partial<WebhookConfig> = {},
  policy: LocationPolicy = loopbackPolicy(),
): Promise<{ stop: () => Promise<void> }> {
  const connect = () => patientRedis(server.url, () => undefined);
  const connections = [connect(), connect(), connect()] as const;
  const [own, waiting, subscriber] = connections;
  const worker = runWebhooks({
    config: {
      WEBHOOK_TRIES: 3,
      WEBHOOK_RETRY_INTERVAL_MS: 20,
      WEBHOOK_TIMEOUT_MS: 20_000,
      WEBHOOKS_AT_ONCE: 16,
      MAX_RETRY_AFTER_S: 900,
      JOB_LOCK_MS: 30_000,
      ...config,
    },
    redis: own,
    waiting,
    keys,
    notifications: await subscribeNotifications(subscriber, keys),
    directory: { profileOf: () => undefined },
    context: () => ({ policy }),
    now: Date.now,
    log: createLogger('test', 'silent'),
  });
  t.teardown(async () => {
    await worker.stop();
    for (const one of connections) one.disconnect();
  });
  return worker;
}

const aborted = async ({ signal }: AbortController): Promise<void> => {
  if (!signal.aborted) await once(signal, 'abort');
};

const numbersOf = (taken: readonly Heard[], station: string): number[] =>
  taken.filter((one) => one.station === station).map(({ n }) => n);

void t.test('events arrive signed, in order for each station, whatever fails in between', async (t) => {
  const depot = openDepot();
  // Every second message of cs-1 is refused at first.
  const receiver = await openReceiver(t, ({ station, n }, times) =>
    station === 'cs-1' && n % 2 === 0 && times < 3 ? 500 : 204,
  );
  const webhook = await depot.register(receiver.url, { filter: 'station in (cs-1, cs-2)' });
  await openWorker(t, depot);
  for (let n = 1; n <= 6; n += 1) for (const station of ['cs-1', 'cs-2', 'cs-3']) await depot.happens(station, n);
  await awaitUntil(
    () => receiver.taken.length >= 12,
    WAIT_MS,
    () => `12 messages, of ${receiver.taken.length}`,
  );
  for (const station of ['cs-1', 'cs-2']) t.strictSame(numbersOf(receiver.taken, station), [1, 2, 3, 4, 5, 6]);
  t.strictSame(numbersOf(receiver.taken, 'cs-3'), [], 'not asked for');
  const { headers = {}, body = '' }: Partial<Heard> = receiver.taken[0] ?? {};
  const { verify } = (await import(new URL('../../../../infra/webhook-receiver.mjs', import.meta.url).href)) as {
    verify: (secrets: string[], headers: IncomingHttpHeaders, body: string, now?: number) => string;
  };
  const secret = webhook.keys[0]?.secret ?? '';
  t.equal(verify(['whsec_b3RoZXI=', secret], headers, body), headers['webhook-id']);
  t.throws(() => verify([secret], headers, `${body} `), /no signature fits/);
  t.throws(() => verify(['whsec_b3RoZXI='], headers, body), /no signature fits/);
  t.throws(() => verify([secret], headers, body, Date.now() + 400_000), /too old/);
  t.equal(headers['content-type'], 'application/json');
});

void t.test('what is used up is a dead letter, the rest goes on, and it can be sent again as it was', async (t) => {
  const depot = openDepot();
  let isBroken = true;
  const receiver = await openReceiver(t, ({ n }) => (isBroken && n === 1 ? 503 : 204));
  const { id } = await depot.register(receiver.url);
  await openWorker(t, depot);
  for (const n of [1, 2]) await depot.happens('cs-1', n);
  await awaitUntil(() => receiver.taken.length === 1, WAIT_MS, 'the second message');
  const [dead] = await depot.webhooks.deadLetters(id);
  t.match(dead, { station: 'cs-1', reason: 'http_503', tries: 3 });
  t.equal(receiver.asked.get(dead?.id ?? ''), 3);
  t.notMatch(JSON.stringify({ ...dead, body: '' }), 'secret');
  isBroken = false;
  await depot.webhooks.resend(id, dead?.id ?? '');
  await awaitUntil(() => receiver.taken.length === 2, WAIT_MS, 'what was sent again');
  t.match(receiver.taken[1], { id: dead?.id, body: dead?.body });
  await awaitUntil(async () => (await depot.webhooks.counts(id)).waiting === 0, WAIT_MS, 'nothing waits');
});

void t.test('a key is changed while messages go on: both are valid until the first one expires', async (t) => {
  const depot = openDepot();
  const receiver = await openReceiver(t);
  const old: WebhookKey = { ...newKey(Date.now()), expiresAt: Date.now() + 3_600_000 };
  const fresh = newKey(Date.now());
  const webhook = await depot.register(receiver.url, { keys: [fresh, old] });
  await openWorker(t, depot);
  await depot.happens('cs-1', 1);
  await awaitUntil(() => receiver.taken.length === 1, WAIT_MS, 'a message by both');
  await depot.webhooks.change(webhook.id, (one) => ({ ...one, keys: [fresh, { ...old, expiresAt: 1 }] }));
  await depot.happens('cs-1', 2);
  await awaitUntil(() => receiver.taken.length === 2, WAIT_MS, 'a message by one');
  const { Webhook: Verifier } = await import('standardwebhooks');
  const fits = ({ secret }: WebhookKey, at: number): boolean => {
    const { body = '', headers = {} } = receiver.taken[at] ?? {};
    try {
      new Verifier(secret).verify(body, headers as Record<string, string>);
      return true;
    } catch {
      return false;
    }
  };
  t.strictSame([fits(old, 0), fits(fresh, 0), fits(old, 1), fits(fresh, 1)], [true, true, false, true]);
});

void t.test('the policy of locations counts at each connection, and redirects are not followed', async (t) => {
  const depot = openDepot();
  const inner = await openReceiver(t);
  const outer = await openReceiver(t, () => 307);
  const { id } = await depot.register(inner.url);
  const strict = createLocationPolicy({ allowedSchemes: ['http'], allowedHosts: [], allowLoopback: false });
  const worker = await openWorker(t, depot, { WEBHOOK_TRIES: 1 }, strict);
  await depot.happens('cs-1', 1);
  const letters = await awaitUntil(
    async () => {
      const found = await depot.webhooks.deadLetters(id);
      return found.length > 0 && found;
    },
    WAIT_MS,
    'the refused message',
  );
  t.match(letters, [{ reason: 'location_refused' }]);
  t.equal(inner.asked.size, 0, 'nothing was connected to');
  await worker.stop();
  const other = openDepot();
  const redirected = await other.register(outer.url);
  await openWorker(t, other, { WEBHOOK_TRIES: 1 });
  await other.happens('cs-1', 1);
  await awaitUntil(
    async () => (await other.webhooks.deadLetters(redirected.id)).length === 1,
    WAIT_MS,
    'the redirected one',
  );
  t.match(await other.webhooks.deadLetters(redirected.id), [{ reason: 'http_307' }]);
});

void t.test('410 stops a webhook, a pause keeps what happens, and both end', async (t) => {
  const depot = openDepot();
  let status = 410;
  const receiver = await openReceiver(t, () => status);
  const { id } = await depot.register(receiver.url);
  await openWorker(t, depot);
  await depot.happens('cs-1', 1);
  await awaitUntil(async () => (await depot.webhooks.read(id))?.gone === true, WAIT_MS, 'it is gone');
  await depot.happens('cs-1', 2);
  status = 204;
  t.equal(receiver.taken.length, 0);
  await depot.webhooks.change(id, ({ gone: _gone, ...one }) => ({ ...one, paused: true }));
  await depot.happens('cs-1', 3);
  await depot.webhooks.change(id, (one) => ({ ...one, paused: false }));
  await awaitUntil(() => receiver.taken.length === 3, WAIT_MS, 'what waited');
  t.strictSame(numbersOf(receiver.taken, 'cs-1'), [1, 2, 3]);
});

void t.test('a 410 of the URL before does not stop a webhook that was given another one', async (t) => {
  const depot = openDepot();
  const [asked, mayAnswer] = [new AbortController(), new AbortController()];
  const before = await openReceiver(t, async () => {
    asked.abort();
    await aborted(mayAnswer);
    return 410;
  });
  const after = await openReceiver(t);
  const { id } = await depot.register(before.url);
  await openWorker(t, depot);
  await depot.happens('cs-1', 1);
  await aborted(asked);
  await depot.webhooks.change(id, (one) => ({ ...one, url: after.url }));
  mayAnswer.abort();
  await awaitUntil(() => after.taken.length === 1, WAIT_MS, 'the message at the URL that is in force');
  t.notOk((await depot.webhooks.read(id))?.gone);
});

void t.test('a Retry-After is followed as far as the settings say', async (t) => {
  const depot = openDepot();
  const receiver = await openReceiver(t, (_heard, times) => (times < 2 ? 503 : 204), { 'retry-after': '86400' });
  await depot.register(receiver.url);
  await openWorker(t, depot, { MAX_RETRY_AFTER_S: 1 });
  await depot.happens('cs-1', 1);
  await awaitUntil(() => receiver.taken.length === 1, WAIT_MS, 'the second try');
});

void t.test('a receiver that does not answer holds up no other one', async (t) => {
  const depot = openDepot();
  const dead = await openReceiver(t, () => new Promise<number>(() => undefined));
  const live = await openReceiver(t);
  await depot.register(dead.url, { id: 'wh_dead' });
  await depot.register(live.url, { id: 'wh_live' });
  await openWorker(t, depot, { WEBHOOKS_AT_ONCE: 4, WEBHOOK_TIMEOUT_MS: 90_000 });
  for (let n = 1; n <= 20; n += 1) await depot.happens(`cs-${n}`, n);
  await awaitUntil(
    () => live.taken.length === 20,
    WAIT_MS,
    () => `20 messages, of ${live.taken.length}`,
  );
  t.equal(dead.asked.size, 1, 'a quarter of the places');
});

void t.test('however often workers are killed, every event arrives, in order for each station', async (t) => {
  t.setTimeout(900_000);
  const depot = openDepot();
  const STATIONS = ['cs-1', 'cs-2', 'cs-3', 'cs-4'];
  const LAST = 60;
  const receiver = await openReceiver(t);
  const { id } = await depot.register(receiver.url);
  const child = fileURLToPath(new URL('webhook-child.js', import.meta.url));
  const start = async () => {
    const started = spawn(process.execPath, [child], {
      env: { ...process.env, NODE_OPTIONS: '', REDIS_URL: server.url, KEY_PREFIX: depot.prefix },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(() => void started.kill('SIGKILL'));
    await once(started.stdout, 'data');
    return started;
  };
  const happening = (async () => {
    for (let n = 1; n <= LAST; n += 1) await Promise.all(STATIONS.map((station) => depot.happens(station, n)));
  })();
  for (const share of [0.1, 0.3, 0.6]) {
    const worker = await start();
    const enough = STATIONS.length * LAST * share;
    await awaitUntil(
      () => receiver.taken.length >= enough,
      WAIT_MS,
      () => `${enough} messages, of ${receiver.taken.length}`,
    );
    worker.kill('SIGKILL');
    await once(worker, 'close');
  }
  await happening;
  const last = await start();
  await awaitUntil(
    async () => (await depot.webhooks.counts(id)).waiting === 0 && receiver.taken.length >= STATIONS.length * LAST,
    60_000,
    () => `all messages, of ${receiver.taken.length}`,
  );
  last.kill('SIGKILL');
  await once(last, 'close');
  const wanted = Array.from({ length: LAST }, (_none, n) => n + 1);
  for (const station of STATIONS) {
    const numbers = numbersOf(receiver.taken, station);
    t.strictSame(
      numbers.filter((n, at) => numbers.indexOf(n) === at),
      wanted,
      `${station}: all, in order`,
    );
    t.ok(
      numbers.every((n, at) => at === 0 || n === (numbers[at - 1] ?? 0) || n === (numbers[at - 1] ?? 0) + 1),
      'a repeat comes directly after itself',
    );
  }
  t.strictSame(await depot.webhooks.deadLetters(id), []);
});

void t.test('the example of a receiver takes what is signed, once, and refuses the rest', async (t) => {
  const depot = openDepot();
  const key = newKey(Date.now());
  const example = fileURLToPath(new URL('../../../../infra/webhook-receiver.mjs', import.meta.url));
  const receiver = spawn(process.execPath, [example], {
    env: { ...process.env, NODE_OPTIONS: '', WEBHOOK_SECRETS: `${newKey(0).secret},${key.secret}`, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => void receiver.kill());
  const lines: { id: string; type: string; data: { bootEpoch?: number } }[] = [];
  createInterface({ input: receiver.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  const [said] = (await once(receiver.stderr, 'data')) as [Buffer];
  const port = /port (\d+)/.exec(said.toString())?.[1];
  const url = `http://127.0.0.1:${port}/`;
  t.equal((await fetch(url, { method: 'POST', body: '{}' })).status, 401);
  const forged = {
    'webhook-id': 'x',
    'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
    'webhook-signature': 'v1,eA==',
  };
  t.equal((await fetch(url, { method: 'POST', body: '{}', headers: forged })).status, 401);
  const { id } = await depot.register(url, { keys: [key] });
  await openWorker(t, depot);
  for (const n of [1, 2]) await depot.happens('cs-1', n);
  await awaitUntil(() => lines.length === 2, WAIT_MS, 'both lines');
  t.strictSame(
    lines.map(({ data }) => data.bootEpoch),
    [1, 2],
  );
  await awaitUntil(async () => (await depot.webhooks.counts(id)).waiting === 0, WAIT_MS, 'nothing waits');
});

void t.test('the example of a receiver takes a message that comes twice at once one time', async (t) => {
  const example = new URL('../../../../infra/webhook-receiver.mjs', import.meta.url);
  const { createReceiver } = (await import(example.href)) as {
    createReceiver: (secrets: readonly string[], take: (message: unknown, id: string) => Promise<void>) => Server;
  };
  const key = newKey(Date.now());
  const outcomes = ['fails', 'is taken'];
  const takes: string[] = [];
  const mayEnd = new AbortController();
  const receiver = createReceiver([key.secret], async (_message, id) => {
    takes.push(id);
    await aborted(mayEnd);
    if (outcomes.shift() === 'fails') throw Object.assign(new Error('the store is full'), { status: 503 });
  });
  let verified = 0;
  receiver.on('request', (request: IncomingMessage) => request.on('end', () => setImmediate(() => (verified += 1))));
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  t.teardown(() => closeNow(receiver));
  const { port } = receiver.address() as AddressInfo;
  const message = { id: 'wh_1.1-0', body: '{}' };
  const send = async (): Promise<number> => {
    const headers = signedHeaders([key], message, Date.now());
    const { status } = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: message.body, headers });
    return status;
  };
  const both = [send(), send()];
  await awaitUntil(() => verified === 2, WAIT_MS, 'both are there');
  mayEnd.abort();
  t.strictSame(await Promise.all(both), [503, 503], 'both hear how it ended');
  t.equal(takes.length, 1);
  t.strictSame([await send(), await send()], [204, 204], 'and it is taken when it comes again');
  t.equal(takes.length, 2);
});
