/** A gateway that chains as fast as it can, to be killed at any moment. REDIS_URL, KEY_PREFIX and HOLDER from the environment. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { keysFor } from '@khumbu/operations/records/keys';
import { createChainWriter } from '@khumbu/operations/security-log/chain-writer';
import { Redis } from 'ioredis';

const { REDIS_URL = '', KEY_PREFIX = '', HOLDER = '' } = process.env;
const redis = new Redis(REDIS_URL, { maxRetriesPerRequest: null });
const keys = keysFor(KEY_PREFIX);
const writer = createChainWriter({ redis, keys, holder: HOLDER, now: () => momentOf(Date.now()) });
process.stdout.write('begun\n');
for (;;) {
  await redis.set(keys.lease, HOLDER);
  await writer.round(new AbortController().signal);
}
