import { FairQueue } from '@khumbu/shared/runtime/fair-queue';
import t from 'tap';

function filled(...items: readonly string[]): FairQueue<string> {
  const queue = new FairQueue<string>();
  for (const item of items) queue.add(item.charAt(0), item);
  return queue;
}
const drain = (queue: FairQueue<string>): string[] => {
  const taken: string[] = [];
  for (let item = queue.next(); item !== undefined; item = queue.next()) taken.push(item);
  return taken;
};

void t.test('senders are served in turn, each in its own order', async (t) => {
  const queue = filled('a1', 'a2', 'a3', 'b1', 'c1', 'b2');
  t.equal(queue.size, 6);
  t.equal(queue.sizeOf('a'), 3);
  t.equal(queue.sizeOf('d'), 0);
  t.same(drain(queue), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  t.equal(queue.size, 0);
});

void t.test('a sender that may not be served keeps its turn', async (t) => {
  const queue = filled('a1', 'b1', 'b2', 'c1');
  t.equal(
    queue.next((sender) => sender !== 'a'),
    'b1',
  );
  t.equal(
    queue.next(() => false),
    undefined,
  );
  t.same(drain(queue), ['a1', 'c1', 'b2']);
});

void t.test('items are taken out wherever they stand', async (t) => {
  const queue = filled('a1', 'a2', 'b1', 'c1');
  t.same(
    queue.removeWhere((item) => item.endsWith('1')),
    ['a1', 'b1', 'c1'],
  );
  t.equal(queue.size, 1);
  t.same(drain(queue), ['a2']);
});
