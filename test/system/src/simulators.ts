/** Simulated stations beside the cluster: they follow their chargers, so they restart when we restart them. */
import { chargersIn } from '@khumbu/station-simulator/charger-watch';
import { createEverestModule, type EverestModule } from '@khumbu/station-simulator/everest-module';
import type { EverestModuleOptions } from '@khumbu/station-simulator/everest-options';
import { createFleet, type Fleet } from '@khumbu/station-simulator/fleet';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { within } from '@khumbu/test-support/events';
import type { Test } from 'tap';
import type { Cluster } from './cluster.js';
import { PATIENCE_MS } from './everest.js';

/** A beat a second: one that gets no processor for three of them counts as away, and its last status is sent again. */
const QUICK = { heartbeatMs: 1000, communicationCheckS: 3, restartMs: 50, registrationMs: 20 } as const;

/**
 * For stations whose boot reason is asked. A second question waits for a heartbeat for 1.2 periods, and for a third of EVerest's
 * patience, at most: one that a busy machine sends four seconds late still comes, and is no restart.
 */
export const SELDOM = { heartbeatMs: 20_000, requestReplyTimeoutS: 300 } as const;

type Options = Omit<EverestModuleOptions, 'mqttUrl' | 'station' | 'dialect' | 'watch'> &
  Partial<Pick<EverestModuleOptions, 'dialect'>>;

function watchIn(t: Test, cluster: Cluster) {
  const over = new AbortController();
  t.teardown(() => over.abort());
  return chargersIn(cluster.chargers, over.signal, (error) => {
    throw error;
  });
}

/** One station, up; it ends with the test. */
export async function startStation(
  t: Test,
  cluster: Cluster,
  station: string,
  options: Options = {},
): Promise<EverestModule> {
  const module = createEverestModule({
    ...QUICK,
    mqttUrl: cluster.endpoints.mqttUrl,
    station,
    dialect: 'ocpp2.x',
    watch: watchIn(t, cluster)(station),
    ...options,
  });
  t.teardown(() => module.stop());
  await module.start();
  return module;
}

/** The boot reason of the nth boot, once OCPP has received it. */
export async function bootReasonOf(station: EverestModule, boot: number): Promise<unknown> {
  const what = `the reason of boot ${boot}`;
  const reason = await station.awaitThat((s) => s.boots[boot - 1]?.bootReason, PATIENCE_MS, what);
  // A busy gateway answers by default.
  if (reason !== 'Unknown' || station.boots.length !== boot) return reason;
  return (await askUntilDecided('get_boot_reason', () => station.request('get_boot_reason'))).reply;
}

/** Several stations, up; each starts again when it has ended, as under a supervisor. They end with the test. */
export async function startFleet(
  t: Test,
  cluster: Cluster,
  stations: readonly string[],
  options: Options = {},
): Promise<Fleet> {
  const fleet = createFleet({
    ...QUICK,
    mqttUrl: cluster.endpoints.mqttUrl,
    stations,
    dialect: 'ocpp2.x',
    watch: watchIn(t, cluster),
    ...options,
  });
  t.teardown(() => fleet.stop());
  // Its signal ends the supervision of the stations, not the start alone.
  await within(fleet.start(new AbortController().signal), 30_000, 'all stations to be up');
  return fleet;
}

/** The names of the firmware statuses this station has received for an id, in order. */
export const firmwareStatuses = (station: EverestModule, requestId: number): string[] =>
  station.statuses.filter((one) => one.kind === 'firmware' && one.requestId === requestId).map(({ status }) => status);
