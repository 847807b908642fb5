import t from 'tap';
import { judgeStatuses } from './kill/judging.js';

const EXPECTED = ['Downloading', 'Downloaded', 'SignatureVerified', 'InstallScheduled', 'Installing', 'Installed'];
const heard = (...told: string[]) =>
  told.map((one) => {
    const [status = '', boot = '1'] = one.split('@');
    return { status, boot: Number(boot) };
  });
const judged = (...told: string[]) => judgeStatuses(heard(...told), EXPECTED, 'SignatureVerified');

void t.test('good runs', async (t) => {
  t.same(judged(...EXPECTED), { faults: [], finalRepeats: 0 });
  t.same(judged('Downloading', ...EXPECTED).faults, [], 'a repeat directly after itself');
  t.same(judged(...EXPECTED, 'Installed'), { faults: [], finalRepeats: 1 });
  t.same(judged(...EXPECTED, 'Installed@2'), { faults: [], finalRepeats: 0 }, 'an end is told to the next boot, too');
  t.same(judged(...EXPECTED, 'Installed@2', 'Installed@2').finalRepeats, 1, 'and to that one once');
  const afterwards = [...EXPECTED.slice(0, 5), 'Installed@2', 'Installed@3'];
  t.same(judged(...afterwards), { faults: [], finalRepeats: 0 }, 'whichever boot heard it first');
  const again = [...EXPECTED.slice(0, 4), 'SignatureVerified@2', 'Installing@2', 'Installed@3'];
  t.same(judged(...again).faults, [], 'permission is asked for again in a new boot');
  const late = ['Downloading', 'Downloaded@2', 'SignatureVerified@2', 'InstallScheduled@2', 'SignatureVerified@2'];
  t.same(judged(...late, 'Installing@2', 'Installed@3').faults, [], 'what was not told yet when it restarted');
});

void t.test('bad runs', async (t) => {
  const faults = (...told: string[]): number => judged(...told).faults.length;
  t.equal(faults(...EXPECTED.slice(0, 5)), 1, 'no end');
  t.equal(faults('Downloading', ...EXPECTED.slice(2)), 1, 'one is missing');
  t.equal(faults(...EXPECTED, 'Downloading'), 1, 'something after the end');
  t.equal(faults(...EXPECTED.slice(0, 4), 'SignatureVerified', 'Installing', 'Installed'), 1, 'again in the same boot');
  const twice = ['SignatureVerified@2', 'InstallScheduled@2', 'SignatureVerified@2'];
  t.equal(faults(...EXPECTED.slice(0, 4), ...twice, 'Installing@2', 'Installed@2'), 1, 'twice after one restart');
  t.equal(faults(...EXPECTED.slice(0, 5), 'SignatureVerified@2', 'Installed'), 1, 'again after the install began');
  t.equal(faults(...EXPECTED.slice(0, 5), 'InstallationFailed'), 2, 'another end');
  t.equal(faults(...EXPECTED, 'Installed@3'), 1, 'the end in a boot that is not the next');
  t.equal(faults(...EXPECTED, 'Installed@2', 'Installed@3'), 1, 'the end in each boot');
  t.equal(faults(...EXPECTED, 'Installed@2', 'Downloading@2'), 1, 'something after the repeated end');
  t.equal(faults(), 1, 'nothing at all');
});
