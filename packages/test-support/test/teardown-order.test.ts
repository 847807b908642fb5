/** What a test started ends before the folder of the test is removed, in whatever order the test asked for both. */
import { existsSync } from 'node:fs';
import t from 'tap';

const orders: string[] = [];

await t.test('a folder asked for before the first teardown', async (t) => {
  const dir = t.testdir({ kept: '' });
  t.teardown(() => orders.push(existsSync(dir) ? 'folder' : 'no folder'));
  await t.test('inside of another test', async (t) => {
    const inner = t.testdir({ kept: '' });
    t.teardown(() => orders.push(existsSync(inner) ? 'inner folder' : 'no inner folder'));
  });
});

t.same(orders, ['inner folder', 'folder']);
