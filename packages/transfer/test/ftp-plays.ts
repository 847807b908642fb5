/** The faults of ftp and ftps: by vsftpd and ProFTPD, and by a server that is told to where they are too good for them. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { makeAuthority } from '@khumbu/test-support/certificates';
import { within } from '@khumbu/test-support/events';
import { freePorts } from '@khumbu/test-support/free-ports';
import { startProftpd } from '@khumbu/test-support/proftpd';
import { type FtpScript, ScriptedFtp } from '@khumbu/test-support/scripted-ftp';
import { mountSmallDisk } from '@khumbu/test-support/small-disk';
import { PROXY_ADDRESS, TcpFaults } from '@khumbu/test-support/tcp-faults';
import { type FtpServer, startVsftpd } from '@khumbu/test-support/vsftpd';
import type { Test } from 'tap';
import { commonPlays, type FilePlays, furnish } from './file-plays.js';
import { type Play, rules } from './play.js';

const DAY_MS = 86_400_000;
const says = (command: string, reply: string): FtpScript => ({
  answer: (got) => (got === command ? reply : undefined),
});

async function startServers(t: Test, dir: string) {
  const authority = await makeAuthority(join(dir, 'ca'), 'Depot');
  const subjectAltName = `IP:127.0.0.1,IP:${PROXY_ADDRESS}`;
  const certificate = await authority.issue({ name: 'server', subjectAltName });
  const past = { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
  const expired = await authority.issue({ name: 'expired', subjectAltName, ...past });
  const ports = await freePorts(10);
  const own = async <S extends { readonly stop: () => unknown }>(starting: Promise<S>): Promise<S> => {
    const server = await starting;
    t.teardown(() => server.stop());
    return server;
  };
  const vsftpd = (name: string, ...config: string[]) =>
    own(startVsftpd({ dir: join(dir, name), password: 'hush', certificate, config }));
  const home = (name: string) => join(dir, name, 'home');
  // ProFTPD tells of a full disk only what cannot be written at all; after a part of it "451 Input/output error" (1.3.8, xfer_recv).
  for (const [name, left] of [
    ['full', 100_000],
    ['full-2', 0],
  ] as const) {
    const disk = await mountSmallDisk(t, home(name), 1_000_000);
    if (!disk) throw new Error('no small disk can be mounted');
    await disk.fill(left);
  }
  const servers = {
    good: await vsftpd('good', `pasv_min_port=${ports[0]}`, `pasv_max_port=${ports.at(-1)}`),
    active: await vsftpd('active', 'pasv_enable=NO'),
    busy: await vsftpd('busy', 'max_clients=1'),
    sizeless: await vsftpd('sizeless', 'cmds_denied=SIZE,MLST'),
    strict: await vsftpd('strict', 'force_local_logins_ssl=YES', 'force_local_data_ssl=YES'),
    full: await vsftpd('full'),
    full2: await own(startProftpd({ dir: join(dir, 'full-2'), password: 'hush', certificate })),
    expired: await own(startVsftpd({ dir: join(dir, 'expired'), password: 'hush', certificate: expired })),
    plain: await own(startVsftpd({ dir: join(dir, 'plain'), password: 'hush' })),
  };
  furnish(servers.good);
  return { servers, ports, certificate, ca: authority.certificatePem };
}

/** `dir`: its folders are open to all. */
export async function ftpPlays(t: Test, dir: string): Promise<Readonly<Record<'ftp' | 'ftps', FilePlays>>> {
  const { servers, ports, certificate, ca } = await startServers(t, dir);
  const { good, busy } = servers;
  const guest = connect(busy.port, '127.0.0.1');
  t.teardown(() => guest.destroy());
  await within(once(guest, 'data'), 60_000, 'the greeting of a guest');
  // Its data connections lead to nothing: the firewall lets the control connection through alone.
  const walled = await TcpFaults.start({ data: [], control: [good.port] });
  t.teardown(() => walled.stop());
  const scripted = { ftp: await ScriptedFtp.start(), ftps: await ScriptedFtp.start(certificate) };
  t.teardown(() => {
    for (const one of Object.values(scripted)) one.stop();
  });
  const forbiddenHosts = ports.map((port) => `127.0.0.1:${port}`);
  const playsOf = (scheme: 'ftp' | 'ftps'): FilePlays => {
    const context = scheme === 'ftps' ? { ca } : {};
    const at = ({ port }: Pick<FtpServer, 'port'>, host = '127.0.0.1', password = 'hush') =>
      `${scheme}://fw:${password}@${host}:${port}/`;
    const by = (server: Pick<FtpServer, 'port'>, more: Play['context'] = {}): Play => ({
      location: `${at(server)}image`,
      context: { ...context, ...more },
    });
    const told = (script: FtpScript): Play => ({
      ...by(scripted[scheme]),
      before: () => {
        scripted[scheme].script = script;
        scripted[scheme].put('image', Buffer.alloc(1000));
      },
    });
    const both = (get: FtpScript, put: FtpScript = get) => ({ get: told(get), put: told(put) });
    return {
      ...commonPlays(`${scheme}://`, { server: good, at: at(good), guess: at(good, undefined, 'hush-not'), context }),
      'The disk or the quota of the server is full.': [by(servers.full2), told(says('STOR', '552 quota exceeded'))],
      'The server lacks room for what it does to send the file (452, 552).': told(
        says('RETR', '452 Insufficient storage space'),
      ),
      'The server has another number of bytes than were sent.': told({ loses: 1 }),
      'The port for data that the server names cannot be reached, or the server opens none (425).': {
        get: [
          { location: `${at(good, PROXY_ADDRESS)}image`, context },
          told(says('RETR', '425 Cannot open data connection')),
        ],
        put: { location: `${at(good, PROXY_ADDRESS)}up`, context },
      },
      'The server names a port for data at which a server of the depot itself listens.': by(good, {
        policy: createLocationPolicy({ ...rules, forbiddenHosts }),
      }),
      'The server knows no passive mode, or does not speak FTP as it should.': [
        by(servers.active),
        told(says('EPSV', '229 Entering Extended Passive Mode (|||0|)')),
      ],
      'The server is busy, or closes for now (421).': by(busy),
      'The server cannot tell the size of what has arrived (neither SIZE nor MLST).': by(servers.sizeless),
      'The server breaks off by an error of its own (451): most often its disk or quota.': {
        get: told({ lastReply: '451 local error' }),
        put: by(servers.full),
      },
      'The server does not have a command that is needed (502).': both(says('TYPE', '502 not implemented')),
      'The server answers with another reply that may pass (4xx).': both(
        says('RETR', '450 it is being written'),
        says('STOR', '450 it is being read'),
      ),
      'The server answers with another refusal (5xx).': both(says('RETR', '504 no'), says('STOR', '504 no')),
      ...(scheme === 'ftp' ? { 'The server wants TLS, for the login or for data.': by(servers.strict) } : {}),
      ...(scheme === 'ftps'
        ? {
            'The certificate is not trusted, has expired, or is of another name; or the server speaks no TLS.': [
              { ...by(good), context: {} },
              by(servers.expired),
              { location: `${at(good, 'localhost')}image`, context },
              by(servers.plain),
            ],
          }
        : {}),
    };
  };
  return { ftp: playsOf('ftp'), ftps: playsOf('ftps') };
}
