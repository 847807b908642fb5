/**
 * What an earlier version had stored when it was killed with operations under way: every key of Redis that outlives a
 * process, and the states of the simulated chargers. One JSON document a line, in `fixtures`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chargerFolder } from '@khumbu/station-drivers/simulated/charger-state';
import { startRedis } from '@khumbu/test-support/redis';
import { Redis } from 'ioredis';

type Text = string | object;
type Stored = { readonly key: string; readonly ttlMs?: number } & (
  | { readonly type: 'string'; readonly value: Text }
  | { readonly type: 'hash'; readonly value: Readonly<Record<string, Text>> }
  | { readonly type: 'set'; readonly value: readonly string[] }
  | { readonly type: 'zset'; readonly value: Readonly<Record<string, string>> }
  | { readonly type: 'list'; readonly value: readonly Text[] }
  | { readonly type: 'stream'; readonly value: readonly (readonly [string, readonly Text[]])[] }
);
type Line =
  | { readonly writtenBy: string; readonly capturedAt: number }
  | Stored
  | { readonly charger: string; readonly value: object };

const FIXTURES = fileURLToPath(new URL('../../fixtures', import.meta.url));
/** Dates of a capture lie so far around it at the most. */
const AROUND_MS = 30 * 24 * 3600_000;
/** BullMQ keeps the date of a delayed job in the upper bits of its score. */
const DELAYED_FACTOR = 0x1000;

/** All dates in a text, in milliseconds and as RFC 3339, moved by so many milliseconds. */
function moveDates(text: string, capturedAt: number, byMs: number): string {
  const move = (digits: string): string =>
    Math.abs(Number(digits) - capturedAt) > AROUND_MS ? digits : String(Number(digits) + byMs);
  return text
    .replace(/(?<![\w-])\d{13}(?![\w-])/g, move)
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (date) => new Date(Date.parse(date) + byMs).toISOString());
}

interface Request {
  readonly requestId: number;
  readonly request: object;
}
const isRequest = (record: Text | undefined): record is Text & Request =>
  typeof record === 'object' && 'requestId' in record && 'request' in record;

const textOf = (value: Text): string => (typeof value === 'string' ? value : JSON.stringify(value));
const flat = (value: Readonly<Record<string, Text>>): string[] =>
  Object.entries(value).flatMap(([name, text]) => [name, textOf(text)]);

async function store(redis: Redis, stored: Stored, byMs: number): Promise<void> {
  const { key } = stored;
  switch (stored.type) {
    case 'string':
      await redis.set(key, textOf(stored.value));
      break;
    case 'hash':
      await redis.hset(key, ...flat(stored.value));
      break;
    case 'set':
      await redis.sadd(key, ...stored.value);
      break;
    case 'zset':
      for (const [member, score] of Object.entries(stored.value)) {
        const moved = key.endsWith(':delayed') ? String(Number(score) + byMs * DELAYED_FACTOR) : score;
        await redis.zadd(key, moved, member);
      }
      break;
    case 'list':
      await redis.rpush(key, ...stored.value.map(textOf));
      break;
    case 'stream':
      for (const [id, fields] of stored.value) await redis.xadd(key, id, ...fields.map(textOf));
  }
  if (stored.ttlMs !== undefined) await redis.pexpire(key, stored.ttlMs);
}

/**
 * Put it in place of what a depot has in this data folder; nothing of the depot may run. Afterwards it is as if the
 * earlier version had been killed `agoMs` ago. Resolves with the requests of its operations, by request id.
 */
export async function restoreWritten(
  writtenBy: string,
  dataDir: string,
  agoMs: number,
): Promise<ReadonlyMap<number, unknown>> {
  const text = readFileSync(join(FIXTURES, `written-by-${writtenBy}.jsonl`), 'utf8').trimEnd();
  const [head = '', ...rest] = text.split('\n');
  const { capturedAt } = JSON.parse(head) as { capturedAt: number };
  const byMs = Date.now() - agoMs - capturedAt;
  const lines = rest.map((line) => JSON.parse(moveDates(line, capturedAt, byMs)) as Line);
  const server = await startRedis({ dir: join(dataDir, 'redis') });
  const redis = new Redis(server.url);
  try {
    await redis.flushall();
    for (const line of lines) if ('key' in line) await store(redis, line, byMs);
  } finally {
    redis.disconnect();
    await server.stop();
  }
  for (const line of lines) {
    if (!('charger' in line)) continue;
    const folder = chargerFolder(join(dataDir, 'chargers'), line.charger);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'state.1.json'), JSON.stringify(line.value));
  }
  const records = lines.flatMap((line) => ('key' in line && line.type === 'hash' ? [line.value.data] : []));
  return new Map(records.filter(isRequest).map(({ requestId, request }) => [requestId, request]));
}
