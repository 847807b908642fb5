/** A depot with a station for each act, their EVerests under a supervisor, an origin that also takes uploads. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { chargersIn } from '@khumbu/station-simulator/charger-watch';
import { createEverestModule, type EverestModule } from '@khumbu/station-simulator/everest-module';
import { type FirmwareSigner, makeSigner } from '@khumbu/test-support/firmware';
import { type Origin, startOrigin } from '@khumbu/test-support/origin';
import type { Cleanup } from '../depot/cleanup.js';
import { type Depot, type DepotOptions, startDepot } from '../depot/depot.js';
import { openProxy, type TcpProxy } from '../depot/proxy.js';
import { ACTS, type Act } from './acts.js';

const QUICK = { heartbeatMs: 1000, communicationCheckS: 3, restartMs: 50, registrationMs: 20 } as const;
const RESTART_PAUSE_MS = 300;
/**
 * How long the broker may keep a request for us. An offer whose answer is not confirmed stands for as long, and a round
 * waits for its end. Longer than anything stands still here.
 */
const SESSION_EXPIRY_S = 45;

export interface Stage {
  readonly depot: Depot;
  readonly store: Store;
  readonly origin: Origin;
  readonly signer: FirmwareSigner;
  /** Between the stations and mosquitto. */
  readonly stationProxy: TcpProxy;
  station(name: string): EverestModule;
  readonly stations: readonly EverestModule[];
  /** Ids of requests never repeat on one stage. */
  nextRequestId(): number;
  stop(): Promise<void>;
}

const dialectOf = (act: Act): 'ocpp1.6' | 'ocpp2.x' => (act.settings.dialect === 'ocpp1.6' ? 'ocpp1.6' : 'ocpp2.x');

/** Start EVerest again whenever it has ended by itself, until the signal fires. Resolves when it is up once. */
function keepUp(station: EverestModule, signal: AbortSignal): Promise<void> {
  const boot = (): void => {
    if (!signal.aborted) station.start().catch(again);
  };
  const again = (): void => void setTimeout(boot, RESTART_PAUSE_MS * (1 + Math.random())).unref();
  station.on('exited', again);
  return new Promise((resolve) => {
    station.once('up', () => resolve());
    boot();
  });
}

export type StageOptions = Pick<DepotOptions, 'env' | 'envOf' | 'services'> & { readonly dir: string };

export async function startStage(cleanup: Cleanup, options: StageOptions): Promise<Stage> {
  const stations = Object.fromEntries(ACTS.map((act) => [act.name, act.settings]));
  const env = { LOG_GZIP_LEVEL: '1', MQTT_SESSION_EXPIRY_S: String(SESSION_EXPIRY_S), ...options.env };
  const depot = await startDepot(cleanup, { ...options, stations, env });
  const keys = join(options.dir, 'keys');
  mkdirSync(keys, { recursive: true });
  const signer = await makeSigner(keys);
  const origin = await startOrigin();
  const stationProxy = await openProxy(Number(new URL(depot.mqttUrl).port));
  const over = new AbortController();
  const watch = chargersIn(depot.folders.chargers, over.signal, (error, station) => {
    throw new Error(`the charger of ${station} cannot be watched`, { cause: error });
  });
  const modules = new Map(
    ACTS.map((act) => {
      const mqttUrl = `mqtt://127.0.0.1:${stationProxy.port}`;
      const who = { station: act.name, dialect: dialectOf(act), mqttUrl, watch: watch(act.name) };
      return [act.name, createEverestModule({ ...QUICK, ...who })];
    }),
  );
  const all = [...modules.values()];
  async function stop(): Promise<void> {
    over.abort();
    await Promise.all(all.map((station) => station.stop()));
    await stationProxy.close();
    await origin.close();
    await depot.stop();
  }
  cleanup.teardown(stop);
  await Promise.all(all.map((station) => keepUp(station, over.signal)));
  let requestId = 0;
  return {
    depot,
    store: createStore(depot.redis, 'khumbu'),
    origin,
    signer,
    stationProxy,
    stations: all,
    station(name) {
      const found = modules.get(name);
      if (!found) throw new Error(`no station is called ${name}`);
      return found;
    },
    nextRequestId: () => ++requestId,
    stop,
  };
}
