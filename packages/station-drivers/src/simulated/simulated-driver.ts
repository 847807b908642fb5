/** The driver of simulated stations: for development, demonstrations and tests. Its chargers live in a folder. */
import { stat } from 'node:fs/promises';
import { unlessAborted } from '@khumbu/shared/runtime/abort';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import type { SimulatedSettings } from '@khumbu/shared/stations/stations-file';
import { EVERY_VERB, good, verdictsOf, wanting } from '../check/findings.js';
import type { DriverCheck, Effect, FirmwareImage, LogQuery, LogSource, Recovered, StationDriver } from '../port.js';
import {
  assertReachable,
  begin,
  type Charger,
  type EffectPlan,
  effectState,
  evidence,
  factoryCharger,
  isRebooting,
  putBack,
  retire,
  unhang,
  withClockOffset,
  withNetwork,
} from './charger.js';
import { changeCharger, chargerFolder, readCharger } from './charger-state.js';
import { brokenJournalStream, eventStream, type JournalShape, type JournalWindow, journalStream } from './journal.js';
import { newestEvents, newestRecords } from './newest.js';
import { settle } from './settle.js';

export interface SimulatedStation {
  readonly station: string;
  readonly settings: SimulatedSettings;
  /** Shared by all processes that act on the station. */
  readonly dataDir: string;
  /** Interface class to interface name; absent: networks cannot be configured. */
  readonly interfaces?: Readonly<Record<string, string>>;
  /** Milliseconds since 1970; for tests. */
  readonly now?: () => number;
}

const defaults = {
  install_ms: 1000,
  reboot_ms: 1000,
  reboot: true,
  log_interval_ms: 10_000,
  log_record_bytes: 160,
  log_history_s: 86_400,
} satisfies SimulatedSettings;

type Settings = Required<Omit<SimulatedSettings, 'fail'>> & Pick<SimulatedSettings, 'fail'>;

const CAPABILITIES = { effects: ['install', 'reboot', 'restart'], clock: true, logs: true } as const;

/** The clock of a charger goes from 1970 up to the last year of four digits. */
const lastTime = Date.UTC(10_000, 0) - 1;

/**
 * A driver for one simulated station. `settings.fail` counts when an effect starts; `hang` lasts until it is taken out
 * of the settings again and the station is looked at. A restart of EVerest takes as long as a reboot. Besides the
 * codes of the port every call may reject with `CHARGER_STATE_CORRUPT` and `CHARGER_DISK_FULL`.
 */
export function createSimulatedDriver(options: SimulatedStation): StationDriver {
  const { station, dataDir, interfaces, now = Date.now } = options;
  const settings: Settings = { ...defaults, ...options.settings };
  const fail = settings.fail ?? {};
  const folder = chargerFolder(dataDir, station);

  const present = (stored: Charger | undefined, time: number): Charger => {
    const charger = stored ?? factoryCharger(time);
    const { effect } = charger;
    const hangs = effect?.step === 'install' ? fail.install === 'hang' : fail.reboot === 'hang';
    return settle(effect?.planned === 'hang' && !hangs ? unhang(charger, effect, time) : charger, time);
  };

  /** The charger now; nothing is written down. */
  const look = async (): Promise<Charger> => present((await readCharger(folder))?.charger, now());

  /** The charger now, with what has ended meanwhile; `change` goes on from there. */
  async function visit(
    signal: AbortSignal,
    change: (charger: Charger, time: number) => Charger = (charger) => charger,
  ): Promise<Charger> {
    return changeCharger(
      folder,
      (stored) => {
        const time = now();
        return change(present(stored, time), time);
      },
      signal,
    );
  }

  async function reach(signal: AbortSignal): Promise<Charger> {
    const charger = await visit(signal);
    assertReachable(charger);
    return charger;
  }

  return {
    station,
    capabilities: { ...CAPABILITIES, network: interfaces !== undefined },
    check: async (signal) => simulatedCheck(await unlessAborted(look(), signal), interfaces !== undefined),
    recover: recoveryOf(reach, visit, now),

    async start(effect, signal) {
      // What has become of an earlier effect is stored first: a refusal must not keep its time from beginning.
      await reach(signal);
      const plan = await planOf(effect, settings);
      await visit(signal, (charger, time) => begin(charger, effect, plan, time));
    },

    async retire(operationId, signal) {
      await visit(signal, (charger) => {
        assertReachable(charger);
        return retire(charger, operationId);
      });
    },

    async observeEffect(operationId, step, signal) {
      return effectState(await reach(signal), operationId, step, now());
    },

    async observe(signal) {
      return evidence(await reach(signal));
    },

    async readClock(signal) {
      const { clockOffsetMs } = await reach(signal);
      return new Date(now() + clockOffsetMs);
    },

    async setClock(time, signal) {
      const offsetMs = time.getTime() - now();
      await visit(signal, (charger, at) => {
        assertReachable(charger);
        if (fail.clock === 'refused' || !(time.getTime() >= 0 && time.getTime() <= lastTime))
          throw new CodedError('CLOCK_REFUSED', 'the station refused to set its clock');
        return withClockOffset(charger, offsetMs, at);
      });
    },

    async configureNetwork({ interfaceName }, signal) {
      await visit(signal, (charger, at) => {
        assertReachable(charger);
        if (fail.network === 'failed' || !Object.values(interfaces ?? {}).includes(interfaceName))
          throw new CodedError('NETWORK_FAILED', 'the station could not prepare the interface');
        return withNetwork(charger, interfaceName, at);
      });
      return { interfaceAddress: interfaceName };
    },

    async openLogs(query, signal) {
      const charger = await reach(signal);
      if (fail.logs === 'unavailable') throw new CodedError('LOGS_UNAVAILABLE', 'the station does not give its logs');
      if (!query.newest) return logSources(station, settings, charger, query, now() + charger.clockOffsetMs, signal);
      return newestSources({ station, settings, charger, query, now, look, signal });
    },
  };
}

type Visit = (signal: AbortSignal, change: (charger: Charger, time: number) => Charger) => Promise<Charger>;

const recoveryOf =
  (reach: (signal: AbortSignal) => Promise<Charger>, visit: Visit, now: () => number) =>
  async (operationId: string, signal: AbortSignal): Promise<Recovered> => {
    const charger = await reach(signal);
    const { effect } = charger;
    if (effect) throw new CodedError('STATION_BUSY', `the station is busy with ${effect.step}; try again later`);
    if (effectState(charger, operationId, 'install', now()).state !== 'succeeded') return 'nothing';
    if (evidence(charger).runningInstalledBy === operationId) return 'runs';
    await visit(signal, (latest, time) => putBack(latest, operationId, time));
    return 'put_back';
  };

/** Of a charger as it is now: what has ended meanwhile is not written down by a look. */
function simulatedCheck(charger: Charger, hasNetwork: boolean): DriverCheck {
  const finding = isRebooting(charger)
    ? wanting('missing', 'reach', 'the simulated station boots', 'ask again when it has', EVERY_VERB)
    : good('reach', 'a simulated station: nothing real is reached by it', EVERY_VERB);
  const has = EVERY_VERB.filter((verb) => verb !== 'network' || hasNetwork);
  return { findings: [finding], verbs: verdictsOf([finding], has) };
}

const shapeOf = (station: string, settings: Settings, charger: Charger, type: LogQuery['type']): JournalShape => ({
  station,
  type,
  firstAt: charger.createdAt + charger.clockOffsetMs - settings.log_history_s * 1000,
  intervalMs: settings.log_interval_ms,
  recordBytes: settings.log_record_bytes,
});

const windowOf = ({ oldest, latest }: LogQuery): JournalWindow => ({
  oldest: Math.max(0, oldest?.getTime() ?? 0),
  latest: latest?.getTime() ?? Number.POSITIVE_INFINITY,
});

/** All records are stamped by the clock as it is set now, so setting it neither opens a gap nor fills one. */
function logSources(
  station: string,
  settings: Settings,
  charger: Charger,
  query: LogQuery,
  clock: number,
  signal: AbortSignal,
): readonly LogSource[] {
  const { type } = query;
  const shape = shapeOf(station, settings, charger, type);
  const { oldest, latest } = windowOf(query);
  const records = settings.fail?.logs === 'midway' ? brokenJournalStream : journalStream;
  const stream = records(shape, { oldest, latest: Math.min(latest, clock) }, signal);
  // Events from before the clock was set back have dates in its future, and are included nevertheless.
  const events = (): LogSource => ({ name: 'events', stream: eventStream(charger.events, { oldest, latest }, signal) });
  const sources = type === 'SecurityLog' ? [{ name: 'security', stream }] : [{ name: 'journal', stream }, events()];
  return askedOf(sources, query);
}

interface Newest {
  readonly station: string;
  readonly settings: Settings;
  readonly charger: Charger;
  readonly query: LogQuery;
  readonly now: () => number;
  readonly look: () => Promise<Charger>;
  readonly signal: AbortSignal;
}

function newestSources({ station, settings, charger, query, now, look, signal }: Newest): readonly LogSource[] {
  const { type, follow = false } = query;
  const clock = (): number => now() + charger.clockOffsetMs;
  const how = { window: windowOf(query), clock, follow, signal };
  const records = newestRecords(shapeOf(station, settings, charger, type), how);
  const sources =
    type === 'SecurityLog'
      ? [{ name: 'security', stream: records }]
      : [
          { name: 'journal', stream: records },
          { name: 'events', stream: newestEvents(async () => (await look()).events, how) },
        ];
  return askedOf(sources, query);
}

function askedOf(sources: readonly LogSource[], query: LogQuery): readonly LogSource[] {
  const asked = sources.filter(({ name }) => query.sources?.includes(name) ?? true);
  if (asked.length === 0) throw new CodedError('LOGS_UNAVAILABLE', 'the station has no such source');
  return asked;
}

async function planOf(effect: Effect, settings: Settings): Promise<EffectPlan> {
  const { install_ms, reboot_ms, reboot, fail = {} } = settings;
  if (effect.step === 'restart') return { durationMs: reboot_ms, planned: 'succeed' };
  if (effect.step === 'reboot') return { durationMs: reboot_ms, planned: fail.reboot ?? 'succeed' };
  const how = { durationMs: install_ms, byReboot: reboot };
  if (fail.install === 'hang') return { ...how, planned: 'hang' };
  if (fail.install === 'failed') return { ...how, planned: 'failed', message: 'the slot could not be written' };
  const unfit =
    fail.install === 'verification_failed' ? 'the image is not for this station' : await unfitness(effect.image);
  if (unfit !== undefined) return { ...how, planned: 'verification_failed', message: unfit };
  return { ...how, planned: fail.install ?? 'succeed' };
}

/** Existence and size alone: reading the images of hundreds of stations would be the load of the whole machine. */
async function unfitness({ path, sizeBytes }: FirmwareImage): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    return size === sizeBytes ? undefined : `the image has ${size} bytes instead of ${sizeBytes}`;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 'the image is missing';
    throw error;
  }
}
