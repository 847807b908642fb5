/** The commands of docs/logs.md, as they stand there, against real servers and a run of their own. */
import { chmodSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startS3 } from '@khumbu/test-support/s3';
import { startVsftpd, whyNoVsftpd } from '@khumbu/test-support/vsftpd';
import { Client } from 'minio';
import t from 'tap';
import { allBlocks, openTerminal, portOf, startRun } from './document-commands.js';

t.setTimeout(300_000);
const why = await whyNoVsftpd();
const PASSWORD = 'p@ss w/rd';

await t.test('the depot’s store, an FTP server, a presigned URL', { skip: why ?? false }, async (t) => {
  // Folders above the home of the user must be open to it.
  const dir = await mkdtemp(join(tmpdir(), 'khumbu-logs-document-'));
  chmodSync(dir, 0o755);
  const at = (name: string): string => join(dir, name);
  await mkdir(at('s3'));
  const ftp = await startVsftpd({ dir: at('ftp'), password: PASSWORD });
  const s3 = await startS3({ dir: at('s3') });
  t.teardown(async () => {
    await Promise.all([ftp.stop(), s3.stop()]);
    await rm(dir, { recursive: true, force: true });
  });
  const { accessKey, secretKey, region, bucket, port } = s3;
  const store = new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey, secretKey, region });
  const { run, line } = await startRun(at('var'));
  t.teardown(() => run.end('SIGTERM'));
  const terminal = await openTerminal(['bash'], {
    DATA_DIR: at('var'),
    HTTP_PORT: portOf(line.httpUrl),
    FTP_USER: ftp.user,
    FTP_PASSWORD: encodeURIComponent(PASSWORD),
    FTP_HOST: `127.0.0.1:${ftp.port}`,
    PRESIGNED_PUT: await store.presignedPutObject(bucket, 'from the depot.tar.gz', 600),
  });
  t.teardown(() => terminal.close());
  let text = '';
  for (const block of allBlocks('docs/logs.md'))
    if (block.terminal === 'depot') text += await terminal.paste(block.text);
  const printed = text.split('\n');
  t.same(
    printed.filter((one) => one.startsWith('Upload')),
    Array(3).fill('Uploaded'),
  );
  t.match(text, /\[ '\w+'/, 'the manifest is in the archive');
  t.match(text, /^charger_1\r?$/m, 'the kept archive, fetched in two ranges, is whole');
  t.match(text, /^charger_2-DiagnosticsLog-\S+\.tar\.gz\r?$/m, 'the file is at the FTP server, under its name');
  t.notMatch(text, '.part');
  t.match(text, /^journal \| \d{4}-\d\d-\d\dT\S+ .*\r?\n.*-- end: complete\r?$/ms, 'the newest lines, as text');
  t.match(text, /"source":"events",.*booted slot A/, 'what was looked for');
  t.equal(text.split('{"type":"end","reason":"complete"}').length, 3, 'both ends of JSON');
  const { size } = await store.statObject(bucket, 'from the depot.tar.gz');
  t.ok(size > 1000, 'the file is where the presigned URL leads');
});
