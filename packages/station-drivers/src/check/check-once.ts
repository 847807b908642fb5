/** One look at a station by a process that does nothing else. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { createDriver } from '../create-driver.js';
import type { DriverCheck } from '../port.js';
import { createSshPool, type OnLogin } from '../transports/ssh/ssh-transport.js';
import { checkBy } from './check-by.js';

/** Opens connections of its own and closes them. `onLogin`: nobody else keeps account of them. */
export async function checkOnce(profile: StationProfile, signal: AbortSignal, onLogin: OnLogin): Promise<DriverCheck> {
  const connections = createSshPool({ onLogin });
  // Simulated stations are not looked at where no Khumbu runs.
  const dataDir = process.env.SIMULATED_STATIONS_DIR ?? join(tmpdir(), 'khumbu-stations');
  try {
    return await checkBy(createDriver(profile, { dataDir, connections, redactionKey: undefined }), signal);
  } finally {
    connections.close();
  }
}
