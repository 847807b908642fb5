/** Redis: everything that was accepted is there. */
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';
import type { RedisFacts, Sight } from '../sight.js';

const OLDEST = [6, 2] as const;
/** Beyond it, soon nothing is taken any more. */
const FULL = 0.9;
const { ok, warning, wrong, unknown } = about('redis');

function judgeVersion(version: string): Finding[] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNew = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
  if (isNew) return [];
  return [wrong(`Redis ${version || 'of an unknown version'} is too old`, 'install Redis 6.2 or newer, or Valkey')];
}

function judgePersistence({ info, appendfsync }: RedisFacts): Finding[] {
  if (info.aof_enabled !== '1')
    return [
      wrong(
        'Redis keeps nothing over a power cut: its append-only file is off',
        'redis-cli CONFIG SET appendonly yes, and "appendonly yes" and "appendfsync always" in redis.conf',
      ),
    ];
  const broken = info.aof_last_write_status === 'err' || info.aof_last_bgrewrite_status === 'err';
  const failed = broken
    ? [wrong('Redis could not write its append-only file', 'its log says why: mostly the disk is full or read-only')]
    : [];
  if (appendfsync === undefined)
    return [
      ...failed,
      unknown('whether Redis syncs every write: CONFIG may not be asked', 'appendfsync must be always'),
    ];
  if (appendfsync === 'always') return failed;
  return [
    ...failed,
    warning(
      `appendfsync is ${appendfsync}: up to a second of what was accepted is lost in a power cut`,
      'redis-cli CONFIG SET appendfsync always, and the same in redis.conf',
    ),
  ];
}

function judgeMemory({ info }: RedisFacts): Finding[] {
  const policy = info.maxmemory_policy ?? 'noeviction';
  const evicts =
    policy === 'noeviction'
      ? []
      : [
          wrong(
            `maxmemory-policy is ${policy}: Redis would drop records when memory is short`,
            'redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf',
          ),
        ];
  const limit = Number(info.maxmemory ?? 0);
  const used = Number(info.used_memory ?? 0);
  if (limit === 0 || used < limit * FULL) return evicts;
  return [...evicts, warning('Redis has used nine tenths of its memory', 'raise maxmemory in redis.conf')];
}

function judgeRole({ info }: RedisFacts): Finding[] {
  const replica =
    info.role === 'slave'
      ? [wrong('this Redis is a replica: it takes no writes', 'REDIS_URL must name the master')]
      : [];
  const cluster =
    info.cluster_enabled === '1'
      ? [
          wrong(
            'Redis Cluster is not supported: one script touches several keys',
            'use one Redis, with replicas if wanted',
          ),
        ]
      : [];
  const loading =
    info.loading === '1' ? [warning('Redis is still loading its data', 'wait: it takes no requests yet')] : [];
  return [...replica, ...cluster, ...loading];
}

/** Pure. */
export function judgeRedis(facts: RedisFacts): Finding[] {
  const { info } = facts;
  const version = info.redis_version ?? '';
  const found = [...judgeVersion(version), ...judgePersistence(facts), ...judgeMemory(facts), ...judgeRole(facts)];
  return found.length > 0 ? found : [ok(`Redis ${version}: every write is synced, nothing is evicted`)];
}

/** What to do about a connection that did not come about. Pure. */
function remedyOf(error: unknown): string {
  const text = describeError(error);
  if (/WRONGPASS|NOAUTH|NOPERM/.test(text)) return 'REDIS_URL (or REDIS_URL_FILE) needs its user and password';
  if (hasCode(error, 'ENOTFOUND', 'EAI_AGAIN')) return 'the host name in REDIS_URL is not known here';
  if (hasCode(error, 'ECONNREFUSED')) return 'start it (systemctl start redis-server), or correct REDIS_URL';
  return 'is it there, and is REDIS_URL right? rediss:// is for TLS';
}

export async function lookAtRedis({ gateway }: Place, sight: Sight): Promise<Finding[]> {
  if (!gateway) return [];
  try {
    return judgeRedis(await sight.redis(gateway.REDIS_URL));
  } catch (error) {
    return [wrong(`Redis is away: ${describeError(error)}`, remedyOf(error))];
  }
}
