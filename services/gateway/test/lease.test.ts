import { randomUUID } from 'node:crypto';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { identify, identifySelf } from '@khumbu/shared/runtime/process-identity';
import { patientRedis, promptRedis } from '@khumbu/shared/runtime/redis';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil, within } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { runLeader } from '../src/leader/leader.js';
import { createLease, LEASE_MS, type Lease } from '../src/leader/lease.js';
import type { MqttService } from '../src/mqtt/mqtt-service.js';

const server = await startRedis({ dir: t.testdir() });
t.teardown(() => server.stop());
const log = createLogger('test', 'silent');
/** What a busy machine may add: a process that stands still looks late, and so does the Redis that it asks. */
const BUSY_MS = 20_000;
const observer = patientRedis(server.url, () => undefined);
t.teardown(() => observer.disconnect());

interface Contender {
  readonly lease: Lease;
  /** How often it has asked Redis. */
  readonly asked: () => number;
  readonly changes: boolean[];
  /** Stop renewing without giving it back, as a killed process does. */
  vanish(): Promise<void>;
}

async function contender(test: Test, key: string): Promise<Contender> {
  const redis = promptRedis(server.url, 400, () => undefined);
  await awaitUntil(() => redis.status === 'ready', 5000, 'connected');
  const lease = createLease(redis, key, log);
  const changes: boolean[] = [];
  const stop = new AbortController();
  let asked = 0;
  const running = lease.run(
    stop.signal,
    (held) => changes.push(held),
    () => {
      asked += 1;
    },
  );
  const vanish = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  test.teardown(async () => {
    server.thaw();
    await vanish();
    redis.disconnect();
  });
  return { lease, asked: () => asked, changes, vanish };
}
const looks = async ({ asked }: Contender, times: number): Promise<void> => {
  const until = asked() + times;
  await awaitUntil(() => asked() >= until, 20_000, `${times} looks`);
};
const isLeading = ({ lease }: Contender): boolean => lease.standing() === 'leading';
const held = (one: Contender, ms = 5000) => awaitUntil(() => isLeading(one), ms, 'the lease');

void t.test('one holds it, the other takes over when it runs out', async (t) => {
  const key = randomUUID();
  const first = await contender(t, key);
  await held(first);
  const second = await contender(t, key);
  const until = performance.now() + 1.5 * LEASE_MS;
  await awaitUntil(
    () => {
      // For a moment nobody may: a busy machine renews late.
      if (isLeading(first) && isLeading(second)) throw new Error('two holders');
      return performance.now() > until;
    },
    3 * LEASE_MS,
    'one holder all the time',
  );
  t.equal(await observer.get(key), first.lease.holder);
  t.same([first.changes, second.changes], [[true], []]);
  await first.vanish();
  t.same(first.changes, [true, false]);
  const from = performance.now();
  await held(second);
  t.ok(performance.now() - from < LEASE_MS + BUSY_MS, 'within the lease and one look');
});

void t.test('given back, the other has it at once', async (t) => {
  const key = randomUUID();
  const first = await contender(t, key);
  await held(first);
  const second = await contender(t, key);
  await first.vanish();
  await first.lease.release();
  t.equal(first.lease.standing(), 'standby');
  await held(second, 2000);
  await first.lease.release();
  t.equal(await observer.get(key), second.lease.holder, 'nobody gives back what another holds');
});

void t.test('not held any more when Redis has been silent for the lease', async (t) => {
  const key = randomUUID();
  const only = await contender(t, key);
  await held(only);
  server.freeze();
  const from = performance.now();
  let ledAt = from;
  await awaitUntil(
    () => {
      const now = performance.now();
      if (only.lease.standing() !== 'leading') return true;
      ledAt = now;
      return false;
    },
    LEASE_MS,
    'it lets go by its own clock',
  );
  t.ok(ledAt - from < LEASE_MS, 'before Redis would give it to another');
  t.equal(only.lease.standing(), 'refusing', 'nobody else was seen to have it');
  server.thaw();
  await held(only);
  t.same(only.changes, [true], 'it goes on as before');
});

void t.test(
  'Redis that reads and takes no writes is out as well: the last holder gets the time to come back',
  async (t) => {
    await observer.config('SET', 'min-replicas-to-write', '1');
    t.teardown(() => observer.config('SET', 'min-replicas-to-write', '0'));
    // Each a look later than the one before, so that of any rhythm of their own one would take it at once.
    const waiting: Contender[] = [];
    for (let count = 0; count < 7; count += 1) {
      const one = await contender(t, randomUUID());
      waiting.push(one);
      await looks(waiting[0] ?? one, 1);
    }
    await Promise.all(waiting.map((one) => looks(one, 1)));
    const before = performance.now();
    await observer.config('SET', 'min-replicas-to-write', '0');
    const heldAfter = await Promise.all(
      waiting.map(async (one) => {
        await held(one, 20_000);
        return performance.now() - before;
      }),
    );
    // A look may have been under way; what is left of the time is a second at least.
    for (const ms of heldAfter) t.ok(ms > 1000, `after ${Math.round(ms)} ms`);
  },
);

void t.test('lost when another is seen to have it', async (t) => {
  const key = randomUUID();
  const first = await contender(t, key);
  await held(first);
  // With more than the two seconds of a lease, which a busy machine may take for a look: the look cuts it to them.
  await observer.set(key, 'another', 'PX', 3600_000);
  await awaitUntil(() => first.changes.at(-1) === false, 2000, 'it says so');
  t.equal(first.lease.standing(), 'standby');
});

void t.test('a lease that lives longer than it may is cut short', async (t) => {
  for (const ttl of [3600_000, undefined]) {
    const key = randomUUID();
    if (ttl === undefined) await observer.set(key, 'somebody');
    else await observer.set(key, 'somebody', 'PX', ttl);
    const from = performance.now();
    const next = await contender(t, key);
    await held(next);
    t.ok(performance.now() - from < LEASE_MS + BUSY_MS, `with ${ttl}`);
  }
});

/**
 * A lease that another process keeps from running out, until the lease is another's. It is this process that renews it: one that
 * ran out while this one stood still is made anew, as long as nobody took it.
 */
async function keptFor(test: Test, holder: string): Promise<string> {
  const key = randomUUID();
  await observer.set(key, holder, 'PX', LEASE_MS);
  const renewing = setInterval(() => {
    const script = `local now = redis.call('GET', KEYS[1])
      if now == ARGV[1] or now == false then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end`;
    observer.eval(script, 1, key, holder, String(LEASE_MS)).catch(() => undefined);
  }, LEASE_MS / 20);
  test.teardown(() => clearInterval(renewing));
  return key;
}
/** A process of this host, and what it would write into the lease. */
async function neighbour(test: Test) {
  const child = await startChild('sleep', ['600']);
  test.teardown(() => child.end('SIGKILL'));
  const placed = { ...identifySelf(), ...identify(child.pid) };
  return { child, placed, holder: `${randomUUID()} ${JSON.stringify(placed)}` };
}

void t.test('that of a process of this host which has ended is taken before it runs out', async (t) => {
  const { child, holder } = await neighbour(t);
  const key = await keptFor(t, holder);
  const next = await contender(t, key);
  // It looks four times a second.
  await looks(next, 6);
  t.equal(next.lease.standing(), 'standby', 'not while it runs');
  await child.end('SIGKILL');
  await held(next, 10_000);
  t.equal(await observer.get(key), next.lease.holder);
});

void t.test('that of a process that may be elsewhere, or be another one by now, is not', async (t) => {
  const { child, placed } = await neighbour(t);
  await child.end('SIGKILL');
  const holders = [
    { ...placed, host: 'another' },
    { ...placed, namespace: 'pid:[1]' },
    { ...placed, bootId: 'another' },
    { ...placed, namespace: undefined },
  ].map((place) => `${randomUUID()} ${JSON.stringify(place)}`);
  for (const holder of [...holders, randomUUID(), 'x {', `${randomUUID()} {"pid":1}`]) {
    const next = await contender(t, await keptFor(t, holder));
    await looks(next, 4);
    t.equal(next.lease.standing(), 'standby', holder);
  }
  const reused = `${randomUUID()} ${JSON.stringify({ ...placed, pid: process.pid, startTicks: '1' })}`;
  await held(await contender(t, await keptFor(t, reused)), 10_000);
  t.pass('whose number another process has now, it is');
});

/** A leader over a lease that is switched by hand and bridges that are opened by hand. */
function leader(test: Test) {
  let change: ((held: boolean) => void) | undefined;
  let isHeld = false;
  const order: string[] = [];
  const opening: (() => void)[] = [];
  let bridges = 0;
  const openMqttService = async (): Promise<MqttService> => {
    const name = `service ${++bridges}`;
    order.push(`${name} opening`);
    await new Promise<void>((resolve) => opening.push(resolve));
    order.push(`${name} open`);
    return {
      isServing: () => true,
      closed: new Promise(() => undefined),
      end: async () => {
        order.push(`${name} ended`);
      },
    };
  };
  const lease: Lease = {
    holder: 'me',
    standing: () => (isHeld ? 'leading' : 'standby'),
    run: (signal, onChange) => {
      change = onChange;
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    },
    release: async () => void order.push('lease given back'),
  };
  const stop = new AbortController();
  const { done } = runLeader(
    {
      lease,
      openMqttService,
      reconciler: { round: async () => undefined },
      reconcileEveryMs: 50,
      chain: async () => undefined,
      trim: async () => undefined,
      redis: observer,
      servingKey: randomUUID(),
      servedKey: randomUUID(),
      sessionExpiryMs: 10_000,
      log,
      onLeader: () => undefined,
    },
    stop.signal,
  );
  test.teardown(() => stop.abort());
  return {
    order,
    done,
    stop: () => stop.abort(),
    hold(now: boolean): void {
      isHeld = now;
      change?.(now);
    },
    /** The service that is being opened is open. */
    async opened(): Promise<void> {
      const go = await awaitUntil(() => opening.shift(), 2000, 'a service to be opened');
      go();
    },
    seen: (what: string) => awaitUntil(() => order.includes(what), 2000, `${what} in ${order.join(', ')}`),
  };
}

void t.test('a leader that stops ends its service before it gives the lease back', async (t) => {
  const l = leader(t);
  l.hold(true);
  await l.opened();
  await l.seen('service 1 open');
  l.stop();
  await within(l.done, 2000, 'the end');
  t.same(l.order, ['service 1 opening', 'service 1 open', 'service 1 ended', 'lease given back']);
});

void t.test('a service that opens after the lease was lost is ended', async (t) => {
  const l = leader(t);
  l.hold(true);
  await l.seen('service 1 opening');
  l.hold(false);
  await l.opened();
  await l.seen('service 1 ended');
  l.stop();
  await within(l.done, 2000, 'the end');
});

void t.test('the lease regained, a new service waits until the old one has ended', async (t) => {
  const l = leader(t);
  l.hold(true);
  await l.seen('service 1 opening');
  l.hold(false);
  l.hold(true);
  await l.opened();
  await l.opened();
  await l.seen('service 2 open');
  t.same(l.order, ['service 1 opening', 'service 1 open', 'service 1 ended', 'service 2 opening', 'service 2 open']);
  l.stop();
  await within(l.done, 2000, 'the end');
});
