/** The commands of docs/rest-api.md, as they are written there: update, follow, fetch logs, reset, with curl alone. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { startChild } from '@khumbu/test-support/children';
import { within } from '@khumbu/test-support/events';
import { withoutDelayedPermission } from '@khumbu/test-support/statuses';
import t from 'tap';
import { startCluster } from './cluster.js';
import { PATIENT_CURL } from './document-commands.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const COMMANDS_MS = 240_000;
// Removed after the cluster has been stopped.
const dir = t.testdir();

await t.test('a station is updated, followed, its logs fetched, reset', { timeout: 900_000 }, async (t) => {
  const page = readFileSync(join(ROOT, 'docs/rest-api.md'), 'utf8');
  const section = page.split(/^## /m).find((part) => part.startsWith('Try it')) ?? '';
  const commands = Array.from(section.matchAll(/^```bash\n([\s\S]*?)^```$/gm)).map(([, content]) => content);
  t.ok(commands.length > 3, 'the page has commands');

  const dataDir = join(dir, 'var');
  const cluster = await startCluster(t, { dataDir, env: { SIMULATED_STATIONS: '1' } });
  const { endpoints } = cluster;
  const env = {
    ...process.env,
    HTTP_PORT: new URL(endpoints.httpUrl).port,
    DATA_DIR: dataDir,
    FILE_PORT: String(await freePort()),
    TMPDIR: dir,
    CURL_HOME: PATIENT_CURL,
    NODE_OPTIONS: '',
  };
  const shell = await startChild('bash', ['-c', `set -e\n${commands.join('\n')}`], { cwd: ROOT, env, detached: true });
  try {
    await within(once(shell.process, 'close'), COMMANDS_MS, 'the commands to end');
  } catch (error) {
    process.kill(-shell.pid, 'SIGKILL');
    throw new Error(`what the commands wrote: ${shell.output()}`, { cause: error });
  }
  t.equal(shell.exit()?.code, 0, 'every command succeeds');
  const lines = shell.stdout().split('\n');
  t.ok(lines.includes('manifest.json'), 'the archive is a real one');
  const events = lines
    .filter((line) => line.startsWith('{"type":"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const statuses = (kind: string): string[] => [
    ...new Set(
      events.filter((event) => event.type === 'operation' && event.kind === kind).map(({ status }) => String(status)),
    ),
  ];
  t.strictSame(withoutDelayedPermission(statuses('firmware_update')), [
    'Offered',
    'Accepted',
    'Downloading',
    'Downloaded',
    'Installing',
    'InstallRebooting',
    'Installed',
  ]);
  t.strictSame(statuses('log_upload'), ['Offered', 'Accepted', 'Uploading', 'Uploaded']);
  // Where EVerest takes a while to be heard again, that is told as well.
  t.strictSame(
    statuses('reset').filter((status) => status !== 'Restarting'),
    ['Accepted', 'Resetting', 'Restarted'],
  );
  const restarts = events.filter(({ change }) => change === 'restarted').map(({ bootReason }) => bootReason);
  t.strictSame(restarts, ['FirmwareUpdate', 'RemoteReset']);
  t.equal(await cluster.stop(), 0);
});
