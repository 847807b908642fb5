/** Where a station is reached by SSH, and as whom. */
export interface SshTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly knownHostsFile: string;
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

/** Equal for targets that can share a connection. */
export const targetKey = (target: SshTarget): string => JSON.stringify(target);
