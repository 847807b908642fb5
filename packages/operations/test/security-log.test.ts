import { fork } from 'node:child_process';
import { once } from 'node:events';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { systemTimeId, tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import type { Store } from '@khumbu/operations/kinds/store';
import { ended } from '@khumbu/operations/records/record';
import { COUNTED_MS, createAppendFact, TOLD_EACH } from '@khumbu/operations/security-log/append-fact';
import { createVerifier } from '@khumbu/operations/security-log/chain';
import { createChainWriter, readHead } from '@khumbu/operations/security-log/chain-writer';
import type { SecurityEntry, SecurityFact } from '@khumbu/operations/security-log/entry';
import { forgetEntries, readCheckpoint } from '@khumbu/operations/security-log/forget-entries';
import { allEntries, entriesConcerning, readPage } from '@khumbu/operations/security-log/read-entries';
import t from 'tap';
import { logRecord, updateRecord } from './make-records.js';
import { AT, fresh, NOW, redis, server, stored } from './store-stage.js';

const never = new AbortController().signal;
const all = async (store: Store, station?: string): Promise<SecurityEntry[]> => {
  const entries: SecurityEntry[] = [];
  for await (const entry of allEntries(redis, store.keys, station)) entries.push(entry);
  return entries;
};
const login = (n: number, station = 'cp1'): SecurityFact => ({
  at: NOW + n,
  what: 'login',
  phase: 'done',
  by: { cause: 'depot', name: 'log-worker' },
  station,
  details: { n },
});
const writerOf = (store: Store, holder = 'me', now = NOW) =>
  createChainWriter({ redis, keys: store.keys, holder, now: () => momentOf(now) });

async function verified(store: Store): Promise<number> {
  const head = await readHead(redis, store.keys);
  const verifier = createVerifier({ checkpoint: await readCheckpoint(redis, store.keys), anchors: [head] });
  for await (const entry of allEntries(redis, store.keys)) verifier.add(entry);
  const verdict = verifier.end();
  t.strictSame(verdict.fault, undefined);
  return verdict.entries;
}

void t.test('what is committed is told in the same commit, and chained by the gateway that leads', async (t) => {
  const { store } = fresh();
  const { keys } = store;
  await redis.set(keys.lease, 'me');
  const writer = writerOf(store);
  const update = await stored(store, updateRecord({ askedBy: 'fleet' }));
  t.equal(await store.commit(store.transaction().put({ ...update, version: 7 })), undefined);
  const image = { sha256: 'a'.repeat(64), sizeBytes: 5 };
  const end: FirmwareUpdateRecord = ended({ ...update, state: 'InvalidSignature', image }, AT, {
    ok: false,
    reason: 'deadline',
    message: 'from https://me:secret@host/a',
  });
  const again = await stored(store, { ...end, slotHeld: true });
  await stored(store, again);
  t.equal(await writer.round(never), 2, 'not of what was not stored, and once of its end');
  t.match(await all(store, 'cp1'), [
    { sequence: 1, what: 'firmware_update', phase: 'asked', operationId: update.id, by: { name: 'fleet' } },
    { sequence: 2, phase: 'ended', ok: false, details: { sha256: image.sha256, status: 'InvalidSignature' } },
  ]);
  t.notMatch(JSON.stringify(await all(store)), /secret/);
  t.equal(await writer.round(never), 0);

  await redis.set(keys.lease, 'another');
  await stored(store, logRecord());
  t.equal(await writer.round(never), 0, 'the lease has passed on');
  t.equal(await writerOf(store, 'another').round(never), 1);
  t.equal(await verified(store), 3);
});

void t.test('a clock is told of when something was done to it', async (t) => {
  const { store } = fresh();
  await redis.set(store.keys.lease, 'me');
  const tell = async (set: object, outcome: Parameters<typeof ended>[2]): Promise<void> => {
    const before = await store.load(systemTimeId('cp1'), 'set_system_time');
    const told = tellSystemTime(before, 'cp1', { value: NOW, toldAtRedisMs: NOW, origin: 'everest' }, AT);
    await stored(store, ended({ ...(await stored(store, told)), state: 'Done', ...set }, AT, outcome));
  };
  await tell({ correction: { kind: 'step', offByMs: -90_000 } }, { ok: true });
  await tell({}, { ok: true });
  await tell({}, { ok: false, reason: 'stale' });
  await tell({}, { ok: false, reason: 'denied' });
  await writerOf(store).round(never);
  t.match(await all(store), [
    { what: 'set_system_time', ok: true, details: { correction: 'step', offByMs: -90_000 } },
    { what: 'set_system_time', ok: false, reason: 'denied' },
  ]);
  t.equal((await all(store)).length, 2);
});

void t.test('facts of a station that flaps are counted, and none is lost', async (t) => {
  const { store } = fresh();
  const { keys } = store;
  await redis.set(keys.lease, 'me');
  const append = createAppendFact(redis, keys);
  for (let n = 0; n < TOLD_EACH + 30; n++) await append({ fact: login(n), limit: 'login:cp1' });
  await append({ fact: login(0, 'cp2'), limit: 'login:cp2' });
  t.equal(await writerOf(store).round(never), TOLD_EACH + 1);
  t.equal(await writerOf(store, 'me', NOW + COUNTED_MS + 100).round(never), 1);
  t.match((await all(store, 'cp1')).at(-1), { what: 'login', details: { count: 30, n: TOLD_EACH } });
  t.equal(await redis.hlen(keys.securityCounted), 0);
  t.ok((await redis.pttl(`${keys.securityRate}login:cp1`)) > 0, 'the count ends by itself');
});

void t.test(
  'writers that are killed and writers that do not know that they lead no more: each fact once, in order',
  async (t) => {
    const { store, prefix } = fresh();
    const { keys } = store;
    const append = createAppendFact(redis, keys);
    const FACTS = 600;
    const child = new URL('security-writer-child.js', import.meta.url);
    const begin = async (holder: string) => {
      const env = { ...process.env, REDIS_URL: server.url, KEY_PREFIX: prefix, HOLDER: holder };
      const running = fork(child, { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
      t.teardown(() => running.kill('SIGKILL'));
      if (!running.stdout) throw new TypeError('no output');
      await once(running.stdout, 'data');
      return running;
    };
    // Both take the lease from each other all the time.
    let [one, two] = await Promise.all([begin('one'), begin('two')]);
    for (let n = 0; n < FACTS; n++) {
      await append({ fact: login(n) });
      if (n !== 200 && n !== 400) continue;
      const killed = n === 200 ? one : two;
      killed.kill('SIGKILL');
      await once(killed, 'exit');
      if (n === 200) one = await begin('three');
      else two = await begin('four');
    }
    for (const running of [one, two]) running.kill('SIGKILL');
    for (const running of [one, two])
      if (running.exitCode === null && running.signalCode === null) await once(running, 'exit');
    await redis.set(keys.lease, 'me');
    await writerOf(store).round(never);
    t.equal(await verified(store), FACTS);
    t.strictSame(
      (await all(store)).map(({ details }) => details?.n),
      Array.from({ length: FACTS }, (_none, n) => n),
    );
  },
);

void t.test('what is kept too long leaves a checkpoint, and the rest still verifies', async (t) => {
  const { store } = fresh();
  const { keys } = store;
  await redis.set(keys.lease, 'me');
  const append = createAppendFact(redis, keys);
  const writer = writerOf(store);
  const day = 24 * 3600_000;
  for (let n = 0; n < 5; n++) await append({ fact: login(n * day, n < 3 ? 'old' : 'cp1') });
  await writer.round(never);
  const keep = { days: 1, most: 1000 };
  t.equal(await forgetEntries(redis, keys, 'another', keep, NOW + 4 * day), 0, 'only who leads');
  t.equal(await forgetEntries(redis, keys, 'me', keep, NOW + 4 * day), 3);
  t.equal(await forgetEntries(redis, keys, 'me', keep, NOW + 4 * day), 0);
  await writer.round(never);
  t.equal(await verified(store), 3);
  t.equal(await redis.exists(keys.securityOf('old')), 0);
  const checkpoint = await readCheckpoint(redis, keys);
  t.match((await all(store)).at(-1), {
    what: 'security_log_entries_removed',
    details: { until: 3, hash: checkpoint?.hash, entries: 3 },
  });
});

void t.test('of one station and of the whole depot, in their order, however many', async (t) => {
  const { store } = fresh();
  const { keys } = store;
  await redis.set(keys.lease, 'me');
  const append = createAppendFact(redis, keys);
  const { station: _station, ...policy } = { ...login(0), what: 'policy_changed' };
  const wanted: number[] = [];
  for (let n = 1; n <= 1300; n++) {
    // Many of one kind first: the other's come behind them all.
    const fact = n <= 1100 ? { ...policy, at: NOW + n } : login(n, n % 2 ? 'cp1' : 'cp2');
    await append({ fact });
    if (n <= 1100 || n % 2) wanted.push(n);
  }
  await writerOf(store).round(never);
  const found: number[] = [];
  for await (const { sequence } of entriesConcerning(redis, keys, 'cp1')) found.push(sequence);
  t.strictSame(found, wanted);
  const keep = { days: 1, most: 1000 };
  const later = NOW + 3 * 24 * 3600_000;
  t.equal(await forgetEntries(redis, keys, 'me', keep, later), 1000);
  t.equal(await forgetEntries(redis, keys, 'me', keep, later), 300);
  t.strictSame(await redis.keys(keys.securityOf('*')), [], 'no list of them stays');
});

void t.test('pages, the newest first', async (t) => {
  const { store } = fresh();
  const { keys } = store;
  await redis.set(keys.lease, 'me');
  const append = createAppendFact(redis, keys);
  for (let n = 0; n < 10; n++) await append({ fact: login(n, n % 2 ? 'cp1' : 'cp2') });
  await writerOf(store).round(never);
  const pages = async (filter: object, limit: number): Promise<number[][]> => {
    const found: number[][] = [];
    for (let before: number | undefined; ; ) {
      const page = await readPage(redis, keys, filter, limit, before);
      found.push(page.entries.map(({ sequence }) => sequence));
      before = page.before;
      if (before === undefined) return found;
    }
  };
  t.strictSame(await pages({}, 4), [
    [10, 9, 8, 7],
    [6, 5, 4, 3],
    [2, 1],
  ]);
  t.strictSame(await pages({ station: 'cp1' }, 3), [
    [10, 8, 6],
    [4, 2],
  ]);
  t.strictSame(await pages({ since: NOW + 2, until: NOW + 5 }, 100), [[6, 5, 4, 3]]);
  t.strictSame(await pages({ station: 'nobody' }, 5), [[]]);
});
