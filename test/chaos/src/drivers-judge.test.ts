import t from 'tap';
import type { Run } from './drivers/charger.js';
import { judgePlayed } from './drivers/judge.js';
import type { FaultName, Plan } from './drivers/plan.js';
import type { Played } from './drivers/round.js';
import { runsByDaemon } from './drivers/swupdate-charger.js';

const planWith = (...names: readonly FaultName[]): Plan => ({
  seed: 1,
  transport: 'ssh',
  behaviour: { outcome: 'good', installMs: 0, rebootMs: 0 },
  installS: 30,
  workers: 1,
  startsAtOnce: 1,
  faults: names.map((name) => ({ name, phase: 'effect', atMs: 0, forMs: 0, afterBytes: 0 })),
});

/** An update that was installed by one effect whose tool ended with these codes; `undefined`: it was killed. */
const installedBy = (codes: readonly (number | undefined)[], change: Partial<Played> = {}): Played => {
  const install = (code: number | undefined): Run => ({
    verb: 'install',
    processGroup: 7,
    ...(code === undefined ? {} : { code }),
    isBesideAnother: false,
  });
  return {
    record: { state: 'Installed', bootIdBefore: 'b1' },
    wasGivenUp: false,
    verdicts: [],
    errors: [],
    image: { name: 'v1', path: '/v1', sizeBytes: 1, sha256: 'f'.repeat(64) },
    before: { bootId: 'b1', running: 'a', next: 'a', holds: { a: 'v0', b: undefined } },
    after: { bootId: 'b2', running: 'b', next: 'b', holds: { a: 'v0', b: 'v1' } },
    runs: [...codes.map(install), { verb: 'reboot', processGroup: 8, code: 0, isBesideAnother: false }],
    writesAgain: false,
    left: [],
    ...change,
  };
};

await t.test('an install that is told as done was whole once', async (t) => {
  t.same(judgePlayed(planWith('kill the worker'), installedBy([0])), []);
  t.same(judgePlayed(planWith('kill the service'), installedBy([2, undefined, 0])), []);
  t.match(judgePlayed(planWith('kill the service'), installedBy([0, 0])), [/2 installs ran to their end/]);
  t.match(judgePlayed(planWith('kill the service'), installedBy([0, 1])), [/last install did not run to its end/]);
  t.match(judgePlayed(planWith(), installedBy([undefined])), [/last install did not run to its end/]);
});

await t.test('again only by a tool that was ended, and whose word is not believed then', async (t) => {
  const writesAgain = { writesAgain: true };
  t.same(judgePlayed(planWith('kill the client'), installedBy([0, 0], writesAgain)), []);
  t.match(judgePlayed(planWith('kill the worker'), installedBy([0, 0], writesAgain)), [/2 installs ran/]);
  t.match(judgePlayed(planWith('kill the client'), installedBy([0, 1], writesAgain)), [/last install did not/]);
  const twice = installedBy([0], writesAgain).runs.concat(
    installedBy([0]).runs.map((run) => ({ ...run, processGroup: 9 })),
  );
  t.match(judgePlayed(planWith('kill the client'), installedBy([0], { ...writesAgain, runs: twice })), [
    /2 times install/,
    /2 times reboot/,
  ]);
});

await t.test('an install may fail only of what can make it fail', async (t) => {
  const failed = installedBy([1], {
    record: { state: 'InstallationFailed', reason: 'it was ended' },
    after: { bootId: 'b1', running: 'a', next: 'a', holds: { a: 'v0', b: undefined } },
  });
  const instead = [/InstallationFailed \(it was ended\) instead of Installed/];
  t.same(judgePlayed(planWith('kill the service'), failed), []);
  t.match(judgePlayed(planWith('kill the sessions', 'kill the worker'), failed), instead);
  t.match(judgePlayed(planWith('kill the client', 'kill the client'), failed), instead);
  t.same(judgePlayed(planWith('kill the client', 'kill the client', 'kill the client'), failed), []);
});

await t.test('how a run of a client of SWUpdate ended is what its daemon says', async (t) => {
  const run = (code?: number): Run => ({
    verb: 'install',
    processGroup: 7,
    isBesideAnother: false,
    ...(code === undefined ? {} : { code }),
  });
  const reboot: Run = { ...run(0), verb: 'reboot' };
  const log = [
    'SWUPDATE successful ! of one before',
    '### a client begins\nSWUPDATE failed [0]',
    '### a client begins\nSWUPDATE successful !',
    '### a client begins\n',
  ].join('\n');
  t.same(
    runsByDaemon([run(0), run(), run(1), reboot], log).map(({ code }) => code),
    [1, 0, 1, 0],
  );
});
