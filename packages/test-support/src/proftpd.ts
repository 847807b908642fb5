/** A real FTP server on a free loopback port: ProFTPD, with users of its own. */

import { chownSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answersOn } from '@khumbu/shared/runtime/free-port';
import { cryptOf } from './accounts.js';
import type { IssuedCertificate } from './certificates.js';
import { debianFiles, FTP_SERVERS } from './debian-files.js';
import { startServer } from './server.js';
import type { FtpServer, FtpServerOptions } from './vsftpd.js';

const ID = 61_234;

/** Why there is none; `undefined` when there is one. */
export async function whyNoProftpd(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'ProFTPD wants to be started as root';
  const files = await debianFiles(FTP_SERVERS.proftpd);
  return typeof files === 'string' ? files : undefined;
}

const tlsLines = ({ certificateFile, keyFile }: IssuedCertificate, isImplicit: boolean): string[] => [
  'LoadModule mod_tls.c',
  'TLSEngine on',
  `TLSRequired ${isImplicit ? 'on' : 'off'}`,
  `TLSECCertificateFile ${certificateFile}`,
  `TLSECCertificateKeyFile ${keyFile}`,
  'TLSProtocol TLSv1.2 TLSv1.3',
  ...(isImplicit ? ['TLSOptions UseImplicitSSL'] : []),
];

export async function startProftpd(options: FtpServerOptions): Promise<FtpServer> {
  const { dir, user = 'fw', password = 'secret', certificate, isImplicit = false, config = [] } = options;
  const files = await debianFiles(FTP_SERVERS.proftpd);
  if (typeof files === 'string') throw new Error(files);
  const { root, libraries } = files;
  const home = join(dir, 'home');
  await mkdir(home, { recursive: true });
  for (const folder of [dir, home]) await chmod(folder, 0o755);
  chownSync(home, ID, ID);
  const [users, groups, log] = ['users', 'groups', 'commands.log'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(users, `${user}:${cryptOf(password)}:${ID}:${ID}::${home}:/bin/sh\n`);
  await writeFile(groups, `${user}:x:${ID}:\n`);
  for (const file of [users, groups]) await chmod(file, 0o600);
  const fileOf = (port: number): string => join(dir, `proftpd-${port}.conf`);
  const textOf = (port: number): string =>
    [
      `ModulePath ${join(root, 'usr/lib/proftpd')}`,
      'ServerType standalone',
      'ServerName test',
      'DefaultServer on',
      `Port ${port}`,
      `DefaultAddress ${options.address ?? '127.0.0.1'}`,
      'SocketBindTight on',
      `UseIPv6 ${options.address === '::1' ? 'on' : 'off'}`,
      'User nobody',
      'Group nogroup',
      `PidFile ${join(dir, 'pid')}`,
      `ScoreboardFile ${join(dir, 'scoreboard')}`,
      'DelayTable none',
      'DelayEngine off',
      'UseReverseDNS off',
      'WtmpLog off',
      'TransferLog NONE',
      'LogFormat plain "%r"',
      `ExtendedLog ${log} ALL plain`,
      'AuthOrder mod_auth_file.c',
      `AuthUserFile ${users}`,
      `AuthGroupFile ${groups}`,
      'RequireValidShell off',
      'AllowOverwrite on',
      ...(certificate ? tlsLines(certificate, isImplicit) : []),
      ...config,
      '',
    ].join('\n');
  const server = await startServer(
    {
      command: 'env',
      args: (port) => [`LD_LIBRARY_PATH=${libraries}`, join(root, 'usr/sbin/proftpd'), '-n', '-q', '-c', fileOf(port)],
      prepare: (port) => writeFile(fileOf(port), textOf(port)),
      answers: (port) => answersOn(port, '', '', options.address),
    },
    options.port,
  );
  return Object.assign(server, {
    user,
    password,
    home,
    id: ID,
    async commands() {
      const text = await readFile(log, 'utf8').catch(() => '');
      return text.split('\n').filter((line) => line !== '');
    },
  });
}
