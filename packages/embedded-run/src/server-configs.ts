/** Config files of the servers we start, and where their programs expect them. */
import { writeFileSync } from 'node:fs';
import type { DataDir } from './data-dir.js';

/**
 * Redis keeps accepted work through a power cut: every write is synced before it is answered. `extra`: more lines. Path of
 * the file.
 */
export function writeRedisConfig(dataDir: DataDir, port: number, extra: readonly string[] = []): string {
  const path = dataDir.at('redis', 'redis.conf');
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `dir ${JSON.stringify(dataDir.at('redis'))}`,
    'appendonly yes',
    'appendfsync always',
    'maxmemory-policy noeviction',
    'save ""',
    'daemonize no',
    'logfile ""',
    ...extra,
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/**
 * Without `set_tcp_nodelay` replies take 20 times longer. Sessions are saved on time, every 5 s, not on every change,
 * which would cost most of the throughput. Path of the file.
 */
export function writeMosquittoConfig(dataDir: DataDir, port: number, extra: readonly string[] = []): string {
  const path = dataDir.at('mosquitto', 'mosquitto.conf');
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'set_tcp_nodelay true',
    'persistence true',
    `persistence_location ${dataDir.at('mosquitto')}/`,
    'autosave_interval 5',
    'max_queued_messages 100000',
    // As many as the gateway takes at once; with fewer, requests wait here, where no deadline is seen to.
    'max_inflight_messages 512',
    'message_size_limit 262144',
    // Otherwise it becomes user mosquitto, which cannot enter the folders of root.
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    'log_dest stderr',
    'log_type error',
    'log_type warning',
    'log_type notice',
    'connection_messages false',
    ...extra,
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
