/** What the processes of a depot logged last and its stations received, for the analysis of an attempt that broke. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import type { Depot, ProcessName } from './depot.js';

const plain = (name: string): string => name.replaceAll(/[^\w.-]+/g, '-');

/**
 * Into a folder of that name below `CHAOS_LOGS`; nothing without it. `heard`: by the name of a station, anything that
 * can be written as JSON.
 */
export async function keepLogs(
  depot: Depot,
  name: string,
  heard: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const folder = process.env.CHAOS_LOGS;
  if (!folder) return;
  const dir = join(folder, plain(name));
  await makeFolder(dir);
  const processes: ProcessName[] = [...depot.services, 'redis', 'mosquitto', 's3'];
  for (const one of processes) await writeFile(join(dir, `${one}.log`), depot.process(one).output());
  for (const [station, seen] of Object.entries(heard)) {
    await writeFile(join(dir, `${plain(station)}.json`), JSON.stringify(seen, undefined, 1));
  }
}
