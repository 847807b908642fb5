/** A real SWUpdate as a station, and drivers for it. */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { RealDriverEntry, SwupdateSettings } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import type { SwuOptions } from '@khumbu/test-support/swu';
import { type SwupdateOptions, type SwupdateStation, startSwupdate } from '@khumbu/test-support/swupdate';
import type { Test } from 'tap';
import { awaitEffect } from '../src/await-effect.js';
import type { ContractStation } from '../src/contract/driver-contract.js';
import type { Effect, StationDriver } from '../src/port.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import { rotatedLogs } from './log-station.js';
import { driversOfTwoWorkers, endProcessesOf, processesWith } from './stage.js';

const { signal } = new AbortController();
export const PATIENCE_MS = 180_000;

export const entryOf = (station: SwupdateStation): RealDriverEntry => ({
  transport: 'local',
  state_dir: join(station.dir, 'state'),
  profile: 'swupdate',
  boot_id: ['cat', station.bootIdFile],
  swupdate: station.settings,
  reboot: [...station.reboot],
  restart_everest: ['true'],
  // Never the clock of this host.
  read_clock: ['sh', '-c', `cat ${station.dir}/clock 2>/dev/null || date +%s.%N`],
  set_clock: ['sh', '-c', `echo "$0" | tr -d @ >${station.dir}/clock`, '{seconds}'],
  slew_clock: ['true'],
  limits: { install_s: 120, reboot_s: 60, command_s: 60 },
});

export interface Setup {
  readonly station: SwupdateStation;
  readonly driver: (change?: Partial<RealDriverEntry>) => StationDriver;
  /** With other settings of SWUpdate; those that are `undefined` are left out. */
  readonly withSettings: (
    change: {
      readonly [Name in keyof SwupdateSettings]?: SwupdateSettings[Name] | undefined;
    },
  ) => StationDriver;
}

export async function setUp(t: Test, options: SwupdateOptions = {}): Promise<Setup> {
  const station = await startSwupdate(options);
  t.teardown(() => station.stop());
  endProcessesOf(t, station.dir);
  const entry = entryOf(station);
  const driver: Setup['driver'] = (change = {}) => createRealDriver('gate', { ...entry, ...change }, createSshPool());
  return {
    station,
    driver,
    withSettings(change) {
      const kept = Object.entries({ ...station.settings, ...change }).filter(([, value]) => value !== undefined);
      return driver({ swupdate: Object.fromEntries(kept) as SwupdateSettings });
    },
  };
}

export const install = async (
  station: SwupdateStation,
  name = 'op-1',
  change: Partial<SwuOptions> = {},
): Promise<Effect> => ({ step: 'install', operationId: name, image: await station.image(name, change) });

export const end = (driver: StationDriver, operationId = 'op-1', step: Effect['step'] = 'install') =>
  awaitEffect(driver, operationId, step, AbortSignal.timeout(PATIENCE_MS));

export const begun = (station: SwupdateStation, times = 1) =>
  awaitUntil(async () => (await station.begun()) >= times, PATIENCE_MS, `SWUpdate to begin ${times} times`);

/** The clients of SWUpdate that run for a station. */
export const clientsOf = (station: SwupdateStation): readonly number[] =>
  processesWith('swupdate-client -v -e stable', station.dir);

/** Whether some thread of a process sleeps for a time: clock_nanosleep, on amd64 and arm64. */
export const sleeps = (pid: number): boolean =>
  readdirSync(`/proc/${pid}/task`).some((task) =>
    /^(?:230|115) /.test(readFileSync(`/proc/${pid}/task/${task}/syscall`, 'utf8')),
  );

/**
 * Wait until the daemon has all of the image: one whose client is killed before that gives its update up. A client that has handed
 * everything over pauses, or has ended.
 */
export const handedOver = (station: SwupdateStation) =>
  awaitUntil(
    () => {
      try {
        return clientsOf(station).every(sleeps);
      } catch (error) {
        // It ended while we looked.
        if (hasCode(error, 'ENOENT', 'ESRCH')) return false;
        throw error;
      }
    },
    PATIENCE_MS,
    'the client to have handed over everything',
  );

/** Let every script that waits, also those a killed daemon left behind, until what follows has ended. */
export async function letting<T>(station: SwupdateStation, what: Promise<T>): Promise<T> {
  const timer = setInterval(() => void station.let(), 100);
  try {
    return await what;
  } finally {
    clearInterval(timer);
    await station.unset('go');
  }
}

/**
 * Begin one install after the other until the client of one waits for its end: where the end of an archive comes late, a client
 * ends before its update does. `turn` is the number of that install, in the name of its operation and among all.
 */
export async function installWithClient(station: SwupdateStation, driver: StationDriver, first = 1) {
  for (let turn = first; turn < first + 10; turn += 1) {
    await driver.start(await install(station, `op-${turn}`), signal);
    await begun(station, turn);
    const [client] = clientsOf(station);
    if (client !== undefined) return { turn, operationId: `op-${turn}`, client };
    await letting(station, end(driver, `op-${turn}`));
  }
  throw new Error('no client waited for its update');
}

/** Reboot, and what the station says then. */
export async function rebooted(driver: StationDriver, operationId: string) {
  await driver.start({ step: 'reboot', operationId }, signal);
  await end(driver, operationId, 'reboot');
  return driver.observe(signal);
}

export const outputOf = (station: SwupdateStation, operationId = 'op-1'): Promise<string> =>
  readFile(join(station.dir, 'state/effects', `${operationId}.install`, 'out'), 'utf8');

export async function contractStation(t: Test, transport: Partial<RealDriverEntry>): Promise<ContractStation> {
  const { station, driver } = await setUp(t);
  return {
    driver: driversOfTwoWorkers(t, { ...entryOf(station), ...transport, logs: await rotatedLogs(station.dir) }),
    image: (name) => station.image(name),
    async finish() {
      await station.let();
      const isIdle = async () => !(await driver().observe(signal)).busy;
      await awaitUntil(isIdle, PATIENCE_MS, 'the effect to end');
      await station.unset('go');
    },
  };
}
