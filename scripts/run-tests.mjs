/**
 * Test files side by side, each in a process of its own; TAP on stdout. With tap as a library: its own command loads every module of
 * every test, and of every program that a test starts, through hooks for coverage and mocks, which takes twice the processor time.
 */
import { relative } from 'node:path';
import { t } from 'tap';

const JOBS = 3;
const TIMEOUT_S = 1800;
const FLAGS = ['--enable-source-maps', '--import=./scripts/test-order.mjs'];

const running = new Set();
t.on('spawn', (test) =>
  test.on('process', (process) => {
    running.add(process);
    process.once('close', () => running.delete(process));
  }),
);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.once(signal, () => {
    for (const child of running) child.kill(signal);
    process.exit(1);
  });

t.jobs = JOBS;
t.setTimeout(0);
for (const file of process.argv.slice(2)) {
  // tap would hand those hooks on by this variable.
  const args = ['-u', 'NODE_OPTIONS', process.execPath, ...FLAGS, file];
  const name = relative(process.cwd(), file);
  const env = { ...process.env, TAP_TIMEOUT: String(TIMEOUT_S) };
  void t.spawn('env', args, { name, env, buffered: true, timeout: TIMEOUT_S * 1000 });
}
