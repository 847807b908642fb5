/** A driver that someone else wrote, loaded by the name of its package when it is first needed. */

import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { PackagedDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { checkBy } from './check/check-by.js';
import { shownFinding } from './check/findings.js';
import type { Capabilities, EffectState, StationDriver, StationEvidence } from './port.js';
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

/** The same error, its words as people may see them: of somebody else's code, which may quote what a station said. */
function shownError(error: unknown, texts: StationText): unknown {
  if (!(error instanceof Error)) return error;
  const message = texts.shown(error.message);
  if (message === error.message) return error;
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' ? new CodedError(code, message) : new Error(message);
}

const shownEffect = (effect: EffectState, texts: StationText): EffectState =>
  effect.state === 'failed' ? { ...effect, message: texts.shown(effect.message) } : effect;

const shownEvidence = (evidence: StationEvidence, texts: StationText): StationEvidence => {
  const { version, slot } = evidence;
  return {
    ...evidence,
    ...(version === undefined ? {} : { version: texts.shown(version, 200) }),
    ...(slot === undefined ? {} : { slot: texts.shown(slot, 200) }),
  };
};

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
  const ask = async <Answer>(asking: (ready: StationDriver) => Answer | Promise<Answer>): Promise<Answer> => {
    const ready = await driver();
    try {
      return await asking(ready);
    } catch (error) {
      throw shownError(error, texts);
    }
  };
  return {
    station,
    get capabilities() {
      return capabilities;
    },
    start: (...args) => ask((ready) => ready.start(...args)),
    retire: (...args) => ask((ready) => ready.retire(...args)),
    observeEffect: async (...args) => shownEffect(await ask((ready) => ready.observeEffect(...args)), texts),
    observe: async (...args) => shownEvidence(await ask((ready) => ready.observe(...args)), texts),
    recover: (...args) => ask((ready) => ready.recover?.(...args) ?? 'not_supported'),
    readClock: (...args) => ask((ready) => ready.readClock(...args)),
    setClock: (...args) => ask((ready) => ready.setClock(...args)),
    slewClock: (...args) =>
      ask(async (ready) => {
        if (!ready.slewClock) throw new CodedError('NOT_SUPPORTED', `the driver ${entry.package} slews no clocks`);
        await ready.slewClock(...args);
      }),
    configureNetwork: (...args) => ask((ready) => ready.configureNetwork(...args)),
    openLogs: (...args) => ask((ready) => ready.openLogs(...args)),
    async check(signal) {
      const check = await ask((ready) => checkBy(ready, signal));
      return { ...check, findings: check.findings.map((finding) => shownFinding(finding, texts)) };
    },
  };
}
