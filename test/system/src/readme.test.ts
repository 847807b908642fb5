/** The commands of README.md and its first steps, as they stand there, against a run of their own. */
import { join } from 'node:path';
import { signInLink } from '@khumbu/embedded-run/sign-in-link';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { findBrowser, startBrowser } from './browser.js';
import { blocks, COMMANDS_MS, othersOf, paste, portOf, saidBy, startRun } from './document-commands.js';
import { perform, stepsOf } from './page-script.js';

const BROWSER_MS = 1_200_000;
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

const FIRST_MINUTES = 'docs/first-minutes.md';
/** What a person needs for a step that is read and done: they have five minutes. */
const STEP_S = 10;
const FIVE_MINUTES_S = 300;

const dir = t.testdir();
const DATA_DIR = join(dir, 'var');
const { run, line } = await startRun(DATA_DIR);
// Before its folder is removed; the file is over for the runner as soon as its last test is.
t.teardown(() => run.end('SIGTERM'));

await t.test(
  'the first request of the README is answered as it says',
  { timeout: COMMANDS_MS + 150_000 },
  async (t) => {
    const commands = blocks('README.md', 'bash').map((text) =>
      text.replaceAll('http://127.0.0.1:8080', line.httpUrl ?? '').replaceAll('var/api-key', join(DATA_DIR, 'api-key')),
    );
    const [shown = ''] = blocks('README.md', 'text');
    t.ok(commands.length > 0 && shown !== '', 'the README has a command and what it shows');
    // The simulated stations are started last, and nothing waits for them.
    const isShown = async (): Promise<boolean> => (await paste(commands, {})).stdout() === shown;
    t.ok(await awaitUntil(isShown, COMMANDS_MS, 'the stations to be listed'));
  },
);

const executable = findBrowser();
const skip = executable ? false : 'there is no Chromium';
await t.test('the first five minutes on the page go as it says', { skip, timeout: BROWSER_MS }, async (t) => {
  const steps = stepsOf(FIRST_MINUTES);
  const acts = steps.filter(({ verb }) => verb !== 'See');
  t.ok(acts.length > 20, 'there are steps');
  t.ok(acts.length * STEP_S <= FIVE_MINUTES_S, `a person can do ${acts.length} in five minutes`);
  const shell = await paste(blocks(FIRST_MINUTES, 'bash'), { DATA_DIR });
  t.equal(shell.exit()?.code, 0, 'its commands succeed');
  const browser = await startBrowser(t, executable ?? '');
  const place = {
    page: await browser.open(),
    link: await signInLink(line.httpUrl ?? '', line.apiKey ?? ''),
    fileOf: (path: string) => path.replace(/^var\//, `${DATA_DIR}/`),
  };
  const began = performance.now();
  for (const step of steps) await perform(step, place);
  t.comment(`${steps.length} steps, done in ${Math.round((performance.now() - began) / 1000)} s by a browser`);
  t.same(
    browser.faults.filter((fault) => !fault.includes('ERR_ABORTED')),
    [],
    'the page had no error',
  );
});

await t.test('the commands of the first update end as it says', { timeout: COMMANDS_MS + 150_000 }, async (t) => {
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
