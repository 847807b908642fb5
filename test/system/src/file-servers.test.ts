/** Images from FTP and SFTP servers, and archives to them, in the running depot: as a CSMS of OCPP 1.6 hands out its locations. */
import { chmodSync, chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { hasAccounts } from '@khumbu/test-support/accounts';
import { makeImage } from '@khumbu/test-support/firmware';
import { startSftpServer } from '@khumbu/test-support/sftp-server';
import { hasSshd } from '@khumbu/test-support/sshd';
import { startVsftpd, whyNoVsftpd } from '@khumbu/test-support/vsftpd';
import t, { type Test } from 'tap';
import { startCluster } from './cluster.js';
import { allowAfter, connect, PATIENCE_MS, update } from './everest.js';

const why = (await whyNoVsftpd()) ?? (hasSshd() && hasAccounts() ? undefined : 'there is no sshd');
if (why !== undefined) {
  t.pass(`left out: ${why}`);
  process.exit(0);
}

// Every folder above the homes of the users must be open to them.
const dir = await mkdtemp(join(tmpdir(), 'khumbu-file-servers-'));
chmodSync(dir, 0o755);
t.teardown(() => rm(dir, { recursive: true, force: true }));
const PASSWORD = 'hush-hush';
const ftp = await startVsftpd({ dir: join(dir, 'ftp'), password: PASSWORD });
t.teardown(() => ftp.stop());
const sftp = await startSftpServer({ dir: join(dir, 'sftp'), password: PASSWORD });
t.teardown(() => sftp.stop());
const cluster = await startCluster(t, {
  dataDir: `${t.testdir({})}/data`,
  env: {
    ALLOWED_LOG_SCHEMES: 'ftp,sftp',
    LOCATION_KNOWN_HOSTS_FILE: sftp.knownHostsFile,
    LOCATION_PRIVATE_KEY_FILE: sftp.privateKeyFile,
  },
});
const image = makeImage(300_000, 'file servers');
for (const { home, id } of [ftp, sftp]) {
  writeFileSync(join(home, 'charger 1.bin'), image.bytes);
  chownSync(join(home, 'charger 1.bin'), id, id);
}
const test = (name: string, body: (t: Test) => Promise<void>): void => {
  void t.test(name, { buffered: true }, body);
};

for (const { name, base, home } of [
  { name: 'ftp', base: `ftp://fw:${PASSWORD}@127.0.0.1:${ftp.port}`, home: ftp.home },
  { name: 'sftp', base: `sftp://fw@127.0.0.1:${sftp.port}/~`, home: sftp.home },
]) {
  test(`${name}: from update_firmware to Installed, from upload_logs to Uploaded`, async (t) => {
    const client = await connect(t, cluster, `by-${name}`);
    t.equal(await update(client, 7, { location: `${base}/charger%201.bin`, retries: 1 }), 'Accepted');
    await allowAfter(client, 7, 'Downloaded');
    const logs = { request_id: 9, type: 'DiagnosticsLog', location: `${base}/`, retries: 1 };
    const { reply } = await client.request('upload_logs', logs);
    t.match(reply, { upload_logs_status: 'Accepted', file_name: new RegExp(`^by-${name}-DiagnosticsLog-`) });
    await client.awaitStatus(9, 'Uploaded', PATIENCE_MS);
    const archives = readdirSync(home).filter((file) => file.startsWith('by-'));
    t.match(archives, [(reply as { file_name: string }).file_name], 'under its final name, and no other');
    t.ok(gunzipSync(readFileSync(join(home, archives[0] ?? ''))).length > 0);
  });
}

test('what the servers refuse is told as it is, and nothing tells the password', async (t) => {
  const client = await connect(t, cluster, 'refused');
  t.equal(
    await update(client, 7, { location: `ftp://fw:${PASSWORD}@127.0.0.1:${ftp.port}/none.bin`, retries: 3 }),
    'Accepted',
  );
  await client.awaitStatus(7, 'DownloadFailed', PATIENCE_MS);
  const location = `ftp://fw:${PASSWORD}-not@127.0.0.1:${ftp.port}/`;
  await client.request('upload_logs', { request_id: 20, type: 'DiagnosticsLog', location, retries: 3 });
  await client.awaitStatus(20, 'PermissionDenied', PATIENCE_MS);
  const folder = join(cluster.dataDir, 'log');
  const said = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  t.notMatch([cluster.said(), ...said].join('\n'), /hush-hush/);
});
