/** A driver that someone else wrote, loaded by the name of its package when it is first needed. */

import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { PackagedDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { checkBy } from './check/check-by.js';
import type { Capabilities, StationDriver } from './port.js';

/** What the package exports as `createStationDriver`. */
export type CreateStationDriver = (station: string, settings: unknown) => StationDriver | Promise<StationDriver>;

const loaded = new Map<string, Promise<StationDriver>>();

async function load(name: string, station: string, settings: unknown): Promise<StationDriver> {
  let module: { readonly createStationDriver?: unknown };
  try {
    module = (await import(name)) as typeof module;
  } catch (error) {
    throw new CodedError('DRIVER_UNUSABLE', `the driver ${name} cannot be loaded: ${describeError(error)}`, {
      cause: error,
    });
  }
  const create = module.createStationDriver;
  if (typeof create !== 'function')
    throw new CodedError('DRIVER_UNUSABLE', `the driver ${name} does not export createStationDriver`);
  return (create as CreateStationDriver)(station, settings);
}

const everything: Capabilities = { effects: ['install', 'reboot', 'restart'], clock: true, network: true, logs: true };

/** Every call rejects with `DRIVER_UNUSABLE` while the package cannot be loaded. Its capabilities are known when it is. */
export function packagedDriver({ station }: StationProfile, entry: PackagedDriverEntry): StationDriver {
  const key = JSON.stringify([station, entry]);
  let capabilities = everything;
  const driver = async (): Promise<StationDriver> => {
    const loading = loaded.get(key) ?? load(entry.package, station, entry.settings);
    loaded.set(key, loading);
    try {
      const ready = await loading;
      capabilities = ready.capabilities;
      return ready;
    } catch (error) {
      loaded.delete(key);
      throw error;
    }
  };
  return {
    station,
    get capabilities() {
      return capabilities;
    },
    start: async (...args) => (await driver()).start(...args),
    retire: async (...args) => (await driver()).retire(...args),
    observeEffect: async (...args) => (await driver()).observeEffect(...args),
    observe: async (...args) => (await driver()).observe(...args),
    recover: async (...args) => (await driver()).recover?.(...args) ?? 'not_supported',
    readClock: async (...args) => (await driver()).readClock(...args),
    setClock: async (...args) => (await driver()).setClock(...args),
    async slewClock(byMs, signal) {
      const ready = await driver();
      if (!ready.slewClock) throw new CodedError('NOT_SUPPORTED', `the driver ${entry.package} slews no clocks`);
      await ready.slewClock(byMs, signal);
    },
    configureNetwork: async (...args) => (await driver()).configureNetwork(...args),
    openLogs: async (...args) => (await driver()).openLogs(...args),
    check: async (signal) => checkBy(await driver(), signal),
  };
}
