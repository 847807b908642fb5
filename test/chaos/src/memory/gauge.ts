/** What the processes of a house take: memory, open files, and Redis by its own count. */
import { readdir } from 'node:fs/promises';
import type { House, ResidentName } from '../house/house.js';

export interface Reading {
  /** Operations done when it was taken. */
  readonly done: number;
  readonly rss: Readonly<Record<string, number>>;
  readonly files: Readonly<Record<string, number>>;
}

const residents = (house: House): readonly ResidentName[] => [...house.services, 'redis'];

async function openFiles(pid: number | undefined): Promise<number> {
  return pid === undefined ? 0 : (await readdir(`/proc/${pid}/fd`)).length;
}

export async function read(house: House, done: number): Promise<Reading> {
  const rss: Record<string, number> = {};
  const files: Record<string, number> = {};
  for (const name of residents(house)) {
    rss[name] = await house.resident(name).rssBytes();
    files[name] = await openFiles(house.resident(name).pid);
  }
  return { done, rss, files };
}

/** Bytes Redis has given out. */
export async function redisBytes(house: House): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await house.redis.info('memory'))?.[1] ?? 0);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
