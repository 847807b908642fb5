/** What a Redis says of itself. */
import { Redis } from 'ioredis';
import type { RedisFacts } from './sight.js';

const PATIENCE_MS = 3000;

/** Lines of INFO as members. Pure. */
const infoOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    text.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(':');
      return colon > 0 && !line.startsWith('#') ? [[line.slice(0, colon), line.slice(colon + 1)]] : [];
    }),
  );

/** Rejects with what keeps us from it. */
export async function lookAtRedisAt(url: string): Promise<RedisFacts> {
  const redis = new Redis(url, {
    lazyConnect: true,
    // While it loads, that is what it shall say.
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    connectTimeout: PATIENCE_MS,
    commandTimeout: PATIENCE_MS,
    retryStrategy: () => null,
  });
  let reason: Error | undefined;
  redis.on('error', (error) => {
    reason ??= error;
  });
  try {
    await redis.connect();
    const info = infoOf(await redis.info());
    const [seconds = 0, micros = 0] = (await redis.time()).map(Number);
    const clockOffsetMs = seconds * 1000 + micros / 1000 - Date.now();
    // Users may have been denied it.
    const config = await redis.config('GET', 'appendfsync').catch(() => undefined);
    const [, appendfsync] = (config ?? []) as string[];
    return { info, clockOffsetMs, ...(appendfsync === undefined ? {} : { appendfsync }) };
  } catch (error) {
    throw reason ?? error;
  } finally {
    redis.disconnect();
  }
}
