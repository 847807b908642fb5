import t from 'tap';
import { planOf } from './drivers/plan.js';
import { drivers } from './experiments/drivers.js';
import { holds } from './short.js';

await t.test('a round follows from its seed alone', async (t) => {
  const told = (seed: number): string => JSON.stringify(planOf(seed, () => true));
  t.equal(told(7), told(7));
  t.not(told(7), told(8));
});

await holds(t, drivers);
