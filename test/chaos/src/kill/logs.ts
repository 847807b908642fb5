/** What the processes of a house logged last, for whoever looks into a case that failed. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResidentName } from '../house/house.js';
import type { Stage } from './stage.js';

/** Into a folder of that name below `KILL_LOGS`; nothing without it. */
export async function keepLogs({ house, stations }: Stage, name: string): Promise<void> {
  const folder = process.env.KILL_LOGS;
  if (!folder) return;
  const dir = join(folder, name);
  await mkdir(dir, { recursive: true });
  const names: ResidentName[] = [...house.services, 'redis', 'mosquitto', 's3'];
  for (const one of names) await writeFile(join(dir, `${one}.log`), house.resident(one).output());
  for (const { station, statuses, allowed, boots } of stations) {
    await writeFile(join(dir, `${station}.json`), JSON.stringify({ statuses, allowed, boots }, undefined, 1));
  }
}
