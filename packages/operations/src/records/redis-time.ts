import type { Redis } from 'ioredis';

/** The clock of the Redis server, which all processes share. Milliseconds since 1970; jumps when that host's clock does. */
export async function redisTimeMs(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}
