/** A real Redis on a free loopback port, set up as in production: append-only, every write synced, no eviction. */
import { mkdir } from 'node:fs/promises';
import { answersOn } from '@khumbu/shared/runtime/free-port';
import { Redis } from 'ioredis';
import { startServer } from './server.js';

/** `dir` keeps the data; give the same one to start where an earlier server ended. */
export async function startRedis({ dir, port }: { readonly dir: string; readonly port?: number }) {
  await mkdir(dir, { recursive: true });
  const lasting = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
  const server = await startServer(
    {
      command: 'redis-server',
      args: (at) =>
        ['--port', String(at), '--bind', '127.0.0.1', '--dir', dir, '--maxmemory-policy', 'noeviction'].concat(lasting),
      // While it loads its file it answers -LOADING.
      answers: (at) => answersOn(at, 'PING\r\n', '+PONG'),
    },
    port,
  );
  return Object.assign(server, { url: `redis://127.0.0.1:${server.port}` });
}
export type RedisServer = Awaited<ReturnType<typeof startRedis>>;

/** The same with a client; both end with the test. */
export async function openRedis(
  test: { teardown(clean: () => unknown): void },
  dir: string,
): Promise<{ server: RedisServer; redis: Redis }> {
  const server = await startRedis({ dir });
  const redis = new Redis(server.url);
  test.teardown(async () => {
    redis.disconnect();
    await server.stop();
  });
  return { server, redis };
}
