/** What a stage leaves of a round that broke: logs of its processes, what each station received, and its records. */
import { keepLogs } from '../depot/kept-logs.js';
import type { Stage } from './stage.js';

/** Into a folder of that name below `CHAOS_LOGS`; nothing without it. */
export async function keepStage({ depot, stations, store }: Stage, name: string): Promise<void> {
  const heard = stations.map(async ({ station, statuses, allowed, boots }) => {
    const records = await store.operationsOf(station);
    return [station, { statuses, allowed, boots, records }] as const;
  });
  await keepLogs(depot, name, Object.fromEntries(await Promise.all(heard)));
}
