/** What the processes of a depot take: memory, open files, and Redis by its own count. */
import { readdir } from 'node:fs/promises';
import type { Depot, ProcessName } from '../depot/depot.js';

export interface Reading {
  /** Operations done when it was taken. */
  readonly done: number;
  readonly rss: Readonly<Record<string, number>>;
  readonly files: Readonly<Record<string, number>>;
}

const processes = (depot: Depot): readonly ProcessName[] => [...depot.services, 'redis'];

async function openFiles(pid: number | undefined): Promise<number> {
  return pid === undefined ? 0 : (await readdir(`/proc/${pid}/fd`)).length;
}

export async function read(depot: Depot, done: number): Promise<Reading> {
  const rss: Record<string, number> = {};
  const files: Record<string, number> = {};
  for (const name of processes(depot)) {
    rss[name] = await depot.process(name).rssBytes();
    files[name] = await openFiles(depot.process(name).pid);
  }
  return { done, rss, files };
}

/** Bytes Redis has given out. */
export async function redisBytes(depot: Depot): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await depot.redis.info('memory'))?.[1] ?? 0);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
