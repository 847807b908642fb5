/** What the page knows of a depot that does not always answer. */
import { createKhumbuClient } from '@khumbu/client/client';
import t, { type Test } from 'tap';
import { type DepotState, followDepot, NOTHING } from '../src/depot.js';

const EVENT = new TextEncoder().encode('data: {"type":"station","stationId":"cs-1"}\n\n');

const json = (status: number, body: object): Response =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });
const station = (stationId: string, more: object = {}): object => ({ stationId, operations: [], ...more });

/** A gateway that fails where `failing` says so, and the page that follows it. */
function stage(t: Test) {
  const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const failing = new Set<'list' | 'one'>();
  const asked = { list: 0, one: 0 };
  const stations = new Map([['cs-1', station('cs-1')]]);
  const answer = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (pathname === '/v1/events') {
      const start = (stream: ReadableStreamDefaultController<Uint8Array>): void => void streams.add(stream);
      return new Response(new ReadableStream({ start }), { headers: { 'content-type': 'text/event-stream' } });
    }
    const what = pathname === '/v1/stations' ? 'list' : 'one';
    asked[what] += 1;
    if (failing.has(what)) return json(500, { code: 'INTERNAL', title: `no ${what}`, status: 500 });
    const one = stations.get('cs-1');
    if (what === 'one' && !one) return json(404, { code: 'STATION_UNKNOWN', title: 'no such station', status: 404 });
    return json(200, what === 'list' ? { items: [...stations.values()] } : (one ?? {}));
  };
  const khumbu = createKhumbuClient({ baseUrl: 'http://depot.test', fetch: answer, retryForMs: 0 });
  let shown: DepotState = NOTHING;
  let look = (): void => undefined;
  const ended = new AbortController();
  const onState = (state: DepotState): void => {
    shown = state;
    look();
  };
  const followed = followDepot(khumbu, ended.signal, onState, () => undefined);
  t.teardown(async () => {
    ended.abort();
    for (const stream of streams) stream.error(new Error('the test is over'));
    await followed;
  });
  /** The first state of which that is so; without one the time limit of the test ends it. */
  const until = (isSo: (state: DepotState) => boolean): Promise<DepotState> =>
    new Promise((resolve) => {
      look = () => isSo(shown) && resolve(shown);
      look();
    });
  return { streams, failing, asked, stations, until };
}

void t.test('a list that fails is told and read again, and nothing is told any more once it is there', async (t) => {
  const { failing, asked, until } = stage(t);
  failing.add('list');
  const failed = await until(({ failure }) => failure !== undefined);
  t.match(failed, { isLoaded: false, isLive: true, failure: { error: { message: 'no list' } } });
  await until(() => asked.list > 2);
  failing.clear();
  const loaded = await until(({ isLoaded }) => isLoaded);
  t.equal(loaded.failure, undefined);
  t.same([...loaded.stations.keys()], ['cs-1']);
});

void t.test('a station that could not be read after its event is not left old', async (t) => {
  const { failing, stations, streams, until } = stage(t);
  await until(({ isLoaded }) => isLoaded);
  stations.set('cs-1', station('cs-1', { label: 'new' }));
  failing.add('one');
  for (const stream of streams) stream.enqueue(EVENT);
  await until(({ failure }) => failure !== undefined);
  const read = await until(({ failure }) => failure === undefined);
  t.match(read.stations.get('cs-1'), { label: 'new' });
});

void t.test('a station that is not there any more goes, and that is no failure', async (t) => {
  const { stations, streams, until } = stage(t);
  await until(({ isLoaded }) => isLoaded);
  stations.clear();
  for (const stream of streams) stream.enqueue(EVENT);
  const gone = await until((state) => state.stations.size === 0);
  t.equal(gone.failure, undefined);
});

void t.test('a connection that breaks before anything came is told too', async (t) => {
  const { streams, until } = stage(t);
  await until(({ isLive, isLoaded }) => isLive && isLoaded);
  for (const stream of streams) stream.error(new Error('the network is gone'));
  streams.clear();
  await until(({ isLive }) => !isLive);
  await until(({ isLive }) => isLive);
  t.equal(streams.size, 1);
});
