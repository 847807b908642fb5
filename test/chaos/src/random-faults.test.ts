import t from 'tap';
import { randomFaults, randomRound } from './experiments/random-faults.js';
import { holds } from './short.js';

await t.test('a case follows from its seed alone', async (t) => {
  const told = (seed: number): string => JSON.stringify(randomRound(seed));
  t.equal(told(7), told(7));
  t.not(told(7), told(8));
});

await holds(t, randomFaults);
