/** A driver that someone else wrote, loaded by the name of its package when it is first needed. */

import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { PackagedDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { checkBy } from './check/check-by.js';
import { shownCheck, shownEffect, shownError, shownEvidence } from './packaged-answers.js';
import { shownSource } from './packaged-logs.js';
import type { Capabilities, StationDriver } from './port.js';
import { interfaceAddressOf } from './station/interface-address.js';
import { withoutSecrets } from './station/quoted-secrets.js';
import { plainText, type StationText } from './station-text.js';

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
export function packagedDriver(
  { station }: StationProfile,
  entry: PackagedDriverEntry,
  texts: StationText = plainText,
): StationDriver {
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
  /** What a signal was fired with is ours: callers tell by it why they stopped. */
  const failureOf =
    (signal: AbortSignal | undefined, said = texts) =>
    (error: unknown): Error =>
      signal?.aborted && error === signal.reason ? (error as Error) : shownError(error, said);
  const ask = async <Answer>(
    asking: (ready: StationDriver) => Answer | Promise<Answer>,
    signal: AbortSignal | undefined,
    said = texts,
  ): Promise<Answer> => {
    try {
      // What its package throws while it is loaded, or made, is its words as well.
      return await asking(await driver());
    } catch (error) {
      throw failureOf(signal, said)(error);
    }
  };
  return {
    station,
    get capabilities() {
      return capabilities;
    },
    start: (effect, signal, ...more) => ask((ready) => ready.start(effect, signal, ...more), signal),
    retire: (id, signal) => ask((ready) => ready.retire(id, signal), signal),
    observeEffect: (id, step, signal) =>
      ask(async (ready) => shownEffect(await ready.observeEffect(id, step, signal), texts), signal),
    observe: (signal) => ask(async (ready) => shownEvidence(await ready.observe(signal), texts), signal),
    recover: (id, signal) => ask((ready) => ready.recover?.(id, signal) ?? 'not_supported', signal),
    readClock: (signal) => ask((ready) => ready.readClock(signal), signal),
    setClock: (time, signal) => ask((ready) => ready.setClock(time, signal), signal),
    slewClock: (byMs, signal) =>
      ask(async (ready) => {
        if (!ready.slewClock) throw new CodedError('NOT_SUPPORTED', `the driver ${entry.package} slews no clocks`);
        await ready.slewClock(byMs, signal);
      }, signal),
    configureNetwork: (setup, signal) =>
      ask(
        async (ready) => {
          const { interfaceAddress } = await ready.configureNetwork(setup, signal);
          return { interfaceAddress: interfaceAddressOf(interfaceAddress) ?? setup.interfaceName };
        },
        signal,
        // It was given them, and may quote them.
        withoutSecrets(texts, { apn: setup.apn, vpn: setup.vpn }),
      ),
    openLogs: (query, signal) =>
      ask(async (ready) => {
        const sources = await ready.openLogs(query, signal);
        return sources.map((source) => shownSource(source, texts, failureOf(signal)));
      }, signal),
    check: (signal) => ask(async (ready) => shownCheck(await checkBy(ready, signal), texts), signal),
  };
}
