/** An entry of the stations file as the driver uses it, every default filled in. Pure. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { SshTarget } from '../transports/ssh/target.js';

export interface Limits {
  readonly connectS: number;
  readonly keepAliveS: number;
  readonly commandS: number;
  readonly transferStallS: number;
  readonly installS: number;
  readonly rebootS: number;
  readonly restartS: number;
  readonly logsS: number;
}

export const limitsOf = ({ limits = {} }: RealDriverEntry): Limits => ({
  connectS: limits.connect_s ?? 10,
  keepAliveS: limits.keep_alive_s ?? 4,
  commandS: limits.command_s ?? 60,
  transferStallS: limits.transfer_stall_s ?? 60,
  installS: limits.install_s ?? 3600,
  rebootS: limits.reboot_s ?? 600,
  restartS: limits.restart_s ?? 300,
  logsS: limits.logs_s ?? 3600,
});

type Login = Pick<
  RealDriverEntry,
  'host' | 'port' | 'user' | 'private_key_file' | 'agent_socket' | 'known_hosts_file' | 'host_key_alias'
>;

/** Throws a TypeError for an entry that the schema of the stations file does not let through. */
function loginOf(login: Login, { connectS, keepAliveS }: Limits): SshTarget {
  const { host, user, known_hosts_file: knownHostsFile } = login;
  if (host === undefined || user === undefined || knownHostsFile === undefined)
    throw new TypeError('a station that is reached by ssh has host, user and known_hosts_file');
  return {
    host,
    port: login.port ?? 22,
    user,
    knownHostsFile,
    ...(login.host_key_alias === undefined ? {} : { hostKeyAlias: login.host_key_alias }),
    ...(login.private_key_file === undefined ? {} : { privateKeyFile: login.private_key_file }),
    ...(login.agent_socket === undefined ? {} : { agentSocket: login.agent_socket }),
    connectMs: connectS * 1000,
    keepAliveMs: keepAliveS * 1000,
  };
}

export function sshTargetOf(entry: RealDriverEntry, limits: Limits, station?: string): SshTarget {
  const whose = station === undefined ? {} : { station };
  const jump = entry.jump ? { jump: { ...loginOf(entry.jump, limits), ...whose } } : {};
  return { ...loginOf(entry, limits), ...whose, ...jump };
}
