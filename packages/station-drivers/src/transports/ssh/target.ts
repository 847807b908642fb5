/** Where a station is reached by SSH, and as whom. */
export interface SshTarget {
  /** Whose it is, for who looks after logins. */
  readonly station?: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly knownHostsFile: string;
  /** The name its key is pinned under, where the address says nothing of who answers there. ssh_config(5), HostKeyAlias. */
  readonly hostKeyAlias?: string;
  readonly privateKeyFile?: string;
  /** Socket of an ssh-agent. */
  readonly agentSocket?: string;
  /** The host by which it is reached. */
  readonly jump?: SshTarget;
  /** From the first packet to a session that can be used. */
  readonly connectMs: number;
  /** A host is taken for dead when it answered nothing for up to three of these. */
  readonly keepAliveMs: number;
}

export const targetName = ({ user, host, port }: SshTarget): string => `${user}@${host}:${port}`;

/** Host and port as known_hosts names them: an alias stands there without a port. */
export const pinnedAs = ({
  host,
  port,
  hostKeyAlias,
}: Pick<SshTarget, 'host' | 'port' | 'hostKeyAlias'>): { readonly host: string; readonly port: number } =>
  hostKeyAlias === undefined ? { host, port } : { host: hostKeyAlias, port: 22 };

/** Equal for targets that can share a connection. */
export const targetKey = (target: SshTarget): string =>
  JSON.stringify(target, (name, value: unknown) => (name === 'station' ? undefined : value));
