/** `sftp` where the SSH server lives on and SFTP does not. */
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { ScriptedSftp } from '@khumbu/test-support/scripted-sftp';
import t from 'tap';
import type { TransferContext } from '../src/port.js';
import { createSftpTransport } from '../src/schemes/sftp/sftp.js';
import { asked, bodyOf, bytesOf, contextOf, locationOf, told } from './file-transfers.js';

const server = await ScriptedSftp.start();
t.teardown(() => server.stop());
const { knownHosts, port } = server;
server.put('/f', Buffer.alloc(10));
/** Only for a transport that waits on and on: a try may be slow to connect. */
const LATE_MS = 120_000;
const location = locationOf(`sftp://fw:secret@127.0.0.1:${port}/f`);
const transport = (changes: Partial<TransferContext>) => createSftpTransport(contextOf({ knownHosts, ...changes }));

await t.test('a server that leaves a request without an answer is not waited for', async (t) => {
  for (const ignores of ['STAT', 'OPEN', 'FSTAT'] as const) {
    server.script = { ignores };
    const late = deadlineAfter(LATE_MS);
    const opening = transport({ stallMs: 500 }).open(location, asked({ signal: late.signal }));
    await t.rejects(opening, told({ reason: 'stalled', retryable: true }), ignores);
    late.clear();
  }
  for (const ignores of ['OPEN', 'CLOSE'] as const) {
    server.script = { ignores };
    const late = deadlineAfter(LATE_MS);
    const bringing = transport({ stallMs: 500 }).put(location, bodyOf(Buffer.alloc(10)), { signal: late.signal });
    await t.rejects(bringing, told({ reason: 'connection', retryable: true }), ignores);
    late.clear();
  }
});

await t.test('a connection that was lost while nothing was asked', async (t) => {
  server.script = {};
  const late = deadlineAfter(LATE_MS);
  const opened = await transport({ stallMs: 60_000 }).open(location, asked({ signal: late.signal }));
  await server.endAll();
  await t.rejects(bytesOf(opened), told({ reason: 'cut', retryable: true }));
  late.clear();
});

await t.test('a line that is slow and never silent brings all of it', async (t) => {
  const archive = Buffer.alloc(300_000, 'x');
  // What is read from a file at once takes twelve seconds, longer than the stall limit; one answer of the server takes little
  // more than one, and may come some seconds late without counting as silence.
  server.script = { bytesPerSecond: 25_000 };
  const up = locationOf(`sftp://fw:secret@127.0.0.1:${port}/up`);
  const late = deadlineAfter(300_000);
  const brought = await transport({ stallMs: 10_000 }).put(up, bodyOf(archive, archive.length), {
    signal: late.signal,
  });
  t.same(brought, { bytes: archive.length });
  t.ok(server.files.get('/up')?.bytes.equals(archive));
  late.clear();
});
