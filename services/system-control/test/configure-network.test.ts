import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { applyNetworkEvent, type ConfigureNetworkRecord } from '@khumbu/operations/kinds/configure-network/record';
import { KINDS } from '@khumbu/operations/kinds/kinds';
import { newRecordBase } from '@khumbu/operations/records/record';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { createConfigureNetwork } from '@khumbu/steps/station/configure-network';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { openStage, STATION } from './steps-stage.js';

const { redis } = await openRedis(t, t.testdir());

const networks = (configureNetwork: StationDriver['configureNetwork']) =>
  openStage({
    redis,
    driver: { configureNetwork },
    steps: (deps) => ({ 'configure-network': createConfigureNetwork(deps) }),
  });

function accepted(): ConfigureNetworkRecord {
  const now = momentOf(Date.now());
  const asked = { station: STATION, origin: 'everest', requestId: 5, now } as const;
  const offered: ConfigureNetworkRecord = {
    ...newRecordBase<'configure_network', 'Offered'>('configure_network', 'Offered', asked),
    request: { request_id: 5, interface: 'Any' },
    interfaceName: 'eth0',
  };
  return applyNetworkEvent(offered, 'confirmed', { now }).record;
}

void t.test('a network waits for a host that cannot be reached, without a word', async (t) => {
  let isAway = true;
  const { store, lines, put, work } = networks(async ({ interfaceName }) => {
    if (isAway) throw new CodedError('STATION_UNREACHABLE', 'the station is rebooting');
    return { interfaceAddress: interfaceName };
  });
  let network = await put(accepted());
  const { deadlineAt } = network;
  let workedFrom = 0;
  for (let tries = 0; tries < 3; tries++) {
    workedFrom = Date.now();
    network = await work(network);
  }
  t.match(network, { state: 'Accepted', waitingFor: 'station_unreachable', run: 4, faults: undefined, deadlineAt });
  t.ok((network.notBefore ?? 0) >= workedFrom + 1000, 'after a pause');
  t.same(lines, [], 'it is no surprise');
  t.same(await store.outboxEntries(STATION), [], 'EVerest waits, and has heard no end');

  const { record: late, statuses } = KINDS.configure_network.onDeadline(network, {
    now: momentOf(deadlineAt ?? 0),
    dialect: 'ocpp2.x',
    bootEpoch: 0,
  });
  t.match(late, { state: 'Failed', outcome: { ok: false, reason: 'deadline_station_unreachable' } });
  t.match(statuses, [{ payload: { request_id: 5, status: 'Failed' } }]);

  isAway = false;
  network = await work(network);
  t.match(network, { state: 'Ready', waitingFor: undefined, interfaceAddress: 'eth0', outcome: { ok: true } });
  const told = await store.outboxEntries(STATION);
  t.match(told, [{ payload: { request_id: 5, status: 'Ready', interface_address: 'eth0' } }]);
});

void t.test('what the station says of its interface is the end', async (t) => {
  const { put, work } = networks(async () => {
    throw new CodedError('NETWORK_FAILED', 'no link');
  });
  t.match(await work(await put(accepted())), {
    state: 'Failed',
    outcome: { reason: 'network_failed', message: 'no link' },
  });
});
