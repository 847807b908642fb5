import { hasEnded, identify, identifySelf, parsePlaced } from '@khumbu/shared/runtime/process-identity';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';

void t.test('that a process has ended is said of one that has, and of nothing that may live elsewhere', async (t) => {
  const self = identifySelf();
  if (!self) throw new Error('a Linux machine says who we are');
  t.notOk(hasEnded(self));
  t.same(parsePlaced(JSON.stringify(self)), self);
  const child = await startChild('sleep', ['600']);
  t.teardown(() => child.end('SIGKILL'));
  const other = { ...self, ...identify(child.pid) };
  t.notOk(hasEnded(other), 'it runs');
  child.process.kill('SIGSTOP');
  t.notOk(hasEnded(other), 'frozen is not ended');
  await child.end('SIGKILL');
  t.ok(hasEnded(other));
  for (const elsewhere of [{ host: 'x' }, { namespace: 'pid:[1]' }, { bootId: 'x' }]) {
    t.notOk(hasEnded({ ...other, ...elsewhere }), JSON.stringify(elsewhere));
  }
  t.ok(hasEnded({ ...self, startTicks: '1' }), 'the number is another’s now');
});

void t.test('a process that has ended and nobody has waited for is ended', async (t) => {
  // The shell becomes a program that never asks what became of its child.
  const parent = await startChild('sh', ['-c', 'sleep 600 & echo $!; exec sleep 601']);
  t.teardown(() => parent.end('SIGKILL'));
  const pid = Number(await awaitUntil(() => /^(\d+)\n/.exec(parent.stdout())?.[1], 10_000, 'its child'));
  const self = identifySelf();
  const identity = identify(pid);
  if (!self || !identity) throw new Error('it runs');
  process.kill(pid, 'SIGKILL');
  await awaitUntil(() => hasEnded({ ...self, ...identity }), 10_000, 'its end to be seen');
  t.equal(identify(pid), undefined, 'a zombie is no process');
});

void t.test('what is no whole identity is none', (t) => {
  for (const text of ['', 'x', '{}', 'null', '{"pid":1,"startTicks":"1","bootId":"x"}', '[1]', '{"pid":"1"}']) {
    t.equal(parsePlaced(text), undefined, text);
  }
  t.end();
});
