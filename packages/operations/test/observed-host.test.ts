/** What a host testified last: which boot is which, and when it is looked at again. */
import {
  firmwareEvent,
  firmwareView,
  type HostEvidence,
  hasHostBooted,
  isDue,
  observedHost,
} from '@khumbu/operations/stations/observed-host';
import t from 'tap';

const A: HostEvidence = { bootId: 'a', version: '1.0', slot: 'A' };
const at = (monotonic: number, wall = 1_800_000_000_000 + monotonic) => ({ wall, monotonic });

await t.test('boots are told apart by their ids, in the order in which they were seen', async (t) => {
  const first = observedHost(undefined, A, { bootEpoch: 3, asked: at(1000) });
  t.match(first, { bootId: 'a', bootSeenAt: 1000, before: undefined, bootEpoch: 3 });
  const again = observedHost(first, A, { bootEpoch: 4, asked: at(2000) });
  t.match(again, { bootSeenAt: 1000, before: undefined, steadyAt: 2000, bootEpoch: 4 });
  // The clock of the depot's host, and that of the station, went back by years.
  const evidence = { ...A, bootId: 'b', installedAt: new Date(0), runningInstalledBy: 'op', bootReason: 'Watchdog' };
  const next = observedHost(again, evidence, { bootEpoch: 4, asked: at(3000, 5) });
  t.match(next, { bootId: 'b', bootSeenAt: 3000, before: { bootId: 'a', bootEpoch: 4 }, bootReason: 'Watchdog' });
  t.equal(
    observedHost(undefined, { ...A, bootReason: 'because' }, { bootEpoch: 0, asked: at(0) }).bootReason,
    undefined,
  );

  t.equal(hasHostBooted(next, { lastAlive: 2500, lastEpoch: 4 }), true);
  t.equal(hasHostBooted(next, { lastAlive: undefined, lastEpoch: 4 }), true, 'without heartbeats, too');
  t.equal(hasHostBooted(next, { lastAlive: 3500, lastEpoch: 4 }), false, 'EVerest was heard in this very boot');
  t.equal(hasHostBooted(next, { lastAlive: 2500, lastEpoch: 5 }), undefined, 'it may have been in the boot before');
  t.equal(hasHostBooted(first, { lastAlive: 500, lastEpoch: 3 }), undefined, 'nothing is known from before');
});

await t.test('what it runs is told when that is another one', async (t) => {
  const first = observedHost(undefined, A, { bootEpoch: 0, asked: at(0) });
  t.match(firmwareEvent('gate', undefined, first), { change: 'firmware', stationId: 'gate', firmware: { slot: 'A' } });
  const same = observedHost(first, { ...A, bootId: 'b' }, { bootEpoch: 1, asked: at(1) });
  t.equal(firmwareEvent('gate', first, same), undefined);
  const installed = { ...A, slot: 'B', runningInstalledBy: 'op', installedAt: new Date('2026-01-02T03:04:05Z') };
  const other = observedHost(first, installed, { bootEpoch: 1, asked: at(1) });
  t.same(firmwareEvent('gate', first, other)?.firmware, {
    version: '1.0',
    slot: 'B',
    installedAt: '2026-01-02T03:04:05.000Z',
    by: 'op',
  });
  const broken = observedHost(
    first,
    { ...installed, installedAt: new Date(Number.NaN) },
    { bootEpoch: 1, asked: at(1) },
  );
  t.notOk('installedAt' in firmwareView(broken), 'a date that is none');
});

await t.test('when it is looked at', async (t) => {
  t.equal(isDue(undefined, 0, 0, 0), true, 'never before');
  t.equal(isDue({ bootEpoch: 1, steadyAt: 0 }, 2, 1, 1000), true, 'EVerest has started anew');
  t.equal(isDue({ bootEpoch: 2, steadyAt: 0 }, 2, 999, 1000), false);
  t.equal(isDue({ bootEpoch: 2, steadyAt: 0 }, 2, 1000, 1000), true);
  t.equal(isDue({ bootEpoch: 2, steadyAt: 0 }, 2, 1e12, 0), false, 'not by time alone');
});
