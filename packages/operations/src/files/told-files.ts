/**
 * How the files of every process of the depot do, told to all gateways: one hash with a field for each process, which says
 * until when it counts. Redis' own clock, which all share, says what is over.
 */
import { hostname } from 'node:os';
import type { FileHealth, FileState } from '@khumbu/shared/runtime/file-health';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import { repliesOf } from '../records/replies.js';

const TELL_MS = 10_000;
/** Three are missed before a process counts as gone. */
const COUNTS_MS = 3 * TELL_MS + 1000;

interface Told {
  readonly service: string;
  readonly instance: string;
  /** By the clock of Redis. */
  readonly until: number;
  readonly states: readonly FileState[];
}

/** The state of one file as one process has it. */
export interface ToldFile extends FileState {
  readonly service: string;
  /** Host and process id. */
  readonly instance: string;
}

/** What is told now, and the fields of processes that are gone. */
async function look(redis: Redis, keys: Keys): Promise<{ nowMs: number; told: Told[]; gone: string[] }> {
  type Seen = [time: [string, string], fields: Record<string, string>];
  const [[seconds, micros], fields] = await repliesOf<Seen>(redis.multi().time().hgetall(keys.files));
  const nowMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  const entries = Object.entries(fields).map(([field, text]) => [field, JSON.parse(text) as Told] as const);
  return {
    nowMs,
    told: entries.filter(([, { until }]) => until >= nowMs).map(([, entry]) => entry),
    gone: entries.filter(([, { until }]) => until < nowMs).map(([field]) => field),
  };
}

/** All files of all processes, those that are not usable first, then by setting. Rejects when Redis does not answer. */
export async function readToldFiles(redis: Redis, keys: Keys): Promise<ToldFile[]> {
  const { told } = await look(redis, keys);
  return told
    .flatMap(({ service, instance, states }) => states.map((state) => ({ ...state, service, instance })))
    .sort(
      (a, b) =>
        Number(a.usable) - Number(b.usable) ||
        a.setting.localeCompare(b.setting) ||
        a.service.localeCompare(b.service) ||
        a.instance.localeCompare(b.instance),
    );
}

/** Tell how the files of this process do: at once, after every change, and again and again while it runs. */
export function tellFiles(
  redis: Redis,
  keys: Keys,
  service: string,
  files: Pick<FileHealth, 'states' | 'onChange'>,
  onError: (error: unknown) => void,
) {
  const instance = `${hostname()}:${process.pid}`;
  const field = `${service} ${instance}`;
  let open = false;
  let again = false;
  let stopped = false;
  const tellOnce = async (): Promise<void> => {
    const { nowMs, gone } = await look(redis, keys);
    const told: Told = { service, instance, until: nowMs + COUNTS_MS, states: files.states() };
    const change = redis.multi().hset(keys.files, field, JSON.stringify(told)).pexpire(keys.files, COUNTS_MS);
    if (gone.length > 0) change.hdel(keys.files, ...gone);
    await change.exec();
  };
  const tell = async (): Promise<void> => {
    again = true;
    if (open) return;
    open = true;
    while (again && !stopped) {
      again = false;
      await tellOnce().catch(onError);
    }
    open = false;
  };
  files.onChange(() => void tell());
  void tell();
  const timer = setInterval(() => void tell(), TELL_MS);
  return {
    /** What was told runs out by itself: to take it back would wait for a Redis that may be away. */
    stop(): void {
      stopped = true;
      clearInterval(timer);
    },
  };
}
