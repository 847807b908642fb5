/** Faults of FTP and SFTP servers: what replies mean by a scripted one, and how the real ones say it. */
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { type FtpScript, ScriptedFtp } from '@khumbu/test-support/scripted-ftp';
import { startSftpServer } from '@khumbu/test-support/sftp-server';
import { mountSmallDisk } from '@khumbu/test-support/small-disk';
import { makeKey } from '@khumbu/test-support/sshd';
import { startVsftpd } from '@khumbu/test-support/vsftpd';
import type { Test } from 'tap';
import { type Fault, final, type Played, passing } from './fault.js';

const PASSWORD = 'hush';

/** A 4xx or 5xx in place of its own reply to one command. */
const replies = (command: string, reply: string): FtpScript => ({
  answer: (given) => (given === command ? reply : undefined),
});

export async function ftpFaults(t: Test): Promise<readonly Fault[]> {
  const server = await ScriptedFtp.start();
  t.teardown(() => server.stop());
  let count = 0;
  const scripted =
    (script: FtpScript, context = {}) =>
    (): Played => {
      const name = `fault-${++count}.tar.gz`;
      server.script = script;
      return {
        broken: { location: `ftp://fw:${PASSWORD}@127.0.0.1:${server.port}/${name}`, context },
        mend: () => {
          server.script = {};
          return { context: {} };
        },
        arrived: () => server.files.get(name)?.bytes ?? Buffer.alloc(0),
      };
    };
  const ftp = (status: Parameters<typeof final>[1], reason: string, fault: string, script: FtpScript): Fault =>
    final(fault, status, reason, scripted(script));
  return [
    passing('FTP 421: too many users', 'remote_busy', scripted({ greeting: '421 too many users' })),
    passing('FTP 425: no data connection', 'connection', scripted(replies('STOR', '425 no data connection'))),
    passing('FTP 426: the transfer was cut', 'connection', scripted({ refuseAt: { bytes: 10_000, reply: '426 cut' } })),
    passing('FTP 450: the file is busy', 'ftp_450', scripted(replies('STOR', '450 busy'))),
    passing('FTP 451: an error of its own', 'ftp_451', scripted({ refuseAt: { bytes: 10_000, reply: '451 error' } })),
    passing(
      'FTP 452: the disk there is full',
      'remote_full',
      scripted({ refuseAt: { bytes: 10_000, reply: '452 full' } }),
    ),
    passing('FTP 552: the quota there is used up', 'remote_full', scripted(replies('STOR', '552 quota exceeded'))),
    passing('FTP: bytes are lost, and 226 all the same', 'not_whole', scripted({ loses: 100 })),
    passing('FTP: nothing is said to STOR', 'connection', scripted(replies('STOR', ''), { stallMs: 300 })),
    ftp('PermissionDenied', 'login_refused', 'FTP 530: not logged in', replies('PASS', '530 Login incorrect.')),
    ftp(
      'NotSupportedOperation',
      'tls_required',
      'FTP 550: it wants TLS',
      replies('USER', '550 SSL/TLS required on the control channel'),
    ),
    ftp('NotSupportedOperation', 'ftp_502', 'FTP 502: it has no STOR', replies('STOR', '502 not implemented')),
    ftp('NotSupportedOperation', 'size_unknown', 'FTP 502: it has no SIZE', replies('SIZE', '502 not implemented')),
  ];
}

/** A real vsftpd and a real OpenSSH, each with a user of its own. `dir`: open to everybody, as all above it. */
export async function realServerFaults(t: Test, dir: string): Promise<readonly Fault[]> {
  // Before the server is there: its mounts are its own.
  const disk = await mountSmallDisk(t, join(dir, 'sftp/account/home'), 4_000_000);
  const ftp = await startVsftpd({ dir: join(dir, 'ftp'), password: PASSWORD });
  const sftp = await startSftpServer({ dir: join(dir, 'sftp'), password: PASSWORD });
  t.teardown(() => Promise.all([ftp.stop(), sftp.stop()]));
  const knownHosts = readFileSync(sftp.knownHostsFile, 'utf8');
  const other = join(dir, 'other-key');
  makeKey(other);
  const [, keyType = '', key = ''] = readFileSync(`${other}.pub`, 'utf8').match(/^(\S+) (\S+)/) ?? [];
  for (const home of [ftp.home, sftp.home]) {
    mkdirSync(join(home, 'closed'));
    chmodSync(join(home, 'closed'), 0o755);
  }
  let count = 0;
  const at =
    (server: { readonly home: string; readonly port: number }, scheme: string, home: string) =>
    (login: string, folder = '', context: object = { knownHosts }, mended: object = { knownHosts }) =>
    (): Played => {
      const name = `real-${++count}.tar.gz`;
      const place = (user: string, where: string): string =>
        `${scheme}://${user}@127.0.0.1:${server.port}${home}${where}/${name}`;
      return {
        broken: { location: place(login, folder), context },
        mend: () => ({ location: place(`fw:${PASSWORD}`, ''), context: mended }),
        arrived: () => readFileSync(join(server.home, name)),
      };
    };
  const onFtp = at(ftp, 'ftp', '');
  const onSftp = at(sftp, 'sftp', '/~');
  const good = `fw:${PASSWORD}`;
  const changed = `[127.0.0.1]:${sftp.port} ${keyType} ${key}\n`;
  const full = disk && [
    passing('OpenSSH: the disk, or the quota, there is used up', 'remote_full', async () => {
      await disk.fill(16 * 1024);
      return {
        ...onSftp(good)(),
        mend: async () => {
          await disk.free();
          return undefined;
        },
      };
    }),
  ];
  return [
    ...(full ?? []),
    final('vsftpd: the password is wrong', 'PermissionDenied', 'login_refused', onFtp('fw:wrong')),
    final('vsftpd: the folder may not be written to', 'PermissionDenied', 'denied', onFtp(good, '/closed')),
    passing('vsftpd: there is no such folder', 'no_such_folder', onFtp(good, '/none')),
    final('OpenSSH: the password is wrong', 'PermissionDenied', 'login_refused', onSftp('fw:wrong')),
    final('OpenSSH: the folder may not be written to', 'PermissionDenied', 'denied', onSftp(good, '/closed')),
    passing('OpenSSH: there is no such folder', 'no_such_folder', onSftp(good, '/none')),
    final('OpenSSH: its host key is not pinned', 'UploadFailure', 'host_key_unknown', onSftp(good, '', {})),
    // Told to stations as a connection that failed: it would say what answers inside the depot.
    final('OpenSSH: it has another host key', 'UploadFailure', 'connection', onSftp(good, '', { knownHosts: changed })),
  ];
}

export const allPolicy = createLocationPolicy({
  allowedSchemes: ['http', 'https', 's3', 'ftp', 'ftps', 'sftp'],
  allowedHosts: [],
  allowLoopback: true,
});
