/** The conformance suite against real file servers: vsftpd plain, with TLS by command and at once, and OpenSSH's SFTP. */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasAccounts } from '@khumbu/test-support/accounts';
import { makeAuthority } from '@khumbu/test-support/certificates';
import { freePorts } from '@khumbu/test-support/free-ports';
import { startSftpServer } from '@khumbu/test-support/sftp-server';
import { hasSshd } from '@khumbu/test-support/sshd';
import { PROXY_ADDRESS, TcpFaults } from '@khumbu/test-support/tcp-faults';
import { startVsftpd, whyNoVsftpd } from '@khumbu/test-support/vsftpd';
import t, { type Test } from 'tap';
import { conformance } from '../src/conformance/conformance.js';
import type { ConformanceServer } from '../src/conformance/conformance-server.js';
import { contextOf, watchSockets } from './file-transfers.js';

const dir = await mkdtemp(join(tmpdir(), 'khumbu-files-'));
chmodSync(dir, 0o755);
t.teardown(() => rm(dir, { recursive: true, force: true }));
const authority = await makeAuthority(join(dir, 'ca'), 'Depot');
const certificate = await authority.issue({ name: 'server', subjectAltName: `IP:${PROXY_ADDRESS}` });
const PASSWORD = 'h u/sh';
const HOUR_MS = 3_600_000;

interface Place {
  readonly base: string;
  readonly guess: string;
  readonly home: string;
  readonly id: number;
  readonly context: ConformanceServer['context'];
  readonly faults: TcpFaults;
}

/** One file and one folder of a server. */
function filesAt({ base, guess, home, id, context, faults }: Place): ConformanceServer {
  const name = 'fw image+1.bin';
  const up = join(home, 'up');
  let changes = 0;
  rmSync(up, { recursive: true, force: true });
  mkdirSync(up);
  chownSync(up, id, id);
  return {
    context,
    location: `${base}/fw%20image+1.bin`,
    absent: { location: `${base}/absent`, reason: 'no_such_file' },
    tellsUnchanged: true,
    serve(content) {
      changes += 1;
      const at = new Date(Date.now() - 100 * HOUR_MS + changes * HOUR_MS);
      // Another file under the name, as a rename makes it: who reads the former one reads on.
      rmSync(join(home, name), { force: true });
      writeFileSync(join(home, name), content);
      chownSync(join(home, name), id, id);
      utimesSync(join(home, name), at, at);
    },
    sent: () => faults.sent,
    cutAfter: (bytes) => faults.cutAfter(bytes),
    stallAfter: (bytes) => faults.stallAfter(bytes),
    lies: [
      {
        name: 'the same time and the same length',
        begin() {
          const at = new Date(Date.now() - 100 * HOUR_MS + (changes - 1) * HOUR_MS);
          utimesSync(join(home, name), at, at);
        },
      },
    ],
    upload: { location: `${base}/up/a.gz`, denied: `${guess}/up/a.gz`, deniedReason: 'login_refused' },
    received() {
      return readdirSync(up).includes('a.gz') ? readFileSync(join(up, 'a.gz')) : undefined;
    },
    cutUpload: () => faults.cutAfter(500_000, 'up'),
    stallUpload: () => faults.stallAfter(500_000, 'up'),
  };
}

const why = await whyNoVsftpd();
let made = 0;
async function ftpPlace(t: Test, scheme: 'ftp' | 'ftps', isImplicit: boolean): Promise<ConformanceServer> {
  made += 1;
  // Sessions that are held or were broken off keep theirs for a while.
  const [port = 0, ...data] = await freePorts(11, ['127.0.0.1', PROXY_ADDRESS]);
  const faults = await TcpFaults.start({ data, control: [port] });
  t.teardown(() => faults.stop());
  const server = await startVsftpd({
    dir: join(dir, `ftp-${made}`),
    password: PASSWORD,
    certificate,
    isImplicit,
    config: [`pasv_min_port=${data[0]}`, `pasv_max_port=${data.at(-1)}`],
    port,
  });
  t.teardown(() => server.stop());
  const at = (password: string) => `${scheme}://fw:${encodeURIComponent(password)}@${PROXY_ADDRESS}:${server.port}`;
  const context = contextOf({ stallMs: 20_000, ca: authority.certificatePem });
  return filesAt({ base: at(PASSWORD), guess: at('guess'), home: server.home, id: server.id, context, faults });
}

async function sftpPlace(t: Test): Promise<ConformanceServer> {
  made += 1;
  const server = await startSftpServer({ dir: join(dir, `sftp-${made}`), password: PASSWORD });
  t.teardown(() => server.stop());
  const faults = await TcpFaults.start({ data: [server.port] });
  t.teardown(() => faults.stop());
  const at = (password: string) => `sftp://fw:${encodeURIComponent(password)}@${PROXY_ADDRESS}:${server.port}/~`;
  const knownHosts = (await readFile(server.knownHostsFile, 'utf8')).replace('[127.0.0.1]', `[${PROXY_ADDRESS}]`);
  const context = contextOf({ stallMs: 20_000, knownHosts });
  return filesAt({ base: at(PASSWORD), guess: at('guess'), home: server.home, id: server.id, context, faults });
}

const ftp = { skip: why ?? false };
const noSocketIsLeft = watchSockets();
await t.test('ftp', ftp, (t) => conformance(t, (t) => ftpPlace(t, 'ftp', false)));
await t.test('ftps, TLS by command', ftp, (t) => conformance(t, (t) => ftpPlace(t, 'ftps', false)));
await t.test('ftps, TLS at once', ftp, (t) => conformance(t, (t) => ftpPlace(t, 'ftps', true)));
await t.test('sftp', { skip: !(hasSshd() && hasAccounts()) }, (t) => conformance(t, (t) => sftpPlace(t)));

await t.test('no socket is left', noSocketIsLeft);
