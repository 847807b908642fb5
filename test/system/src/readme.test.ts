/** The commands of README.md and of docs/first-update.md, as they stand there, against a run of their own. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil, within } from '@khumbu/test-support/events';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const START_MS = 60_000;
const COMMANDS_MS = 40_000;
/** `npm run up` after its preparations, which `npm test` has made. */
const UP = join(ROOT, 'packages/embedded-run/dist/src/main.js');
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** The fenced blocks of one language in a document. */
const blocks = (file: string, language: string): string[] =>
  Array.from(readFileSync(join(ROOT, file), 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm))
    .filter(([, found]) => found === language)
    .map(([, , content]) => content ?? '');

async function startRun(dataDir: string): Promise<{ run: Child; line: Record<string, string> }> {
  const free = { HTTP_PORT: '0', MQTT_PORT: '0', REDIS_PORT: '0', S3_PORT: '0' };
  const env = { ...process.env, ...free, DATA_DIR: dataDir, UP_JSON: '1', npm_lifecycle_event: '' };
  const run = await startChild(process.execPath, [UP], { cwd: ROOT, env });
  const line = await awaitUntil(
    () => run.exit() !== undefined || /^\{.*\}\n/.exec(run.stdout())?.[0],
    START_MS,
    'the run to be ready',
  );
  if (line === true) throw new Error(`the run ended: ${run.output()}`);
  return { run, line: JSON.parse(line) as Record<string, string> };
}

const isSaid = (line: string): boolean => line.startsWith('everest_api/');
/** What Khumbu said to the station; the rest comes from other programs, whose lines may overtake it. */
const saidBy = (text: string): string[] => text.split('\n').filter(isSaid);
const othersOf = (text: string): string[] => text.split('\n').filter((line) => !isSaid(line));
const portOf = (url: string | undefined): string => new URL(url ?? '').port;

/** Run the commands in a shell of their own until nothing of them runs any more, servers and listeners included. */
async function paste(commands: readonly string[], env: Record<string, string>): Promise<Child> {
  const script = `set -e\n${commands.join('\n')}`;
  const shell = await startChild('bash', ['-c', script], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    detached: true,
  });
  try {
    await within(once(shell.process, 'close'), COMMANDS_MS, 'the commands to end');
  } catch (error) {
    process.kill(-shell.pid, 'SIGKILL');
    throw new Error(`what the commands wrote: ${shell.output()}`, { cause: error });
  }
  return shell;
}

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
