/** A real Redis on a free loopback port, set up as in production: append-only, every write synced, no eviction. */
import { mkdir } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { answersOn, type ServerProgram, startServer } from './server.js';

export interface RedisServer extends ServerProgram {
  readonly url: string;
}

/** `dir` keeps the data; give the same one to start where an earlier server ended. */
export async function startRedis(options: { readonly dir: string; readonly port?: number }): Promise<RedisServer> {
  await mkdir(options.dir, { recursive: true });
  const settings = {
    bind: '127.0.0.1',
    dir: options.dir,
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    save: '',
  };
  const server = await startServer(
    {
      command: 'redis-server',
      args: (port) => [
        '--port',
        String(port),
        ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      ],
      // While it loads its file it answers -LOADING.
      answers: (port) => answersOn(port, 'PING\r\n', '+PONG'),
    },
    options.port,
  );
  return Object.assign(server, { url: `redis://127.0.0.1:${server.port}` });
}

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
