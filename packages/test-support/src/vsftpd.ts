/** A real FTP server on a free loopback port: vsftpd. It and ProFTPD cannot be installed side by side, so neither is. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answersOn } from '@khumbu/shared/runtime/free-port';
import { type Account, hasAccounts, makeAccount } from './accounts.js';
import type { IssuedCertificate } from './certificates.js';
import { type DebianFiles, debianFiles, FTP_SERVERS } from './debian-files.js';
import { type ServerProgram, startServer } from './server.js';

export interface FtpServerOptions {
  /** For its files. All folders above it must be open to everybody. */
  readonly dir: string;
  readonly user?: string;
  readonly password?: string;
  /** Serves TLS with it: explicit, and beside it plain. */
  readonly certificate?: IssuedCertificate;
  /** TLS from the first byte on. */
  readonly isImplicit?: boolean;
  /** More lines of its config file; the last of several counts. */
  readonly config?: readonly string[];
  readonly address?: '127.0.0.1' | '::1';
  readonly port?: number;
}

export interface FtpServer extends ServerProgram, Pick<Account, 'user' | 'password' | 'home' | 'id'> {
  /** The lines of its log that begin a command of a client, in order: `REST 5`. Not the password. */
  commands(): Promise<string[]>;
}

/** Why there is none; `undefined` when there is one. */
export async function whyNoVsftpd(): Promise<string | undefined> {
  if (!hasAccounts()) return 'mounts of our own are not possible';
  const files = await debianFiles(FTP_SERVERS.vsftpd);
  return typeof files === 'string' ? files : undefined;
}

async function filesOrThrow(packages: readonly string[]): Promise<DebianFiles> {
  const files = await debianFiles(packages);
  if (typeof files === 'string') throw new Error(files);
  return files;
}

const tlsLines = (certificate: IssuedCertificate, isImplicit: boolean): string[] => [
  'ssl_enable=YES',
  `rsa_cert_file=${certificate.certificateFile}`,
  `rsa_private_key_file=${certificate.keyFile}`,
  `force_local_logins_ssl=${isImplicit ? 'YES' : 'NO'}`,
  `force_local_data_ssl=${isImplicit ? 'YES' : 'NO'}`,
  'ssl_ciphers=HIGH',
  // As it is shipped.
  'require_ssl_reuse=YES',
  ...(isImplicit ? ['implicit_ssl=YES'] : []),
];

export async function startVsftpd(options: FtpServerOptions): Promise<FtpServer> {
  const { dir, user = 'fw', password = 'secret', certificate, isImplicit = false, config = [] } = options;
  const { root, libraries } = await filesOrThrow(FTP_SERVERS.vsftpd);
  await mkdir(join(dir, 'empty'), { recursive: true });
  const account = await makeAccount(dir, user, password);
  const log = join(dir, 'vsftpd.log');
  const fileOf = (port: number): string => join(dir, `vsftpd-${port}.conf`);
  const listens =
    options.address === '::1'
      ? ['listen=NO', 'listen_ipv6=YES', 'listen_address6=::1']
      : ['listen=YES', 'listen_address=127.0.0.1'];
  const textOf = (port: number): string =>
    [
      ...listens,
      `listen_port=${port}`,
      'background=NO',
      'anonymous_enable=NO',
      'local_enable=YES',
      'write_enable=YES',
      `pam_service_name=${account.pamService}`,
      // Neither is allowed in every container.
      'seccomp_sandbox=NO',
      'isolate=NO',
      'isolate_network=NO',
      `secure_chroot_dir=${join(dir, 'empty')}`,
      'xferlog_enable=YES',
      'log_ftp_protocol=YES',
      `vsftpd_log_file=${log}`,
      ...(certificate ? tlsLines(certificate, isImplicit) : []),
      ...config,
      '',
    ].join('\n');
  const [command, ...enter] = account.enter;
  const server = await startServer(
    {
      command,
      args: (port) => [...enter, 'env', `LD_LIBRARY_PATH=${libraries}`, join(root, 'usr/sbin/vsftpd'), fileOf(port)],
      async prepare(port) {
        await writeFile(fileOf(port), textOf(port));
        await chmod(fileOf(port), 0o644);
      },
      answers: (port) => answersOn(port, '', '', options.address),
    },
    options.port,
  );
  return Object.assign(server, {
    user,
    password,
    home: account.home,
    id: account.id,
    async commands() {
      const text = await readFile(log, 'utf8').catch(() => '');
      return [...text.matchAll(/FTP command: Client "[^"]*", "([^"\n]*)"/g)].map(([, line = '']) => line);
    },
  });
}
