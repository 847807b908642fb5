import t from 'tap';
import { createCleanup } from './depot/cleanup.js';

void t.test('newest first, and what comes behind the end at once', async (t) => {
  const cleaned: string[] = [];
  const cleanup = createCleanup();
  for (const name of ['first', 'second']) cleanup.teardown(() => cleaned.push(name));
  await cleanup.end();
  cleanup.teardown(() => cleaned.push('late'));
  t.same(cleaned, ['second', 'first', 'late']);
});

void t.test('one that fails keeps nothing else from being cleaned up', async (t) => {
  const cleaned: string[] = [];
  const cleanup = createCleanup();
  cleanup.teardown(() => cleaned.push('first'));
  cleanup.teardown(() => Promise.reject(new Error('broken')));
  await t.rejects(cleanup.end(), { errors: [{ message: 'broken' }] });
  t.same(cleaned, ['first']);
});
