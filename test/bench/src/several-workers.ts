/** A depot whose services are chosen one by one, several ota-workers among them, and its stations. */

import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Depot, ServiceName } from '@khumbu/chaos/depot/depot';
import { SERVICE_SCRIPTS } from '@khumbu/embedded-run/cluster';
import { askUntilServed } from '@khumbu/test-support/ask-until-served';
import { startChild } from '@khumbu/test-support/children';
import type { BenchContext } from './row.js';

export const WORKERS = ['ota-worker-1', 'ota-worker-2'] as const satisfies ServiceName[];

/** Resolves when they are all there. */
export async function startStations(context: BenchContext, depot: Depot, count: number): Promise<void> {
  const settings = {
    MQTT_URL: depot.mqttUrl,
    SIMULATED_STATIONS: String(count),
    SIMULATED_STATIONS_DIR: depot.folders.chargers,
    NODE_OPTIONS: '',
  };
  const env = { ...process.env, ...settings };
  const child = await startChild(process.execPath, [SERVICE_SCRIPTS['station-simulator']], { ipc: true, env });
  context.teardown(() => child.end('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.process.once('message', () => resolve());
    void child.exited.then(() => reject(new Error(`the stations ended: ${child.output()}`)));
  });
}

/** How many parts of downloads a worker has open. */
export function fetchesOf(depot: Depot, worker: (typeof WORKERS)[number]): number {
  const { pid } = depot.process(worker);
  if (pid === undefined) return 0;
  const folder = join(depot.folders.spool, 'fetching');
  const paths = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      // Closed meanwhile.
      return '';
    }
  });
  // Large ones are open twice; what is noted beside them is open while it is written.
  return new Set(paths.filter((path) => path.startsWith(folder) && path.endsWith('.part'))).size;
}

/** Ask for something that is accepted. */
export async function postTo(depot: Depot, path: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const ask = () => depot.fetch(`/v1${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const answer = await askUntilServed(ask, 60_000, `POST ${path}`);
  if (answer.status !== 202) throw new Error(`POST ${path}: ${answer.status} ${await answer.text()}`);
}
