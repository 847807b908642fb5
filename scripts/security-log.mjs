/**
 * `npm run security-log -- export [--station STATION]`: the security log of the depot at REDIS_URL and KEY_PREFIX, a line an entry.
 * `npm run security-log -- verify [FILE] [--station STATION] [--anchor SEQUENCE:HASH]...`: whether it is whole, from the running depot or from an export.
 * An anchor is what was noted outside, as `securityLog` in the log of a gateway. Ends with 1 where something is wrong.
 */
import { main, prepare } from './prepare.mjs';

await main(async () => {
  await prepare();
  const { securityLogCommand } = await import('@khumbu/operations/security-log/command');
  const { keysFor } = await import('@khumbu/operations/records/keys');
  const { promptRedis } = await import('@khumbu/shared/runtime/redis');
  let redis;
  const depot = async () => {
    redis = promptRedis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', 10_000, () => undefined);
    await new Promise((resolve, reject) => redis.once('ready', resolve).once('error', reject));
    return { redis, keys: keysFor(process.env.KEY_PREFIX ?? 'khumbu') };
  };
  const write = (line) => process.stdout.write(`${line}\n`);
  try {
    process.exitCode = await securityLogCommand(process.argv.slice(2), { depot, write });
  } finally {
    redis?.disconnect();
  }
});
