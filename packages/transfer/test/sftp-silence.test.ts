/** `sftp` where the SSH server lives on and SFTP does not. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import ssh2, { type Connection, type SFTPWrapper } from 'ssh2';
import t from 'tap';
import type { TransferContext } from '../src/port.js';
import { createSftpTransport } from '../src/schemes/sftp/sftp.js';
import { asked, bodyOf, bytesOf, contextOf, locationOf, told } from './file-transfers.js';

const { OK, EOF } = ssh2.utils.sftp.STATUS_CODE;
const hostKey = ssh2.utils.generateKeyPairSync('ed25519');
const ATTRIBUTES = { mode: 0o100644, uid: 0, gid: 0, size: 10, atime: 1_600_000_000, mtime: 1_600_000_000 };

interface Play {
  /** Requests without an answer. */
  readonly ignores?: string;
}
let play: Play = {};
let connection: Connection | undefined;

function serve(sftp: SFTPWrapper): void {
  const unless = (name: string, act: () => void): void => {
    if (play.ignores !== name) act();
  };
  const handle = Buffer.from('h');
  sftp.on('STAT', (id) => unless('STAT', () => sftp.attrs(id, ATTRIBUTES)));
  sftp.on('FSTAT', (id) => unless('FSTAT', () => sftp.attrs(id, ATTRIBUTES)));
  sftp.on('OPEN', (id) => unless('OPEN', () => sftp.handle(id, handle)));
  sftp.on('CLOSE', (id) => unless('CLOSE', () => sftp.status(id, OK)));
  sftp.on('WRITE', (id) => sftp.status(id, OK));
  sftp.on('READ', (id, _handle, offset) => (offset === 0 ? sftp.data(id, Buffer.alloc(10)) : sftp.status(id, EOF)));
}

const server = new ssh2.Server({ hostKeys: [hostKey.private] }, (client) => {
  connection = client;
  client.on('error', () => {});
  client.on('authentication', (login) => login.accept());
  client.on('session', (accept) => accept().on('sftp', (acceptSftp) => serve(acceptSftp())));
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
t.teardown(() => server.close());
const { port } = server.address() as AddressInfo;
const knownHosts = `[127.0.0.1]:${port} ${hostKey.public}\n`;
const location = locationOf(`sftp://fw:secret@127.0.0.1:${port}/f`);
const transport = (changes: Partial<TransferContext>) => createSftpTransport(contextOf({ knownHosts, ...changes }));

await t.test('a server that leaves a request without an answer is not waited for', async (t) => {
  for (const ignores of ['STAT', 'OPEN', 'FSTAT']) {
    play = { ignores };
    const late = deadlineAfter(10_000);
    const opening = transport({ stallMs: 500 }).open(location, asked({ signal: late.signal }));
    await t.rejects(opening, told({ reason: 'stalled', retryable: true }), ignores);
    late.clear();
  }
  for (const ignores of ['OPEN', 'CLOSE']) {
    play = { ignores };
    const late = deadlineAfter(10_000);
    const bringing = transport({ stallMs: 500 }).put(location, bodyOf(Buffer.alloc(10)), { signal: late.signal });
    await t.rejects(bringing, told({ reason: 'connection', retryable: true }), ignores);
    late.clear();
  }
});

await t.test('a connection that was lost while nothing was asked', async (t) => {
  play = {};
  const late = deadlineAfter(10_000);
  const opened = await transport({ stallMs: 60_000 }).open(location, asked({ signal: late.signal }));
  const lost = once(connection as Connection, 'close');
  connection?.end();
  await lost;
  await t.rejects(bytesOf(opened), told({ reason: 'cut', retryable: true }));
  late.clear();
});
