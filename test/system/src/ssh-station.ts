/** How a station behind a test's SSH server is reached: the part of `driver` that is the same for every profile. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { Sshd } from '@khumbu/test-support/sshd';

export const overSsh = (sshd: Sshd) =>
  ({
    transport: 'ssh',
    host: '127.0.0.1',
    port: sshd.port,
    user: sshd.user,
    private_key_file: sshd.privateKeyFile,
    known_hosts_file: sshd.knownHostsFile,
  }) as const satisfies Partial<RealDriverEntry>;
