/** MQTT frames of stations: what is kept of them, what is shown, and that any gateway may be asked. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { MqttFramesSchema, type MqttFramesView } from '@khumbu/rest-contract/mqtt-frames';
import { topicPrefix } from '@khumbu/shared/contract/topics';
import { violations } from '@khumbu/shared/contract/violations';
import { awaitUntil } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';
import { addressOfFrame, createFrameRecorder } from '../src/frames/frame-recorder.js';
import { createFrameRing, type Frame, type KeptFrame } from '../src/frames/frame-ring.js';
import { shownFrame } from '../src/frames/shown-frame.js';
import { API_KEY, depot, type Gateway, leads, startGateway } from './gateway-process.js';
import { said, setMqttStage } from './mqtt-stage.js';

// Before the first test: a file whose tests have all ended takes no other.
const { broker, servers, station } = await setMqttStage(t);

const frame = (payload: string, more: Partial<Frame> = {}): Frame => ({
  at: 0,
  direction: 'from_station',
  topic: 'everest_api/1/system/cs-1/e2m/reset',
  qos: 1,
  sizeBytes: payload.length,
  payload,
  ...more,
});
const payloads = (frames: readonly KeptFrame[]): string[] => frames.map(({ payload }) => payload);

void t.test('of one station so many frames and bytes are kept, the newest', async (t) => {
  const ring = createFrameRing({ stationFrames: 3, stationBytes: 5000, bytes: 100_000, ageMs: 1000 }, () => 0);
  for (const name of ['a', 'b', 'c', 'd']) ring.add('cs-1', frame(name), false);
  t.same(payloads(ring.of('cs-1')), ['b', 'c', 'd']);
  ring.add('cs-1', frame('x'.repeat(3500)), false);
  ring.add('cs-1', frame('e'), false);
  t.same(
    payloads(ring.of('cs-1')).map(([first]) => first),
    ['d', 'x', 'e'],
  );
  ring.add('cs-1', frame('y'.repeat(6000)), false);
  t.same(ring.of('cs-1'), [], 'one that is too large for all is not kept either');
  t.same(ring.size(), { stations: 0, frames: 0, bytes: 0 });
});

void t.test('a station that floods takes the place of its own frames', async (t) => {
  const limits = { stationFrames: 10, stationBytes: 10_000, bytes: 12_000, ageMs: 1000 };
  const ring = createFrameRing(limits, () => 0);
  ring.add('quiet', frame('kept'), false);
  for (let n = 0; n < 1000; n += 1) ring.add('loud', frame(String(n)), false);
  t.same(payloads(ring.of('quiet')), ['kept']);
  t.equal(ring.of('loud').length, 10);
  for (let n = 0; n < 1000; n += 1) ring.add(`cs-${n}`, frame('x'), false);
  t.ok(ring.size().bytes <= limits.bytes, 'all together have a bound');
  t.same(ring.of('quiet'), [], 'the oldest of all goes first');
  t.same(payloads(ring.of('cs-999')), ['x']);
  t.ok(ring.size().stations <= ring.size().frames, 'of who has none nothing is kept');
});

void t.test('frames grow old, and what says the same all the time is one', async (t) => {
  let time = 0;
  const ring = createFrameRing({ stationFrames: 10, stationBytes: 10_000, bytes: 100_000, ageMs: 1000 }, () => time);
  ring.add('cs-1', frame('old'), false);
  ring.add('cs-2', frame('old'), false);
  time = 900;
  for (const at of [10, 20, 30]) ring.add('cs-1', frame(String(at), { at, topic: 'heartbeat' }), true);
  ring.add('cs-1', frame('other'), false);
  ring.add('cs-1', frame('40', { at: 40, topic: 'heartbeat' }), true);
  t.same(
    ring.of('cs-1').map(({ payload, count, firstAt }) => [payload, count, firstAt]),
    [
      ['old', 1, 0],
      ['other', 1, 0],
      ['40', 4, 10],
    ],
  );
  time = 1500;
  t.same(payloads(ring.of('cs-1')), ['other', '40']);
  t.same(ring.of('cs-2'), []);
  ring.add('cs-3', frame('new'), false);
  t.equal(ring.size().stations, 2, 'what is too old takes no room');
  ring.clear();
  t.same([ring.size(), ring.of('cs-3')], [{ stations: 0, frames: 0, bytes: 0 }, []]);
});

void t.test('since when none is missing', async (t) => {
  let time = 1000;
  const limits = { stationFrames: 3, stationBytes: 5000, bytes: 3000, ageMs: 60_000 };
  const ring = createFrameRing(limits, () => time);
  const wallAhead = 500_000;
  const recorder = createFrameRecorder(
    topicPrefix(''),
    () => momentOf(time + wallAhead),
    ring,
    () => time,
  );
  const topicOf = (station: string, leaf = 'reset'): string => `everest_api/1/system/${station}/e2m/${leaf}`;
  const at = (ms: number, station: string, leaf?: string, sizeBytes = 1): void => {
    time = ms;
    recorder.received({ topic: topicOf(station, leaf), payload: Buffer.alloc(sizeBytes, '1'), qos: 1, dup: false });
  };
  const since = (station: string): number => recorder.of(station).since - wallAhead;
  t.equal(since('cs-1'), 1000, 'before it listens, nothing is promised');
  recorder.listening();
  at(2000, 'cs-1');
  t.equal(since('cs-1'), 1000);
  t.equal(since('nobody'), 1000);

  for (const ms of [2100, 2200, 2300]) at(ms, 'cs-1');
  t.equal(since('cs-1'), 2001, 'after the one that the fourth has pushed out');
  for (const ms of [2400, 2500, 2600]) at(ms, 'cs-1', 'heartbeat');
  t.equal(since('cs-1'), 2101, 'those that say the same push out one');
  for (const ms of [2700, 2800]) at(ms, 'cs-2');
  t.equal(since('cs-2'), 1000, 'others push out none of it');

  at(3000, 'cs-3', 'reset', 1100);
  t.same(payloads(recorder.of('cs-1').frames), ['1'], 'all of them have a bound');
  t.equal(since('cs-1'), 2301);
  at(3100, 'cs-4', 'reset', 100);
  t.same(recorder.of('cs-1').frames, []);
  t.equal(since('cs-1'), 2601, 'also of one of which nothing is left');
  at(3200, 'cs-1');
  t.equal(since('cs-1'), 2601, 'and when it says something again');
  t.equal(since('nobody'), 2601, 'one time stands for all that have none');

  at(4000, 'cs-1', 'x'.repeat(2000));
  time = 4100;
  t.equal(since('cs-1'), 4001, 'one whose topic has no end is not there');
  recorder.missed(topicOf('cs-1'));
  recorder.missed('nobody/is/told');
  time = 4200;
  t.equal(since('cs-1'), 4101, 'nor is one that was dropped');
  t.equal(since('nobody'), 2601);
  recorder.missed(topicOf('nobody'));
  time = 4300;
  t.equal(since('nobody'), 4201);
  time = 100_000;
  for (const station of ['cs-1', 'cs-4', 'nobody']) t.equal(since(station), 40_000, 'those that are too old are gone');
  recorder.deaf();
  at(100_100, 'cs-1');
  t.equal(since('cs-1'), 100_100, 'without a connection nothing is promised');
  t.same(payloads(recorder.of('cs-1').frames), ['1'], 'and what is there is told');
  time = 100_200;
  recorder.listening();
  time = 100_300;
  t.equal(since('cs-1'), 100_200);
  recorder.forget();
  t.same(recorder.of('cs-1'), { since: 100_300 + wallAhead, frames: [] });
});

void t.test('whose frame it is', async (t) => {
  const plain = topicPrefix('');
  const named = topicPrefix('depot/{station}/');
  const of = (prefix: typeof plain, topic: string) => addressOfFrame(prefix, topic)?.station;
  t.equal(of(plain, 'everest_api/1/system/cs-1/e2m/heartbeat'), 'cs-1');
  t.equal(of(plain, 'everest_api/1/system/cs-1/m2e/reply/8d7e'), 'cs-1');
  t.equal(
    of(plain, 'everest_api/1/ocpp_consumer/ocpp/e2m/connection_status'),
    undefined,
    'of which station, nobody knows',
  );
  t.equal(of(named, 'depot/gate-1/everest_api/1/ocpp_consumer/ocpp/e2m/connection_status'), 'gate-1');
  t.equal(of(named, 'depot/gate-1/everest_api/1/system/api/m2e/log_status'), 'gate-1');
  for (const topic of [
    'everest_api/ready_beacon',
    'everest_api/khumbu/discovered/1',
    'x',
    'everest_api/1/system//e2m/x',
  ])
    t.equal(of(plain, topic), undefined, topic);
});

void t.test('of a long frame the beginning is kept, and of an endless topic nothing', async (t) => {
  const recorder = createFrameRecorder(topicPrefix(''), () => momentOf(5000));
  const topic = 'everest_api/1/system/cs-1/e2m/upload_logs';
  recorder.received({ topic, payload: Buffer.alloc(200_000, 'ä'), qos: 1, dup: true });
  recorder.received({ topic: `${topic}${'x'.repeat(60_000)}`, payload: Buffer.from('1'), qos: 1, dup: false });
  recorder.sent('everest_api/1/system/cs-1/m2e/log_status', '"ä"', 0, false);
  const { frames } = recorder.of('cs-1');
  t.match(frames, [
    { sizeBytes: 200_000, isAgain: true, direction: 'from_station' },
    { sizeBytes: 4, isHeard: false, direction: 'to_station' },
  ]);
  t.equal(frames[0]?.payload.length, 16 * 1024);
  t.equal(shownFrame(frames[1] as KeptFrame, (line) => line).payload, '"ä"');
});

const shown = (payload: string, sizeBytes = Buffer.byteLength(payload)) => {
  const kept = frame(Buffer.from(payload).toString('latin1'), { sizeBytes });
  return shownFrame({ ...kept, count: 1, firstAt: 0 }, (line) => line);
};

void t.test('secrets are taken out', async (t) => {
  const request = {
    headers: { replyTo: 'everest_api/1/system/cs-1/m2e/reply/1' },
    payload: {
      location: 'ftp://user:geheim-1@files.example/a.img?sig=geheim-2#geheim-3',
      interface: 'Wireless0',
      apn: { apn: 'internet', apn_user_name: 'charger', apn_password: 'geheim-4', sim_pin: 'geheim-5' },
      vpn: { server: 'vpn.example', key: 'geheim-6', password: 'geheim-7' },
      id_token: { value: 'geheim-8' },
      text: 'see https://me:geheim-9@files.example/b?key=geheim-0',
      credentials: ['geheim-a', 'geheim-b', ['geheim-c']],
      private: { a: 'geheim-d', b: { c: 'geheim-e' } },
      tokens: [{ a: 'geheim-f' }, 'geheim-g'],
    },
  };
  const { payload } = shown(JSON.stringify(request));
  t.notMatch(payload, /geheim/);
  for (const stays of ['ftp://files.example/a.img', 'Wireless0', 'internet', 'charger', 'vpn.example', 'reply/1'])
    t.match(payload, stays);
  // Cut off anywhere it is no JSON any more.
  const whole = JSON.stringify(request);
  for (let end = 1; end < whole.length; end += 1) {
    const cut = shown(whole.slice(0, end), whole.length);
    t.equal(cut.cut, true);
    if (/gehei/.test(cut.payload)) return t.fail(cut.payload);
  }
});

void t.test('lists and objects of secrets are taken out of what is no JSON', async (t) => {
  for (const text of [
    'no JSON {"credentials":["anna","geheim"],"x":1}',
    'no JSON {"private" : \n {"user":"anna","pin":{"value":"geheim"}},"x":1}',
    `no JSON {"password":${' '.repeat(20)}"geheim"}`,
    'no JSON {"password":"\\\u2028geheim"}',
    `${'['.repeat(40)}{"token":[{"value":"geheim"},"geheim"]}${']'.repeat(40)}`,
  ])
    t.notMatch(shown(text).payload, /geheim|anna/);
  // The end of it would never fit: it is the first members that are shown.
  const long = `{"type":"Soft","credentials":["anna","geheim"],"x":"${'x'.repeat(20_000)}"}`;
  const { payload, cut } = shown(long.slice(0, 16 * 1024), long.length);
  t.match(payload, /^\{"type":"Soft","credentials":"\[taken out\]"/);
  t.notMatch(payload, /geheim|anna/);
  t.equal(cut, true);
});

void t.test('what is shown is one line of text, and not endless', async (t) => {
  t.equal(shown('{"a":"b\\u202e\\u0000c\\n"}').payload, '{"a":"b \\u0000c\\n"}');
  t.equal(shown('no\njson\u0007').payload, 'no json ');
  const long = shown(JSON.stringify({ text: 'x'.repeat(9000) }));
  t.equal(long.payload.length, 4000);
  t.equal(long.cut, true);
  t.equal(shown(`${'['.repeat(8000)}${']'.repeat(8000)}`).payload.length, 4000, 'nesting ends nobody');
  t.notMatch(shown(`${'['.repeat(40)}{"password":"geheim"}${']'.repeat(40)}`).payload, /geheim/);
  t.equal(shown('').payload, '');
});

type Everest = Awaited<ReturnType<typeof station>>;

/** Three frames with secrets. */
async function sayFrames(everest: Everest): Promise<void> {
  await everest.request('configure_network', {
    request_id: 7,
    interface: 'Wired0',
    apn: { apn: 'internet', apn_password: 'geheim', apn_authentication: 'PAP' },
  });
  await everest.publishRaw('reset', 'no JSON {"password": "geheim"');
  await everest.publishRaw('upload_logs', '{"text":"EVCCID 00:11:22:33:44:55"}');
}

async function framesAt(t: Test, gateway: Gateway): Promise<MqttFramesView> {
  const { status, body } = await gateway.get('/v1/stations/cs-1/mqtt-frames', API_KEY);
  t.equal(status, 200);
  t.same(violations(MqttFramesSchema, body), []);
  return body as unknown as MqttFramesView;
}

/**
 * The frames that `leader` has kept, as a standby tells them that would take nothing out by itself. `undefined`: another one has led
 * meanwhile, for `leader` stood still; then the frames are lost, and one that takes nothing out may have told them.
 */
async function framesOf(t: Test, leader: Gateway, standby: Gateway): Promise<MqttFramesView | undefined> {
  const isWhole = ({ frames }: MqttFramesView): boolean =>
    (frames.find(({ topic }) => topic.endsWith('/heartbeat'))?.count ?? 0) > 2 &&
    ['/configure_network', '/upload_logs'].every((end) => frames.some(({ topic }) => topic.endsWith(end)));
  const until = performance.now() + 20_000;
  const found = await awaitUntil(
    async () => {
      const view = await framesAt(t, standby);
      const { body } = await leader.ready();
      if (body.leader !== true || performance.now() > until) return 'lost';
      return isWhole(view) && view;
    },
    60_000,
    'the frames to be told',
  );
  return found === 'lost' ? undefined : found;
}

void t.test('any gateway may be asked, and the one that leads answers', async (t) => {
  const place = await depot(t, servers);
  const leader = await startGateway(t, place);
  await leads(leader);
  const everest = await station(t, place, { heartbeatMs: 50 });
  const readAt = async (standby: Gateway) => {
    await sayFrames(everest);
    return { standby, view: await framesOf(t, leader, standby) };
  };
  const startStandby = (): Promise<Gateway> => startGateway(t, place, { LOG_REDACTION: 'none' });
  let told = await readAt(await startStandby());
  for (let round = 1; round < 4 && !told.view; round += 1) {
    await told.standby.child.end('SIGKILL');
    await leads(leader);
    told = await readAt(await startStandby());
  }
  const { standby, view: seen } = told;
  if (!seen) return t.fail('the leader never led for as long as its frames were read');
  const text = JSON.stringify(seen);
  t.notMatch(text, /geheim|00:11:22:33:44:55/);
  const leaves = seen.frames.map(({ direction, topic }) => `${direction} ${topic.replace(/^.*\/[em]2[em]\//, '')}`);
  t.match(leaves.join('\n'), /from_station configure_network[\s\S]*to_station reply\//);
  t.match(
    seen.frames.find(({ topic }) => topic.includes('/reply/')),
    { direction: 'to_station', heard: true },
  );
  t.equal(seen.frames.filter(({ topic }) => topic.endsWith('/heartbeat')).length, 1);
  t.ok(Date.parse(seen.since) <= Date.parse(seen.frames[0]?.at ?? ''));

  await broker.stop();
  await said(leader, 'connection to the broker lost');
  const meanwhile = await framesAt(t, standby);
  t.ok(
    meanwhile.frames.some(({ topic }) => topic.endsWith('/upload_logs')),
    'while the broker is gone they are told, too',
  );
  t.ok(
    meanwhile.frames.every(({ at }) => Date.parse(at) <= Date.parse(meanwhile.since)),
    'and that some may be missing from now on',
  );
});
