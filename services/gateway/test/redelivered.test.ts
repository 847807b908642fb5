/** What the broker delivers again because the leader that had it is gone. */
import { setImmediate as immediate, setTimeout as pause } from 'node:timers/promises';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { createRedelivered, plainReplyTo } from '../src/mqtt/inbound/redelivered.js';
import { depot, leads, startGateway } from './gateway-process.js';
import { LONG_PERIODS, PERIODS, said, setMqttStage } from './mqtt-stage.js';

const { observer, servers, station, storeOf } = await setMqttStage(t);
const UPDATE = { request_id: 7, location: 'https://files.example/image.bin' };

void t.test('a request that ends who reads it ends two leaders, and the third answers it unread', async (t) => {
  const place = await depot(t, servers);
  const deadly = { NODE_OPTIONS: `--import=${new URL('./fixture-deadly-frame.js', import.meta.url).href}` };
  const first = await startGateway(t, place, deadly);
  await leads(first);
  const second = await startGateway(t, place, deadly);
  const third = await startGateway(t, place, deadly);
  const everest = await station(t, place, { heartbeatMs: 200, discovery: LONG_PERIODS });
  const other = await station(t, place, { moduleId: 'cs-2', heartbeatMs: 200, discovery: LONG_PERIODS });
  t.equal((await askUntilDecided('get_boot_reason', () => other.request('get_boot_reason'))).reply, 'PowerUp');

  const request = { ...UPDATE, location: 'https://files.example/deadly-frame' };
  const { reply } = await everest.request('update_firmware', request, { timeoutMs: 60_000 });
  t.equal(reply, 'Rejected');
  // Which two of them has no rule: the lease may have changed hands on a busy machine.
  const living = () => [first, second, third].filter(({ child }) => child.exit() === undefined);
  await awaitUntil(() => living().length <= 1, 60_000, 'two leaders to end with it');
  t.equal(living().length, 1, 'and no more than two');
  const [alive] = living();
  if (!alive) return;
  await said(alive, 'a message that ended a leader is not read again');
  t.match(await (await fetch(`${alive.url}/metrics`)).text(), /khumbu_messages_unread_total [1-9]/);

  // It goes on for everybody, the same station included.
  for (const [client, update] of [
    [everest, UPDATE],
    [other, { ...UPDATE, request_id: 8 }],
  ] as const) {
    const asked = await askUntilDecided('update_firmware', () =>
      client.request('update_firmware', update, { timeoutMs: 20_000 }),
    );
    t.equal(asked.reply, 'Accepted');
  }
  t.equal(alive.child.exit(), undefined);
});

void t.test('a request that was in the hands of a leader that was killed is decided by the next one', async (t) => {
  const place = await depot(t, servers);
  const first = await startGateway(t, place);
  await leads(first);
  const second = await startGateway(t, place);
  const everest = await station(t, place, { heartbeatMs: 200, discovery: PERIODS });
  await awaitUntil(async () => (await storeOf(place).openIds()) !== undefined, 5000, 'the store');
  first.child.process.kill('SIGSTOP');
  const asked = askUntilDecided('update_firmware', () =>
    everest.request('update_firmware', UPDATE, { timeoutMs: 30_000 }),
  );
  await leads(second);
  first.child.process.kill('SIGKILL');
  t.equal((await asked).reply, 'Accepted');
  const marks = async (): Promise<string[]> => observer.keys(`${place.name}:redelivered:*`);
  await awaitUntil(async () => (await marks()).length === 0, 5000, 'the mark to go');
});

/** Marks in memory, and a leader that may lead or not. */
function place() {
  const marked = new Set<string>();
  const state = { leads: true, stopping: false };
  const redelivered = createRedelivered({
    marks: {
      set: async (name) => !marked.has(name) && Boolean(marked.add(name)),
      remove: async (name) => marked.delete(name),
    },
    retryAsLeader: async (_what, work) => void (await work()),
    standing: () => (state.leads ? 'leading' : 'standby'),
    isStopping: () => state.stopping,
  });
  const done: string[] = [];
  const take = (id: string, work: (isRead: () => void) => Promise<void> | void = () => undefined): Promise<void> =>
    redelivered.take(
      id,
      { topic: 'a', payload: Buffer.from(id) },
      async (isRead) => {
        await work(isRead);
        done.push(`read ${id}`);
      },
      () => void done.push(`refused ${id}`),
    );
  return { marked, state, redelivered, done, take };
}
const never = (): Promise<void> => new Promise(() => undefined);

void t.test('a message is read again as often as its work is done, and not once it was left undone', async (t) => {
  const { marked, done, take, state, redelivered } = place();
  await take('a');
  await redelivered.settled();
  await take('a');
  t.same(done, ['read a', 'read a']);
  await t.rejects(take('b', () => Promise.reject(new Error('the connection is lost'))));
  await take('b');
  t.same(done.slice(2), ['refused b'], 'nobody knows what the connection was lost of');
  state.leads = false;
  await take('c');
  state.leads = true;
  await take('c');
  t.same(done.slice(3), ['read c', 'refused c'], 'who stood still until another led is as good as dead');
  state.stopping = true;
  await t.rejects(take('d', () => Promise.reject(new Error('this gateway stops'))));
  await redelivered.settled();
  await take('d');
  t.same(done.slice(5), ['read d'], 'a stop is no end by a message');
  t.equal(marked.size, 2);
});

void t.test('few messages are marked at a time, and one that takes long holds up none for long', async (t) => {
  const { marked, done, take } = place();
  for (let i = 0; i < 20; i += 1) void take(`long ${i}`, never);
  const last = take('short');
  await awaitUntil(() => marked.size > 0, 5000, 'a mark');
  t.ok(marked.size <= 8, `${marked.size} at once`);
  await last;
  t.match(done, ['read short']);
  const of = (n: number): Promise<void> => take(`${n}`, () => pause(1));
  await Promise.all(Array.from({ length: 100 }, (_, n) => of(n)));
  t.equal(done.length, 101);
});

void t.test(
  'a message that was read and only waits holds no mark, and no place of those that are to be read',
  async (t) => {
    const { marked, done, take, state } = place();
    const waits = (isRead: () => void): Promise<void> => {
      isRead();
      return never();
    };
    for (let i = 0; i < 20; i += 1) void take(`waits ${i}`, waits);
    void take('short');
    for (let turn = 0; turn < 50 && done.length === 0; turn += 1) await immediate();
    t.same(done, ['read short'], 'without waiting for any time to pass');
    t.equal(marked.size, 0);
    void take('waits 0');
    await awaitUntil(() => done.length > 1, 60_000, 'the next leader to read it');
    t.same(done.slice(1), ['read waits 0']);
    state.leads = false;
    void take('late', waits);
    await immediate();
    t.equal(marked.size, 1, 'who leads no more leaves the marks to who does');
  },
);

void t.test('the reply address of a frame that is not read is the frame’s own', (t) => {
  const frame = (text: string): string | undefined => plainReplyTo(Buffer.from(text));
  t.equal(frame('{"headers":{"replyTo":"a/b"},"payload":{}}'), 'a/b');
  t.equal(frame('{ "headers" : { "replyTo" : "a/b" } }'), 'a/b');
  const inside = JSON.stringify({ headers: {}, payload: { location: '{"replyTo":"stolen"}' } });
  t.equal(frame(inside), undefined, 'a text that looks like one');
  t.equal(frame('not JSON'), undefined);
  t.end();
});
