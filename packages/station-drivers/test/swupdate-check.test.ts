/** Profile `swupdate`, looked at before use, with a real SWUpdate. */
import { join } from 'node:path';
import type { SwupdateSettings } from '@khumbu/shared/stations/driver-entry';
import { hasSwupdate, type SwupdateStation } from '@khumbu/test-support/swupdate';
import t, { type Test } from 'tap';
import { checkBy } from '../src/check/check-by.js';
import { defectsOf } from '../src/check/known-defects.js';
import type { CheckFinding, DriverCheck } from '../src/port.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import { entryOf, setUp } from './swupdate-stage.js';
import { treeOf } from './tree.js';

const { signal } = new AbortController();
t.setTimeout(900_000);
const only = { skip: hasSwupdate() ? false : 'there is no SWUpdate, or we are not root' };

/** What the daemon writes down of being there is not ours. */
const isOfDaemon = (path: string): boolean => path === 'daemon.log';

async function look(t: Test, station: SwupdateStation, change: Partial<SwupdateSettings> = {}): Promise<DriverCheck> {
  const before = treeOf(station.dir, isOfDaemon);
  const entry = { ...entryOf(station), swupdate: { ...station.settings, ...change } };
  const check = await checkBy(createRealDriver('gate', entry, createSshPool()), signal);
  t.same(treeOf(station.dir, isOfDaemon), before, 'nothing at the station is another one');
  return check;
}

const find = ({ findings }: DriverCheck, subject: string): CheckFinding | undefined =>
  findings.find((finding) => finding.subject === subject);

await t.test('all is there; an older version has its defects named', only, async (t) => {
  const { station } = await setUp(t);
  const check = await look(t, station);
  t.match(check.verbs, { install: 'can', observe: 'can', reboot: 'can', network: 'not_supported' });
  t.match(find(check, 'swupdate_daemon'), { outcome: 'ok', text: /listens on .*sockinstctrl/ });
  t.match(find(check, 'swupdate_slot'), { outcome: 'ok', text: 'it runs from a' });
  t.match(find(check, 'swupdate_variables'), { outcome: 'ok', text: 'slot is a' });
  t.match(find(check, 'swupdate_version'), { outcome: 'ok', text: /^SWUpdate 20\d\d\.\d\d/ });
  const version = find(check, 'swupdate_version')?.text.slice('SWUpdate '.length) ?? '';
  t.equal(
    check.findings.filter(({ subject }) => subject === 'swupdate_defect').length,
    defectsOf('swupdate', version).length,
  );
  t.notOk(find(check, 'swupdate_mark'));
});

await t.test('what is missing, and what was broken off', only, async (t) => {
  const { station } = await setUp(t);
  const cases: [Partial<SwupdateSettings>, string, RegExp][] = [
    [{ control_socket: '/run/nobody/sockinstctrl' }, 'swupdate_daemon', /nobody listens/],
    [{ read_variable: ['false'] }, 'swupdate_variables', /cannot be read/],
    [{ running_slot: ['false'] }, 'swupdate_slot', /not known/],
    [{ running_slot: ['echo', 'c'] }, 'swupdate_slot', /no selection is there for the slot that runs, c/],
  ];
  for (const [change, subject, text] of cases) {
    const check = await look(t, station, change);
    t.match(find(check, subject), { outcome: 'missing', text });
    t.equal(check.verbs.install, 'cannot', subject);
  }
  station.setVariable('recovery_status', 'in_progress');
  t.match(find(await look(t, station), 'swupdate_mark'), { outcome: 'warning', text: /broken off/ });
});

await t.test('started for each update, beside a daemon that runs', only, async (t) => {
  const { station } = await setUp(t);
  const program = [...station.inside('swupdate')];
  const check = await look(t, station, { program, tmpdir: join(station.dir, 'tmp') });
  t.match(find(check, 'swupdate_daemon'), { outcome: 'warning', text: /listens/ });
  t.equal(check.verbs.install, 'can');
});
