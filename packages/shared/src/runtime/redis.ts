/** Two recipes for a Redis connection. */
import { Redis } from 'ioredis';

const reconnectAfterMs = (attempt: number): number => Math.min(50 * attempt, 1000);

/**
 * For workers: calls wait until Redis is there. Commands whose reply was lost are sent again, which commits notice by
 * their mark. `onError` is called for every failed connection.
 */
export function patientRedis(url: string, onError: (error: Error) => void): Redis {
  const redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: reconnectAfterMs, keepAlive: 5000 });
  redis.on('error', onError);
  return redis;
}

/**
 * For the intake: a call that cannot be done now fails now. Nothing waits in a queue and nothing is sent again,
 * because what has been answered by default must not be executed later. A call that times out may still have been
 * executed.
 */
export function promptRedis(url: string, commandTimeoutMs: number, onError: (error: Error) => void): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    // No automatic pipelining: it sends nothing before all of the last batch is answered, a synced write each time.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: commandTimeoutMs,
    connectTimeout: commandTimeoutMs,
    retryStrategy: (attempt) => Math.min(50 * attempt, 500),
    keepAlive: 5000,
  });
  redis.on('error', onError);
  return redis;
}
