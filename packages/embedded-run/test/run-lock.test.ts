import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { identify } from '@khumbu/shared/runtime/process-identity';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { readIdentity, takeRunLock } from '../src/run-lock.js';

const TAKER = fileURLToPath(new URL('./lock-taker.js', import.meta.url));
const ROUNDS = 300;
const TAKERS = 3;

void t.test('of several that find the lock of a dead process at once, one gets it', async (t) => {
  const dead = await startChild('true', []);
  const identity = JSON.stringify({ ...identify(process.pid), pid: dead.pid });
  await dead.exited;
  const dir = t.testdir();
  for (let round = 0; round < ROUNDS; round += 1) {
    mkdirSync(join(dir, String(round)));
    for (const name of ['lock.1', 'supervisor.pid']) writeFileSync(join(dir, String(round), name), identity);
  }
  const first = String(Date.now() + 2000);
  const takers = await Promise.all(
    Array.from({ length: TAKERS }, () => startChild(process.execPath, [TAKER, dir, String(ROUNDS), first, '5'])),
  );
  t.teardown(() => Promise.all(takers.map((taker) => taker.end('SIGKILL'))));
  const gotBy = (taker: Child): Promise<number[]> =>
    awaitUntil(
      () => (taker.exit() ? Promise.reject(new Error(taker.output())) : taker.stdout().endsWith(']') && taker.stdout()),
      60_000,
      'all locks to be tried',
    ).then((text) => JSON.parse(text) as number[]);
  const got = (await Promise.all(takers.map(gotBy))).flat().toSorted((a, b) => a - b);
  t.strictSame(
    got,
    Array.from({ length: ROUNDS }, (_, round) => round),
    'each by one, none by two',
  );
  for (const round of got) {
    const left = readdirSync(join(dir, String(round))).filter((name) => name.startsWith('lock.'));
    if (left.length !== 1) t.fail(`more is left than the lock: ${left.join(' ')}`);
  }
});

void t.test('a lock is free again once it is released, and held before that', (t) => {
  const dir = t.testdir();
  const lock = takeRunLock(dir, 'this folder');
  t.equal(readIdentity(join(dir, 'supervisor.pid'))?.pid, process.pid);
  t.throws(() => takeRunLock(dir, 'this folder'), {
    code: 'DATA_DIR_IN_USE',
    message: /^this folder belongs to a run/,
  });
  lock.release();
  lock.release();
  takeRunLock(dir, 'this folder').release();
  t.end();
});

void t.test('a run of an earlier release, which has a single file, is respected', (t) => {
  const dir = t.testdir({ 'supervisor.pid': JSON.stringify(identify(process.pid)) });
  for (const _ of [1, 2]) t.throws(() => takeRunLock(dir, 'it'), { code: 'DATA_DIR_IN_USE' });
  writeFileSync(join(dir, 'supervisor.pid'), JSON.stringify({ ...identify(process.pid), startTicks: '1' }));
  takeRunLock(dir, 'it').release();
  t.end();
});
