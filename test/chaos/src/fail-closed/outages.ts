/** The ways in which Redis can fail the depot, and how each ends. */
import { Redis } from 'ioredis';
import type { Depot } from '../depot/depot.js';

export interface Outage {
  readonly name: string;
  /** From when this resolves until `end` Redis takes no commit; `end` is called `lastsMs` later or somewhat more. */
  begin(depot: Depot, lastsMs: number): Promise<void>;
  end(depot: Depot): Promise<void>;
}

const eachProxy = (depot: Depot, act: (proxy: ReturnType<Depot['proxy']>) => Promise<void>): Promise<unknown> =>
  Promise.all(depot.services.map((service) => act(depot.proxy(service, 'redis'))));

/** Redis settings that `MISCONF` needs may be changed at run time only where its own settings allow it. */
export const REDIS_CONFIG = ['enable-protected-configs yes', 'enable-debug-command yes'];

/** Redis loads its file so many microseconds a command: long enough for any outage here, ended by setting it to 0. */
const LOAD_DELAY_US = '5000';

/** What was asked last must be answered before Redis wakes. */
const SLEEP_MORE_MS = 3000;

/** Speaks with a Redis that is still loading, too. */
async function endLoading(depot: Depot): Promise<void> {
  const { host = '127.0.0.1', port = 0 } = depot.redis.options;
  const impatient = new Redis({ host, port, enableReadyCheck: false, maxRetriesPerRequest: null });
  impatient.on('error', () => undefined);
  await impatient.config('SET', 'key-load-delay', '0');
  impatient.disconnect();
  await depot.process('redis').awaitReady();
  await depot.redis.config('REWRITE');
}

export const OUTAGES: readonly Outage[] = [
  {
    name: 'Redis frozen',
    begin: async (depot) => depot.process('redis').freeze(),
    end: async (depot) => depot.process('redis').thaw(),
  },
  {
    name: 'Redis stopped',
    begin: (depot) => depot.process('redis').stop('SIGKILL'),
    end: (depot) => depot.process('redis').start(),
  },
  {
    name: 'Redis full',
    begin: async (depot) => void (await depot.redis.config('SET', 'maxmemory', '100kb')),
    end: async (depot) => void (await depot.redis.config('SET', 'maxmemory', '0')),
  },
  {
    name: 'Redis refused to every process',
    begin: async (depot) => void (await eachProxy(depot, (proxy) => proxy.refuse())),
    end: async (depot) => void (await eachProxy(depot, (proxy) => proxy.mend())),
  },
  {
    name: 'Redis that takes no writes (NOREPLICAS)',
    begin: async (depot) => void (await depot.redis.config('SET', 'min-replicas-to-write', '1')),
    end: async (depot) => void (await depot.redis.config('SET', 'min-replicas-to-write', '0')),
  },
  {
    name: 'Redis read-only (a replica without its master)',
    begin: async (depot) => void (await depot.redis.replicaof('127.0.0.1', 1)),
    end: async (depot) => void (await depot.redis.replicaof('NO', 'ONE')),
  },
  {
    name: 'Redis that cannot write to its disk (MISCONF)',
    async begin(depot) {
      await depot.redis.config('SET', 'dir', '/proc');
      await depot.redis.config('SET', 'save', '3600 1');
      await depot.redis.bgsave();
      while (!(await depot.redis.info('persistence')).includes('rdb_last_bgsave_status:err')) {
        // Asked again until the child has failed.
      }
    },
    async end(depot) {
      await depot.redis.config('SET', 'save', '');
      await depot.redis.config('SET', 'dir', depot.folders.redis);
    },
  },
  {
    name: 'Redis asleep in a command (DEBUG SLEEP)',
    async begin(depot, lastsMs) {
      // Its end is the end of the sleep; `end` waits for it.
      void depot.redis.call('DEBUG', 'SLEEP', String((lastsMs + SLEEP_MORE_MS) / 1000)).catch(() => undefined);
    },
    end: async (depot) => void (await depot.redis.ping()),
  },
  {
    name: 'Redis killed, and loading its file (LOADING)',
    async begin(depot) {
      await depot.redis.config('SET', 'key-load-delay', LOAD_DELAY_US);
      await depot.redis.config('REWRITE');
      depot.process('redis').kill();
    },
    end: endLoading,
  },
];
