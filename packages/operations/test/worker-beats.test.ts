import { startBeating, watchWorkers } from '@khumbu/operations/jobs/worker-beats';
import { keysFor } from '@khumbu/operations/records/keys';
import { promptRedis } from '@khumbu/shared/runtime/redis';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import { Redis } from 'ioredis';
import t from 'tap';

const server = await startRedis({ dir: t.testdir() });
const redis = new Redis(server.url);
// A look that is given up counts as a Redis that is out, and the grace begins anew: an answer may be late here.
const prompt = promptRedis(server.url, 10_000, () => undefined);
await awaitUntil(() => prompt.status === 'ready', 5000, 'connected');
t.teardown(async () => {
  redis.disconnect();
  prompt.disconnect();
  server.thaw();
  await server.stop();
});
const onError = (error: unknown): void => {
  throw error;
};

void t.test('a queue is abandoned after the grace without a beat, and taken up with the next one', async (t) => {
  const keys = keysFor('beats');
  const changes: string[] = [];
  const onChange = (queue: string, abandoned: boolean): void => void changes.push(`${queue} ${abandoned}`);
  let works = true;
  const beating = startBeating(redis, keys, ['log-uploads'], () => works, onError, 100);
  t.teardown(() => beating.stop());
  const watch = watchWorkers({ redis: prompt, keys, graceS: 5, onChange, lookMs: 100 });
  t.teardown(() => watch.stop());
  t.notOk(watch.isAbandoned('system-control'), 'nobody has been waited for yet');
  const from = performance.now();
  await awaitUntil(() => watch.isAbandoned('system-control'), 6000, 'a queue that no worker ever took jobs from');
  t.ok(performance.now() - from > 4000, 'but not before the grace');
  t.notOk(watch.isAbandoned('log-uploads'));
  works = false;
  await awaitUntil(() => watch.isAbandoned('log-uploads'), 8000, 'a worker that is stuck');
  works = true;
  await awaitUntil(() => !watch.isAbandoned('log-uploads'), 4000, 'a worker that goes on');
  t.same(
    changes.filter((change) => change.startsWith('log')),
    ['log-uploads true', 'log-uploads false'],
  );
});

void t.test('a Redis that is out is not silence of the workers', async (t) => {
  const keys = keysFor('out');
  const silent = (): void => undefined;
  const beating = startBeating(redis, keys, ['log-uploads'], () => true, silent, 100);
  t.teardown(() => beating.stop());
  const abandoned: string[] = [];
  const watch = watchWorkers({
    redis: prompt,
    keys,
    graceS: 6,
    onChange: (queue) => abandoned.push(queue),
    lookMs: 100,
  });
  t.teardown(() => watch.stop());
  await awaitUntil(async () => (await redis.hget(keys.beats, 'looks')) !== null, 2000, 'a look');
  await redis.config('SET', 'maxmemory', '100kb');
  await awaitUntil(
    () =>
      redis.incr('x').then(
        () => false,
        () => true,
      ),
    2000,
    'a Redis that is full',
  );
  const until = performance.now() + 9000;
  await awaitUntil(() => performance.now() > until, 6000, 'longer than the grace');
  t.same(abandoned, []);
  await redis.config('SET', 'maxmemory', '0');
  await awaitUntil(() => watch.isAbandoned('system-control'), 6000, 'silence counts again');
  t.notOk(watch.isAbandoned('log-uploads'));
});
