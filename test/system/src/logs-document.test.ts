/** The commands of docs/logs.md, as they stand there, against real servers and a run of their own. */
import { chmodSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { awaitUntil } from '@khumbu/test-support/events';
import { startS3 } from '@khumbu/test-support/s3';
import { startVsftpd, whyNoVsftpd } from '@khumbu/test-support/vsftpd';
import { Redis } from 'ioredis';
import { Client } from 'minio';
import t, { type Test } from 'tap';
import { allBlocks, COMMANDS_MS, openTerminal, portOf, startRun } from './document-commands.js';

t.setTimeout(900_000);
const why = await whyNoVsftpd();
const PASSWORD = 'p@ss w/rd';
const DAY_MS = 24 * 3600_000;

/** Settings in front of a command. */
const settingsIn = (text: string): readonly (readonly [string, string])[] =>
  Array.from(text.matchAll(/\b([A-Z_]+)=(\S+)/g), ([, name = '', value = '']) => [name, value]);

/** As if no gateway had run when it was time: the collection is made up for. Resolves with its time. */
async function missLastNight(t: Test, redisUrl: string): Promise<number> {
  const redis = new Redis(redisUrl);
  t.teardown(() => redis.disconnect());
  const run = 'khumbu:log-collection';
  const due = Number(
    await awaitUntil(() => redis.hget(run, 'due'), COMMANDS_MS, 'the gateway to know when the next collection is due'),
  );
  await redis.hset(run, 'due', due - DAY_MS);
  const isDone = async (): Promise<boolean> =>
    Number(await redis.hget(run, 'due')) >= due && (await redis.hlen(`${run}:open`)) === 0;
  await awaitUntil(isDone, COMMANDS_MS, 'the logs to be collected');
  return due;
}

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
  const blocks = allBlocks('docs/logs.md');
  const nightly = blocks.filter(({ terminal }) => terminal === 'nightly').flatMap((block) => settingsIn(block.text));
  // Else each station begins somewhere in the half hour after.
  const settings = { ...Object.fromEntries(nightly), LOG_COLLECTION_SPREAD_S: '0' };
  const { run, line } = await startRun(at('var'), settings);
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
  let due = 0;
  for (const block of blocks) {
    if (block.terminal === 'depot') text += await terminal.paste(block.text);
    if (block.terminal === 'nightly') due = await missLastNight(t, line.redisUrl ?? '');
  }
  const printed = text.split('\n');
  t.same(
    printed.filter((one) => one.startsWith('Upload')),
    Array(3).fill('Uploaded'),
  );
  t.match(text, /\[ '\w+'/, 'the manifest is in the archive');
  t.match(text, /^charger_1\r?$/m, 'the kept archive, fetched in two ranges, is whole');
  const collected = printed.filter((one) => / up to /.test(one)).map((one) => one.trimEnd());
  const latest = new Date(due).toISOString();
  t.same(collected.toSorted(), [`charger_1 up to ${latest}`, `charger_2 up to ${latest}`]);
  t.match(text, /^charger_2-DiagnosticsLog-\S+\.tar\.gz\r?$/m, 'the file is at the FTP server, under its name');
  t.notMatch(text, '.part');
  t.match(text, /^journal \| \d{4}-\d\d-\d\dT\S+ .*\r?\n.*-- end: complete\r?$/ms, 'the newest lines, as text');
  t.match(text, /"source":"events",.*booted slot A/, 'what was looked for');
  t.equal(text.split('{"type":"end","reason":"complete"}').length, 3, 'both ends of JSON');
  const { size } = await store.statObject(bucket, 'from the depot.tar.gz');
  t.ok(size > 1000, 'the file is where the presigned URL leads');
});
