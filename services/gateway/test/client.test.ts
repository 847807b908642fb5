/** The typed client against a gateway: what is lost on the way is asked again and done once, events go on where they broke. */
import type { AddressInfo } from 'node:net';
import { answered, createKhumbuClient } from '@khumbu/client/client';
import type { Followed } from '@khumbu/client/follow-events';
import { ProblemError } from '@khumbu/client/problem-error';
import { stationEvent } from '@khumbu/operations/events/events';
import { collector, within } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { KEYS, openRest } from './rest-harness.js';

const LONG_MS = 60_000;
const LOCATION = 'https://files.example/charger-2.1.img';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());
const rest = await openRest(t, {
  redis,
  stations: { 'cs-1': {}, 'cs-2': {}, 'cs-3': {} },
  app: { mostSubscribersPerCaller: 2 },
});
await rest.app.listen({ host: '127.0.0.1', port: 0 });
t.teardown(() => rest.app.server.closeAllConnections());
const baseUrl = `http://127.0.0.1:${(rest.app.server.address() as AddressInfo).port}/`;

const clientWith = (fetchIt?: (request: Request) => Promise<Response>, key: string = KEYS.operate) =>
  createKhumbuClient({ baseUrl, key: () => key, retryForMs: LONG_MS, ...(fetchIt ? { fetch: fetchIt } : {}) });

const problem = (status: number, code: string) =>
  new Response(JSON.stringify({ code, title: code, status, type: code, instance: '/' }), {
    status,
    headers: { 'content-type': 'application/problem+json' },
  });

/** The error that a request ends with. */
async function refusal(asked: Promise<unknown>): Promise<ProblemError> {
  const error: unknown = await asked.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ProblemError) return error;
  throw new Error(`no problem but ${String(error)}`);
}

const open = (station: string) =>
  rest.call('GET', `/v1/operations?station=${station}`).then(({ body }) => body.items as { operationId: string }[]);

void t.test('reads what the document says', async (t) => {
  const khumbu = clientWith();
  const page = await answered(khumbu.GET('/v1/stations', { params: { query: { limit: 2 } } }));
  t.same(
    page.items.map(({ stationId }) => stationId),
    ['cs-1', 'cs-2'],
  );
  t.ok(page.nextCursor);
});

void t.test('an order whose answer was lost is asked again and done once', async (t) => {
  let tries = 0;
  const khumbu = clientWith(async (request) => {
    tries += 1;
    const response = await fetch(request);
    const text = await response.text();
    if (tries === 1) throw new TypeError('the answer was lost');
    return new Response(text, response);
  });
  const { operationId } = await answered(
    khumbu.POST('/v1/stations/{stationId}/firmware-updates', {
      params: { path: { stationId: 'cs-1' } },
      body: { location: LOCATION },
    }),
  );
  t.equal(tries, 2);
  t.same(
    (await open('cs-1')).map((each) => each.operationId),
    [operationId],
  );
});

void t.test('what passes is asked again, with one key for all tries', async (t) => {
  const answers = [problem(503, 'NOT_STORED'), problem(409, 'SLOT_BUSY'), new Response('proxy', { status: 502 })];
  const keys: (string | null)[] = [];
  const khumbu = clientWith(async (request) => {
    keys.push(request.headers.get('idempotency-key'));
    return answers.shift() ?? fetch(request);
  });
  const operation = await answered(
    khumbu.POST('/v1/stations/{stationId}/firmware-updates', {
      params: { path: { stationId: 'cs-2' } },
      body: { location: LOCATION },
    }),
  );
  t.equal(operation.stationId, 'cs-2');
  t.equal(keys.length, 4);
  t.ok(keys[0]);
  t.equal(new Set(keys).size, 1);
});

void t.test('what is refused is told at once, by its code', async (t) => {
  let tries = 0;
  const count = (request: Request): Promise<Response> => {
    tries += 1;
    return fetch(request);
  };
  const khumbu = clientWith(count);
  const path = { stationId: 'cs-3' };
  const wrong = await refusal(
    answered(khumbu.POST('/v1/stations/{stationId}/reset', { params: { path }, body: { type: 'No' as 'Soft' } })),
  );
  t.equal(wrong.code, 'BODY_INVALID');
  t.equal(wrong.problem?.errors?.[0]?.pointer, '#/type');
  t.equal((await refusal(answered(clientWith(count, 'wrong').GET('/v1/stations')))).code, 'NOT_AUTHENTICATED');
  const strange = clientWith(async () => new Response('<html>', { status: 404 }));
  t.equal((await refusal(answered(strange.GET('/v1/stations')))).code, 'UNREADABLE');
  t.equal(tries, 2);
});

void t.test('a request ends with its signal, also while it waits to ask again', async (t) => {
  const ended = new AbortController();
  const khumbu = clientWith(async () => {
    queueMicrotask(() => ended.abort(new Error('enough')));
    return problem(503, 'NOT_STORED');
  });
  await t.rejects(khumbu.GET('/v1/stations', { signal: ended.signal }), { message: 'enough' });
});

/** What a follower got so far; it is ended with the test. */
function follow(t: Test, options: Parameters<ReturnType<typeof clientWith>['follow']>[0] = {}) {
  const came = collector<Followed>();
  const states = collector<string>();
  const ended = new AbortController();
  t.teardown(() => ended.abort());
  const over = (async () => {
    const following = clientWith().follow({
      ...options,
      signal: ended.signal,
      onState: (state) => states.push(state),
    });
    for await (const each of following) came.push(each);
  })();
  over.catch(() => undefined);
  return { came, states, over, end: () => ended.abort() };
}

const tell = async (station: string, bootEpoch: number): Promise<void> => {
  const event = stationEvent(station, 'restarted', Date.now(), { bootEpoch, bootReason: 'PowerUp' });
  const fields = { bootEpoch: String(bootEpoch) };
  await rest.store.commit(rest.store.transaction().setStation(station, fields).emitEvent(event));
};
const epochOf = ({ event }: Followed): number | undefined => (event.type === 'station' ? event.bootEpoch : undefined);

void t.test('events go on where they broke off, also when none had come before', async (t) => {
  const { came, states, over, end } = follow(t, { station: ['cs-1'], type: ['station'] });
  await states.awaitItem((state) => state === 'open', LONG_MS, 'the stream');
  for (const round of [1, 2, 3]) {
    rest.app.server.closeAllConnections();
    await tell('cs-1', round);
    await tell('cs-2', 100 + round);
    await came.awaitItem((each) => epochOf(each) === round, LONG_MS, `event ${round}`);
  }
  end();
  await within(over, LONG_MS, 'the end of the follower');
  t.same([...new Set(came.items.map(epochOf))], [1, 2, 3]);
});

void t.test('a stream that is refused for good says why', async (t) => {
  const stranger = clientWith(undefined, 'wrong').follow();
  t.equal((await refusal(stranger.next())).code, 'NOT_AUTHENTICATED');
});
