import t from 'tap';
import { transfer } from './experiments/transfer.js';
import { createRandom } from './random.js';
import { holds } from './short.js';
import { judgePlayed } from './transfer/judge.js';
import { planOf } from './transfer/plan.js';

await t.test('a case follows from its seed alone', async (t) => {
  const told = (seed: number): string => JSON.stringify(planOf(seed, createRandom(seed)));
  t.equal(told(7), told(7));
  t.not(told(7), told(8));
});

await t.test('what is no file of the server, or came too often, is found', async (t) => {
  const plan = { scheme: 'http', sizeBytes: 100, runs: [{ meets: [] }] } as const;
  const good = {
    ends: ['fetched'],
    versions: ['a'],
    images: [{ name: 'a', sha256: 'a' }],
    parts: [],
    originBytes: 100,
    breaks: 0,
  };
  t.same(judgePlayed(plan, good), []);
  t.match(judgePlayed(plan, { ...good, images: [...good.images, { name: 'm', sha256: 'm' }] }), [/mixed/]);
  t.match(judgePlayed(plan, { ...good, originBytes: 101 }), [/100 at most/]);
  t.match(judgePlayed(plan, { ...good, parts: ['k.part'] }), [/left behind/]);
  t.match(judgePlayed(plan, { ...good, ends: ['cut'], breaks: 1 }), [/ended with cut/]);
});

await holds(t, transfer);
