/** The commands of README.md and of docs/first-update.md, as they stand there, against a run of their own. */
import { join } from 'node:path';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { blocks, COMMANDS_MS, othersOf, paste, portOf, saidBy, startRun } from './document-commands.js';

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

const dir = t.testdir();
const DATA_DIR = join(dir, 'var');
const { run, line } = await startRun(DATA_DIR);
try {
  await t.test(
    'the first request of the README is answered as it says',
    { timeout: COMMANDS_MS + 15_000 },
    async (t) => {
      const commands = blocks('README.md', 'bash').map((text) =>
        text
          .replaceAll('http://127.0.0.1:8080', line.httpUrl ?? '')
          .replaceAll('var/api-key', join(DATA_DIR, 'api-key')),
      );
      const [shown = ''] = blocks('README.md', 'text');
      t.ok(commands.length > 0 && shown !== '', 'the README has a command and what it shows');
      // The simulated stations are started last, and nothing waits for them.
      const isShown = async (): Promise<boolean> => (await paste(commands, {})).stdout() === shown;
      t.ok(await awaitUntil(isShown, COMMANDS_MS, 'the stations to be listed'));
    },
  );

  await t.test('the commands of the first update end as it says', { timeout: COMMANDS_MS + 15_000 }, async (t) => {
    const commands = blocks('docs/first-update.md', 'bash');
    const [shown = ''] = blocks('docs/first-update.md', 'text');
    t.ok(commands.length > 0 && shown !== '', 'there are commands and what they show');
    const shell = await paste(commands, {
      HTTP_PORT: portOf(line.httpUrl),
      MQTT_PORT: portOf(line.mqttUrl),
      S3_PORT: portOf(line.s3Endpoint),
      FILE_PORT: String(await freePort()),
      DATA_DIR,
      TMPDIR: dir,
    });
    t.equal(shell.exit()?.code, 0, 'every command succeeds');
    const seen = shell
      .stdout()
      .replace(UUID, '<uuid>')
      .replace(/"file_name":"my_charger-DiagnosticsLog-[^"]+\.tar\.gz"/, '"file_name":"<archive>"');
    t.same(saidBy(seen), saidBy(shown), 'replies and statuses in their order');
    t.same(othersOf(seen), othersOf(shown), 'the archive and the records');
  });
} finally {
  // Before its folder is removed.
  await run.end('SIGTERM');
}
