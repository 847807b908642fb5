/** Uploads by `sftp` to servers that rename no file over another: by one that is told to, and by OpenSSH without `posix-rename`. */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasAccounts } from '@khumbu/test-support/accounts';
import { ScriptedSftp } from '@khumbu/test-support/scripted-sftp';
import { startSftpServer } from '@khumbu/test-support/sftp-server';
import { hasSshd } from '@khumbu/test-support/sshd';
import t from 'tap';
import { createSftpTransport } from '../src/schemes/sftp/sftp.js';
import { bodyOf, contextOf, locationOf, never, told } from './file-transfers.js';

const ARCHIVE = randomBytes(300_000);
const OLDER = Buffer.from('older');
const MARK = { name: 'operation', value: 'log-upload-1', sha256Name: 's', bytesName: 'b' };

await t.test('killed while the older one is aside: what is whole is put in its place by the next try', async (t) => {
  const server = await ScriptedSftp.start();
  t.teardown(() => server.stop());
  const location = locationOf(`sftp://fw:secret@127.0.0.1:${server.port}/up`);
  const { knownHosts } = server;
  const bring = (bytes: Buffer) =>
    createSftpTransport(contextOf({ knownHosts })).put(location, bodyOf(bytes), { signal: never(), mark: MARK });
  /** `isGivenUp`: whoever was killed can do no more. */
  const kill = async (isGivenUp: boolean) => {
    server.files.clear();
    server.put('/up', OLDER);
    server.script = { keepsTaken: true };
    server.next = [{ keepsTaken: true, cutAtRename: '/up' }];
    if (isGivenUp) server.next.push({ noGreeting: true });
    await t.rejects(bring(ARCHIVE), told({ reason: 'connection', retryable: true }));
    const parts = [...server.files].filter(([name]) => /^\/up\.[0-9a-f]{8}\.part$/.test(name)).map(([, file]) => file);
    const kept = parts.find(({ bytes }) => bytes.equals(ARCHIVE));
    t.ok(kept, 'all of it is there');
    t.equal(parts.length, isGivenUp ? 2 : 1);
    if (isGivenUp) t.ok(parts.some(({ bytes }) => bytes.equals(OLDER)));
    else t.ok(server.files.get('/up')?.bytes.equals(OLDER), 'no try may follow');
    return kept;
  };
  await kill(false);
  // One that is written to would be changed.
  const kept = await kill(true);
  t.same(await bring(ARCHIVE), { bytes: ARCHIVE.length });
  t.equal(server.files.get('/up'), kept, 'it is not sent again');
  t.same([...server.files.keys()], ['/up']);

  await kill(true);
  const anew = randomBytes(ARCHIVE.length + 1);
  t.same(await bring(anew), { bytes: anew.length }, 'an archive that was made anew');
  t.ok(server.files.get('/up')?.bytes.equals(anew));
  t.same([...server.files.keys()], ['/up']);
});

await t.test('OpenSSH', { skip: !(hasSshd() && hasAccounts()) }, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'khumbu-sftp-rename-'));
  chmodSync(dir, 0o755);
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const server = await startSftpServer({ dir, config: ['ForceCommand internal-sftp -P posix-rename'] });
  t.teardown(() => server.stop());
  const path = join(server.home, 'up');
  writeFileSync(path, OLDER);
  chownSync(path, server.id, server.id);
  const context = contextOf({ knownHosts: await readFile(server.knownHostsFile, 'utf8') });
  const location = locationOf(`sftp://${server.user}:${server.password}@127.0.0.1:${server.port}/~/up`);
  let isOlder = true;
  const onProgress = (): void => {
    isOlder &&= readFileSync(path).equals(OLDER);
  };
  for (let times = 0; times < 2; times += 1) {
    const brought = createSftpTransport(context).put(location, bodyOf(ARCHIVE), { signal: never(), onProgress });
    t.same(await brought, { bytes: ARCHIVE.length });
    t.ok(readFileSync(path).equals(ARCHIVE));
    t.same(
      readdirSync(server.home).filter((name) => name.startsWith('up')),
      ['up'],
    );
    if (times === 0) t.ok(isOlder, 'nothing is written over the older one while it comes');
  }
});
