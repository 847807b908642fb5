/** A worker process that does nothing but reach stations: its connections and its memory are theirs alone. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitEffect } from '@khumbu/station-drivers/await-effect';
import type { FirmwareImage, StationDriver } from '@khumbu/station-drivers/port';
import { createRealDriver } from '@khumbu/station-drivers/station/real-driver';
import { createSshPool } from '@khumbu/station-drivers/transports/ssh/ssh-transport';
import { serveCalls } from './remote.js';

export interface InstallOptions {
  readonly operationId: string;
  readonly image: FirmwareImage;
  /** The first ones of those that were opened. */
  readonly stations: number;
}

const { signal } = new AbortController();
const pool = createSshPool();
let drivers: readonly StationDriver[] = [];

const timed = async (act: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await act();
  return (performance.now() - began) / 1000;
};

serveCalls({
  /** In place of those before; connects to none. */
  use(entries: readonly RealDriverEntry[]) {
    drivers = entries.map((entry, index) => createRealDriver(`station-${index}`, entry, pool));
  },

  /** Seconds until the image is whole and verified at all of them, and the installs that are nothing have ended. */
  install: ({ operationId, image, stations }: InstallOptions) =>
    timed(() =>
      Promise.all(
        drivers.slice(0, stations).map(async (driver) => {
          await driver.start({ step: 'install', operationId, image }, signal);
          const end = await awaitEffect(driver, operationId, 'install', signal);
          if (end.state !== 'succeeded') throw new Error(end.message);
        }),
      ),
    ),

  /** Seconds until all of these have testified. */
  observe: (stations: number) =>
    timed(() => Promise.all(drivers.slice(0, stations).map((driver) => driver.observe(signal)))),

  open: () => pool.open(),

  /** The next call opens them anew. */
  disconnect() {
    pool.close();
  },
});
