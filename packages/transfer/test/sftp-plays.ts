/** The faults of sftp: by OpenSSH, and by a server that is told to where it is too good for them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ScriptedSftp, type SftpScript } from '@khumbu/test-support/scripted-sftp';
import { startSftpServer } from '@khumbu/test-support/sftp-server';
import { mountSmallDisk } from '@khumbu/test-support/small-disk';
import { makeKey, startSshd } from '@khumbu/test-support/sshd';
import type { Test } from 'tap';
import { commonPlays, type FilePlays, furnish } from './file-plays.js';
import type { Play } from './play.js';

const ROOM = 100_000;

/** `dir`: its folders are open to all. */
export async function sftpPlays(t: Test, dir: string): Promise<FilePlays> {
  const disk = await mountSmallDisk(t, join(dir, 'full/account/home'), 1_000_000);
  if (!disk) throw new Error('no small disk can be mounted');
  /** Stopped with the test, also where another one of them does not start: it would keep the process from its end. */
  const stopped = async <S extends { stop(): unknown }>(starting: Promise<S>): Promise<S> => {
    const server = await starting;
    t.teardown(() => server.stop());
    return server;
  };
  const [server, full, old, bare, scripted] = await Promise.all([
    stopped(startSftpServer({ dir: join(dir, 'sftp'), password: 'hush' })),
    stopped(startSftpServer({ dir: join(dir, 'full'), password: 'hush' })),
    // What only old clients know.
    stopped(startSshd({ dir: join(dir, 'old'), config: ['Ciphers aes128-cbc'] })),
    stopped(startSshd({ dir: join(dir, 'bare') })),
    stopped(ScriptedSftp.start()),
  ]);
  await disk.fill(ROOM);
  furnish(server);
  const pinned = [server, full, old, bare].map(({ knownHostsFile }) => readFileSync(knownHostsFile, 'utf8')).join('');
  // Keys are looked for before anybody is connected to.
  const elsewhere = `[127.0.0.1]:1,files.example,169.254.169.254 ${server.hostPublicKey}\n`;
  const context = { knownHosts: pinned + scripted.knownHosts + elsewhere };
  const at = `sftp://fw:hush@127.0.0.1:${server.port}/~/`;
  const image: Play = { location: `${at}image`, context };
  const byKey = ({ user, port, privateKeyFile }: typeof bare): Play => ({
    location: `sftp://${user}@127.0.0.1:${port}/image`,
    context: { ...context, privateKey: readFileSync(privateKeyFile, 'utf8') },
  });
  scripted.put('/image', Buffer.alloc(1000));
  const told = (script: SftpScript): Play => ({
    location: `sftp://fw:hush@127.0.0.1:${scripted.port}/image`,
    context,
    before: () => {
      scripted.script = script;
    },
  });
  makeKey(join(dir, 'other'));
  const other = `[127.0.0.1]:${server.port} ${readFileSync(join(dir, 'other.pub'), 'utf8')}`;
  const guess = `sftp://fw:hush-not@127.0.0.1:${server.port}/~/`;
  return {
    ...commonPlays('sftp://', { server, at, guess, context }),
    'The disk or the quota of the server is full.': { location: `sftp://fw:hush@127.0.0.1:${full.port}/~/up`, context },
    'The server has another number of bytes than were sent.': told({ sizeOff: 1 }),
    'No host key of the server is pinned.': { ...image, context: { knownHosts: '' } },
    'The server has another host key than the pinned one, or one that is marked as revoked.': [
      { ...image, context: { knownHosts: other } },
      { ...image, context: { knownHosts: `@revoked ${pinned}${other}` } },
    ],
    'Both sides have no algorithm in common.': byKey(old),
    'The server offers no SFTP.': byKey(bare),
    'The server answers "Failure", which means anything.': {
      get: told({ failsAt: 500 }),
      // Of a folder that has the name.
      put: { location: `${at}closed`, context },
    },
  };
}
