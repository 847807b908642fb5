import t from 'tap';
import { type Pace, rateOf, secondsLeft, withSample } from '../src/pace.js';

const paceOf = (...samples: readonly (readonly [at: number, bytes: number])[]): Pace =>
  samples.reduce<Pace>((pace, [at, bytes]) => withSample(pace, { at, bytes }), { samples: [] });

void t.test('a rate needs two samples', async (t) => {
  t.equal(rateOf(paceOf()), undefined);
  t.equal(rateOf(paceOf([0, 0])), undefined);
  t.equal(rateOf(paceOf([0, 0], [0, 100])), undefined, 'of different times');
  t.equal(rateOf(paceOf([0, 0], [2000, 100])), 50);
});

void t.test('what was long ago does not count', async (t) => {
  t.equal(rateOf(paceOf([0, 0], [1000, 1000], [20_000, 1000], [21_000, 1100])), 100);
});

void t.test('another try begins anew', async (t) => {
  t.equal(rateOf(paceOf([0, 0], [1000, 5000], [2000, 0], [3000, 10])), 10);
});

void t.test('how long it takes still', async (t) => {
  const pace = paceOf([0, 0], [1000, 100]);
  t.equal(secondsLeft(pace, 600), 5);
  t.equal(secondsLeft(pace, undefined), undefined, 'the size is not known');
  t.equal(secondsLeft(paceOf([0, 7], [1000, 7]), 600), undefined, 'nothing comes');
  t.equal(secondsLeft(pace, 50), 0, 'there is more than was said');
});
