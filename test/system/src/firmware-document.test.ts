/** The commands of docs/firmware.md, as they stand there, against real servers and the run that the document starts. */
import { appendFileSync, chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { hasAccounts } from '@khumbu/test-support/accounts';
import { selfSigned } from '@khumbu/test-support/certificates';
import { makeImage } from '@khumbu/test-support/firmware';
import { startS3 } from '@khumbu/test-support/s3';
import { startSftpServer } from '@khumbu/test-support/sftp-server';
import { hasSshd } from '@khumbu/test-support/sshd';
import { startVsftpd, whyNoVsftpd } from '@khumbu/test-support/vsftpd';
import t, { type Test } from 'tap';
import { allBlocks, openTerminal, portOf, startRun } from './document-commands.js';

t.setTimeout(900_000);
const why = (await whyNoVsftpd()) ?? (hasSshd() && hasAccounts() ? undefined : 'there is no sshd');
const IMAGE = makeImage(300_000, 'firmware document');
const PASSWORD = 'p@ss w/rd';

/** Two URLs of one image, signed at different times. */
async function presigned(t: Test, dir: string): Promise<{ readonly urls: readonly string[]; readonly host: string }> {
  const s3 = await startS3({ dir });
  const { endpoint, region, bucket, accessKey, secretKey } = s3;
  const account = { S3_REGION: region, S3_BUCKET: bucket, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey };
  const objects = createObjectStore({ ...account, S3_ENDPOINT: endpoint });
  t.teardown(() => {
    objects.close();
    return s3.stop();
  });
  const path = join(dir, 'image');
  writeFileSync(path, IMAGE.bytes);
  const object = { bucket, key: 'fw.bin' };
  await objects.putFile({
    ...object,
    path,
    contentType: 'application/octet-stream',
    signal: AbortSignal.timeout(180_000),
  });
  const urls = await Promise.all([600, 700].map((seconds) => objects.presignGet(object, seconds)));
  return { urls, host: new URL(endpoint).hostname };
}

await t.test('an FTP URL, an SFTP URL, a presigned URL, a stick', { skip: why ?? false }, async (t) => {
  // Folders above the homes of the users must be open to them.
  const dir = await mkdtemp(join(tmpdir(), 'khumbu-firmware-document-'));
  chmodSync(dir, 0o755);
  const at = (name: string): string => join(dir, name);
  const [STICK, KEYS, DATA_DIR] = [at('stick'), at('keys'), at('var')];
  for (const folder of [STICK, KEYS, at('s3')]) await mkdir(folder);
  const certificate = await selfSigned(at('tls'), 'server', { extensions: ['subjectAltName=IP:127.0.0.1'] });
  writeFileSync(join(KEYS, 'ca.pem'), certificate.certificatePem);
  const ftp = await startVsftpd({ dir: at('ftp'), password: PASSWORD, certificate });
  const sftp = await startSftpServer({ dir: at('sftp') });
  t.teardown(async () => {
    await Promise.all([ftp.stop(), sftp.stop()]);
    await rm(dir, { recursive: true, force: true });
  });
  for (const { home, id } of [ftp, sftp]) {
    writeFileSync(join(home, 'fw 2.1.bin'), IMAGE.bytes);
    chownSync(join(home, 'fw 2.1.bin'), id, id);
  }
  writeFileSync(at('image'), makeImage(200_000, 'on the stick').bytes);
  const { urls, host } = await presigned(t, at('s3'));
  const env = {
    STICK,
    KEYS,
    DATA_DIR,
    FTP_USER: 'fw',
    FTP_PASSWORD: encodeURIComponent(PASSWORD),
    FTP_HOST: `127.0.0.1:${ftp.port}`,
    FTP_FILE: 'fw%202.1.bin',
    SFTP_USER: 'fw',
    SFTP_HOST: '127.0.0.1',
    SFTP_PORT: String(sftp.port),
    SFTP_FILE: 'fw%202.1.bin',
    PRESIGNED_URL: urls[0] ?? '',
    PRESIGNED_AGAIN: urls[1] ?? '',
    STICK_FILE: 'charger-2.1.raucb',
    IMAGE: at('image'),
  };
  const all = allBlocks('docs/firmware.md');
  const said = async (terminal: string, more: Readonly<Record<string, string>>): Promise<string> => {
    const opened = await openTerminal(['bash'], { ...env, ...more });
    let text = '';
    try {
      for (const block of all) if (block.terminal === terminal) text += await opened.paste(block.text);
    } finally {
      await opened.close();
    }
    return text;
  };
  t.match(await said('keys', {}), /SHA256:/);
  // What whoever runs the server does with it.
  appendFileSync(`${sftp.privateKeyFile}.pub`, readFileSync(join(KEYS, 'depot_key.pub')));
  const { run, line } = await startRun(DATA_DIR, {
    FIRMWARE_IMPORT_DIR: STICK,
    LOCATION_KNOWN_HOSTS_FILE: join(KEYS, 'known_hosts'),
    LOCATION_PRIVATE_KEY_FILE: join(KEYS, 'depot_key'),
    LOCATION_CA_FILE: join(KEYS, 'ca.pem'),
    IGNORED_LOCATION_PARAMETERS_BY_HOST: `${host}=X-Amz-*`,
  });
  t.teardown(() => run.end('SIGTERM'));
  const printed = (await said('depot', { HTTP_PORT: portOf(line.httpUrl) })).split('\n');
  t.same(
    printed.filter((one) => one.startsWith('Download')),
    Array(6).fill('Downloaded'),
  );
  t.ok(printed.includes(`Content-Length: ${IMAGE.bytes.length}\r`), 'curl sees the file');
  t.ok(printed.includes(String(IMAGE.bytes.length)), 'the second presigned URL saves its bytes');
  t.ok(printed.includes('"takenIn":true'));
  await run.end('SIGTERM');
});
