import { STATION } from '@khumbu/intake/test/fixtures';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import t from 'tap';
import { bootBegun, hearHeartbeat, NEVER_HEARD, type Presence } from '../src/mqtt/liveness/presence.js';
import { newStation, type Station } from '../src/mqtt/liveness/station.js';
import { heldBecause } from '../src/mqtt/outbound/held-status.js';
import { hearAll } from './heartbeats.js';

const entryFor = (afterBoot?: OutboxEntry['afterBoot']): OutboxEntry => ({
  id: 'e',
  operationId: 'o',
  channel: 'firmware_update_status',
  payload: {},
  at: 0,
  expiresAt: 1e15,
  ...(afterBoot ? { afterBoot } : {}),
});
const station = (presence: Presence, more: Partial<Station> = {}): Station => ({
  ...newStation({ station: STATION, moduleId: STATION }, 200, 0),
  presence,
  ...more,
});

void t.test('statuses are held while nobody would hear them', async (t) => {
  const depotMs = 1_000_000;
  const there = hearAll([
    [9000, 1],
    [10_000, 2],
  ]);
  const at = (ownMs: number) => ({ depotMs, ownMs });
  t.equal(heldBecause(entryFor(), undefined, at(0)), 'unknown_station');
  t.equal(heldBecause(entryFor(), station(there), at(10_500)), undefined);
  t.equal(heldBecause(entryFor(), station(there), at(13_001)), 'away');
  const bootAgo = (ms: number, settleMs = 0) => entryFor({ at: depotMs - ms, settleMs });
  t.equal(
    heldBecause(bootAgo(200), station(there), at(10_500)),
    'booting',
    'the last heartbeat is older than the boot',
  );
  t.equal(heldBecause(bootAgo(900), station(there), at(10_500)), 'booting', 'the count goes on: it may not have ended');
  t.equal(heldBecause(bootAgo(3499), station(there), at(10_500)), 'booting');
  t.equal(heldBecause(bootAgo(3501), station(there), at(10_500)), undefined, 'it goes on through boots');
  const anew = hearAll([
    [8000, 7],
    [9500, 0],
    [10_000, 1],
  ]);
  t.equal(heldBecause(bootAgo(1100), station(anew), at(10_500)), undefined, 'the count began anew');
  t.equal(heldBecause(bootAgo(900), station(anew), at(10_500)), 'booting', 'before the boot was seen');
  const begun = (ms: number) => entryFor({ at: depotMs - 900, settleMs: 0, begunAt: depotMs - ms });
  t.equal(heldBecause(begun(1100), station(anew), at(10_500)), undefined, 'but after it was asked for');
  t.equal(heldBecause(begun(950), station(anew), at(10_500)), 'booting');
  t.equal(heldBecause(bootAgo(1100, 2000), station(anew), at(10_500)), 'settling');
  t.equal(heldBecause(bootAgo(60_000, 2000), station(anew), at(10_500)), 'settling', 'the host was back long before');
  t.equal(heldBecause(bootAgo(60_000, 2000), station(anew), at(11_499)), 'settling');
  t.equal(heldBecause(bootAgo(60_000, 2000), station(anew), at(11_500)), undefined, 'counted from its first heartbeat');
  const seenLate = entryFor({ at: depotMs - 600, settleMs: 900, begunAt: depotMs - 5000 });
  t.equal(
    heldBecause(seenLate, station(anew), at(10_500)),
    undefined,
    'EVerest was back before its host was seen to be',
  );
  const handedOver = {
    ...hearAll([[9000, 7]]),
    handedOver: true as const,
    communication: { heartbeat_period_ms: 500 },
  };
  const afterTakeover = hearAll([[10_400, 9]], handedOver);
  t.equal(
    heldBecause(bootAgo(60_000, 2000), station(afterTakeover), at(10_500)),
    'settling',
    'of what another leader heard nothing is known',
  );
  const asked = bootBegun(NEVER_HEARD, NEVER_HEARD, 10_000);
  t.equal(
    heldBecause(bootAgo(60_000, 2000), station(asked), at(10_500)),
    'settling',
    'without heartbeats: its question',
  );
  t.equal(heldBecause(bootAgo(60_000, 2000), station(asked), at(12_000)), undefined);
  const withOcpp = { ocppConsumer: 'ocpp' };
  t.equal(heldBecause(bootAgo(9000), station(there, withOcpp), at(10_500)), 'not_registered');
  t.equal(heldBecause(bootAgo(1100, 5000), station(anew, { ...withOcpp, registered: true }), at(10_500)), undefined);
  t.equal(heldBecause(bootAgo(100), station(NEVER_HEARD), at(10_500)), undefined, 'a station without heartbeats');
});

void t.test('what asks for a permission waits for the first heartbeat after a takeover', async (t) => {
  const at = { depotMs: 1_000_000, ownMs: 10_500 };
  const asking = (status: string) => ({ ...entryFor(), payload: { firmware_update_status: status, request_id: 1 } });
  const communication = { heartbeat_period_ms: 1000 };
  const known: Presence = { ...NEVER_HEARD, communication, heartbeatId: 7, heartbeatAt: 9000, heardAt: 9000 };
  const taken: Presence = { ...known, handedOver: true };
  const rows: [string, Presence, string | undefined][] = [
    ['SignatureVerified', taken, 'boot_unsure'],
    ['Downloaded', taken, 'boot_unsure'],
    ['Downloading', taken, undefined],
    ['Installed', taken, undefined],
    ['SignatureVerified', known, undefined],
    ['SignatureVerified', hearHeartbeat(taken, 8, 10_400).presence, undefined],
    ['SignatureVerified', { ...taken, communication: { heartbeat_period_ms: 0 } }, undefined],
  ];
  for (const [status, presence, expected] of rows)
    t.equal(heldBecause(asking(status), station(presence), at), expected, status);
});

void t.test('what asks for a permission waits until the boot that begins is stored', async (t) => {
  const at = { depotMs: 1_000_000, ownMs: 10_500 };
  const told = (status: string): OutboxEntry => ({
    ...entryFor(),
    payload: { firmware_update_status: status, request_id: 1 },
  });
  const anew = hearAll([
    [8000, 7],
    [9500, 0],
    [10_000, 1],
  ]);
  const noticed = station(anew, { bootsNoticed: 1 });
  t.equal(heldBecause(told('SignatureVerified'), noticed, at), 'boot_unsure');
  t.equal(heldBecause(told('Downloaded'), noticed, at), 'boot_unsure');
  t.equal(heldBecause(told('Downloading'), noticed, at), undefined);
  t.equal(heldBecause(told('SignatureVerified'), { ...noticed, bootsCounted: 1 }, at), undefined);
});
