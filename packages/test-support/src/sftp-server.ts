/** A real SFTP server with a user of its own, by password and by key: OpenSSH. */
import { chmodSync, mkdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Account, makeAccount } from './accounts.js';
import { type ServerProgram, startServer } from './server.js';
import { type SshdLogin, sshdFiles } from './sshd.js';

export interface SftpServer extends ServerProgram, SshdLogin, Pick<Account, 'home' | 'id' | 'password'> {}

export interface SftpServerOptions {
  /** For its files. All folders above it must be open to everybody. */
  readonly dir: string;
  readonly user?: string;
  readonly password?: string;
  /** More lines of its config file; the first of several counts. */
  readonly config?: readonly string[];
}

/** Where `hasSshd` and `hasAccounts` hold. */
export async function startSftpServer({
  dir,
  user = 'fw',
  password = 'secret',
  config = [],
}: SftpServerOptions): Promise<SftpServer> {
  const own = join(dir, 'sshd');
  await mkdir(own, { recursive: true });
  const account = await makeAccount(join(dir, 'account'), user, password);
  const { login, ...recipe } = await sshdFiles({
    dir: own,
    config: [...config, 'PasswordAuthentication yes', 'Subsystem sftp internal-sftp', `SetEnv HOME=${account.home}`],
  });
  // The user reads whom it lets in.
  chmodSync(own, 0o755);
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const [command, ...enter] = account.enter;
  const server = await startServer({
    ...recipe,
    command,
    args: (port) => [...enter, recipe.command, ...recipe.args(port)],
  });
  return Object.assign(server, { ...login, user, password, home: account.home, id: account.id });
}
