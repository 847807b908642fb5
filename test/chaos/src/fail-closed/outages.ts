/** The ways in which Redis can fail the depot, and how each ends. */
import { Redis } from 'ioredis';
import type { House } from '../house/house.js';

export interface Outage {
  readonly name: string;
  /** From when this resolves until `end` Redis takes no commit; `end` is called `lastsMs` later or somewhat more. */
  begin(house: House, lastsMs: number): Promise<void>;
  end(house: House): Promise<void>;
}

const eachCable = (house: House, act: (cable: ReturnType<House['cable']>) => Promise<void>): Promise<unknown> =>
  Promise.all(house.services.map((service) => act(house.cable(service, 'redis'))));

/** Redis settings that `MISCONF` needs may be changed at run time only where its own settings allow it. */
export const REDIS_CONFIG = ['enable-protected-configs yes', 'enable-debug-command yes'];

/** Redis loads its file so many microseconds a command: long enough for any outage here, ended by setting it to 0. */
const LOAD_DELAY_US = '5000';

/** What was asked last must be answered before Redis wakes. */
const SLEEP_MORE_MS = 3000;

/** Speaks with a Redis that is still loading, too. */
async function endLoading(house: House): Promise<void> {
  const { host = '127.0.0.1', port = 0 } = house.redis.options;
  const impatient = new Redis({ host, port, enableReadyCheck: false, maxRetriesPerRequest: null });
  impatient.on('error', () => undefined);
  await impatient.config('SET', 'key-load-delay', '0');
  impatient.disconnect();
  await house.resident('redis').awaitReady();
  await house.redis.config('REWRITE');
}

export const OUTAGES: readonly Outage[] = [
  {
    name: 'Redis frozen',
    begin: async (house) => house.resident('redis').freeze(),
    end: async (house) => house.resident('redis').thaw(),
  },
  {
    name: 'Redis stopped',
    begin: (house) => house.resident('redis').stop('SIGKILL'),
    end: (house) => house.resident('redis').start(),
  },
  {
    name: 'Redis full',
    begin: async (house) => void (await house.redis.config('SET', 'maxmemory', '100kb')),
    end: async (house) => void (await house.redis.config('SET', 'maxmemory', '0')),
  },
  {
    name: 'Redis refused to every process',
    begin: async (house) => void (await eachCable(house, (cable) => cable.refuse())),
    end: async (house) => void (await eachCable(house, (cable) => cable.mend())),
  },
  {
    name: 'Redis that takes no writes (NOREPLICAS)',
    begin: async (house) => void (await house.redis.config('SET', 'min-replicas-to-write', '1')),
    end: async (house) => void (await house.redis.config('SET', 'min-replicas-to-write', '0')),
  },
  {
    name: 'Redis read-only (a replica without its master)',
    begin: async (house) => void (await house.redis.replicaof('127.0.0.1', 1)),
    end: async (house) => void (await house.redis.replicaof('NO', 'ONE')),
  },
  {
    name: 'Redis that cannot write to its disk (MISCONF)',
    async begin(house) {
      await house.redis.config('SET', 'dir', '/proc');
      await house.redis.config('SET', 'save', '3600 1');
      await house.redis.bgsave();
      while (!(await house.redis.info('persistence')).includes('rdb_last_bgsave_status:err')) {
        // Asked again until the child has failed.
      }
    },
    async end(house) {
      await house.redis.config('SET', 'save', '');
      await house.redis.config('SET', 'dir', house.folders.redis);
    },
  },
  {
    name: 'Redis asleep in a command (DEBUG SLEEP)',
    async begin(house, lastsMs) {
      // Its end is the end of the sleep; `end` waits for it.
      void house.redis.call('DEBUG', 'SLEEP', String((lastsMs + SLEEP_MORE_MS) / 1000)).catch(() => undefined);
    },
    end: async (house) => void (await house.redis.ping()),
  },
  {
    name: 'Redis killed, and loading its file (LOADING)',
    async begin(house) {
      await house.redis.config('SET', 'key-load-delay', LOAD_DELAY_US);
      await house.redis.config('REWRITE');
      house.resident('redis').kill();
    },
    end: endLoading,
  },
];
