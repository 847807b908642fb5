/** Everything that is stored about some stations and their operations, as one comparable value. */
import type { Redis } from 'ioredis';

export type Fingerprint = Readonly<Record<string, string>>;

/** A sign of life is no change. */
const FLEETING = ['lastSeenAt', 'commit'];

const sorted = (fields: Readonly<Record<string, string>>): string =>
  JSON.stringify(
    Object.entries(fields)
      // The next leader counts on a clock of its own.
      .map(([name, value]) => [name, name === 'heartbeat' ? value.replace(/,.*/, '') : value] as const)
      .filter(([name]) => !FLEETING.includes(name))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

async function keysLike(redis: Redis, pattern: string): Promise<string[]> {
  const keys: string[] = [];
  let cursor = '0';
  do {
    const [next, found] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 1000);
    keys.push(...found);
    cursor = next;
  } while (cursor !== '0');
  return keys.sort();
}

/** All records; slots, outboxes and answers of these stations; jobs. */
export async function fingerprint(redis: Redis, stations: readonly string[]): Promise<Fingerprint> {
  const print: Record<string, string> = {};
  for (const key of await keysLike(redis, 'khumbu:record:*')) print[key] = sorted(await redis.hgetall(key));
  for (const station of stations) {
    const key = `khumbu:station:${station}`;
    print[key] = sorted(await redis.hgetall(key));
    const outbox = `khumbu:outbox:${station}`;
    print[outbox] = JSON.stringify(await redis.lrange(outbox, 0, -1));
    const answers = await keysLike(redis, `khumbu:answer:${station}:*`);
    print[`answers of ${station}`] = answers.join(' ');
  }
  for (const set of ['open', 'ended']) print[set] = (await redis.zrange(`khumbu:${set}`, '0', '-1')).join(' ');
  return print;
}

/** What is different, in words; an answer that expired in the meantime is none. */
export function differences(before: Fingerprint, after: Fingerprint): string[] {
  const found: string[] = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (before[key] === after[key]) continue;
    const gone = new Set((before[key] ?? '').split(' '));
    if (key.startsWith('answers of') && (after[key] ?? '').split(' ').every((name) => name === '' || gone.has(name)))
      continue;
    found.push(`${key}: ${before[key] ?? 'absent'} became ${after[key] ?? 'absent'}`.slice(0, 1500));
  }
  return found;
}

/** How many keys there are, by what they hold. */
export async function keyCounts(redis: Redis): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const key of await keysLike(redis, '*')) {
    const name = key.split(':').slice(0, 2).join(':');
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
