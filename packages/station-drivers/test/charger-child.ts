/**
 * A worker process for the tests: acts on one charger without end, a line of output per answer. Arguments: data
 * folder, station, image path, size, prefix of operation ids. Each round it starts the install of that round, which
 * every process with the same prefix does too, and sets the clock.
 */
import { hasCode } from '@khumbu/shared/runtime/errors';
import { createSimulatedDriver } from '../src/simulated/simulated-driver.js';

const [dataDir = '', station = '', path = '', size = '', prefix = '', rounds = ''] = process.argv.slice(2);
const { signal } = new AbortController();
const driver = createSimulatedDriver({ station, dataDir, settings: { install_ms: 0, log_history_s: 0 } });

for (let round = 0; round < Number(rounds); round++) {
  const operationId = `${prefix}-${round}`;
  const image = { path, sizeBytes: Number(size), sha256: operationId };
  try {
    await driver.start({ step: 'install', operationId, image }, signal);
    process.stdout.write(`${operationId}\n`);
  } catch (error) {
    if (!hasCode(error, 'STATION_BUSY')) throw error;
  }
  await driver.setClock(new Date(), signal);
}
