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

export interface BrokerOptions {
  /** Where stations connect, and other clients that speak for one. */
  readonly port: number;
  /** Where gateways connect: stations that hold every connection of theirs do not keep a gateway out. */
  readonly gatewayPort: number;
  /** Whether messages may be retained; default `false`. */
  readonly retain?: boolean;
}

/** As many stations as can be simulated, and some that look on. */
const MAX_STATION_CONNECTIONS = 10_500;
/** Twice as many as gateways can be started. */
const MAX_GATEWAY_CONNECTIONS = 100;

/**
 * Without `set_tcp_nodelay` replies take 20 times longer. Sessions are saved on time, every 5 s, not on every change,
 * which would cost most of the throughput. Nobody needs a password, so no client id is anybody's own: gateways must use
 * one that cannot be guessed. What one client may cost is limited as in `infra/mosquitto/mosquitto.conf`, but for the
 * figures. Path of the file.
 */
export function writeMosquittoConfig(dataDir: DataDir, broker: BrokerOptions, extra: readonly string[] = []): string {
  const path = dataDir.at('mosquitto', 'mosquitto.conf');
  const lines = [
    'allow_anonymous true',
    'set_tcp_nodelay true',
    'persistence true',
    `persistence_location ${dataDir.at('mosquitto')}/`,
    'autosave_interval 5',
    'persistent_client_expiration 7d',
    'max_queued_messages 100000',
    // The gateway's queue is that of all stations: what one of them floods it with must not push out what others ask.
    'max_queued_bytes 268435456',
    // As many as the gateway takes at once; with fewer, requests wait here, where no deadline is seen to.
    'max_inflight_messages 512',
    'max_inflight_bytes 33554432',
    'message_size_limit 262144',
    // The payload, its topic and some properties.
    'max_packet_size 393216',
    'memory_limit 1073741824',
    `retain_available ${broker.retain ?? false}`,
    'max_keepalive 60',
    // Otherwise it becomes user mosquitto, which cannot enter the folders of root.
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    'log_dest stderr',
    'log_type error',
    'log_type warning',
    'log_type notice',
    'connection_messages false',
    ...extra,
    `listener ${broker.port} 127.0.0.1`,
    `max_connections ${MAX_STATION_CONNECTIONS}`,
    `listener ${broker.gatewayPort} 127.0.0.1`,
    `max_connections ${MAX_GATEWAY_CONNECTIONS}`,
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
