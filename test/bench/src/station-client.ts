/** One station that asks, as EVerest asks: it sends a heartbeat first, so that it is known. */
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import type { Depot } from './depot.js';

const PATIENCE_MS = 30_000;

/** Resolves when the depot knows it. */
export async function awaitKnown({ endpoints }: Depot, station: string): Promise<void> {
  const headers = { authorization: `Bearer ${endpoints.apiKey}` };
  const isKnown = async (): Promise<boolean> =>
    (await fetch(`${endpoints.httpUrl}/v1/stations/${station}`, { headers })).ok;
  await awaitUntil(isKnown, PATIENCE_MS, `${station} to be known`);
}

/** Resolves when the depot knows it: its first status is then not held back. */
export async function startStation(cleanup: Cleanup, depot: Depot, station: string): Promise<EverestClient> {
  const client = await startEverestClient({
    mqttUrl: depot.endpoints.mqttUrl,
    moduleId: station,
    heartbeatMs: 1000,
    discovery: { heartbeat_period_ms: 1000, communication_check_period_s: 30, request_reply_timeout_s: 30 },
  });
  cleanup.teardown(() => client.close());
  await awaitKnown(depot, station);
  return client;
}
