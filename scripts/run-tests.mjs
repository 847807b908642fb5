/**
 * Test files side by side, each in a process of its own; TAP on stdout. With tap as a library: its own command loads every module of
 * every test, and of every program that a test starts, through hooks for coverage and mocks, which takes twice the processor time.
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { t } from 'tap';

/** As tap's own command has them. `timeout`: seconds. */
const { jobs, timeout, 'node-arg': nodeArgs } = JSON.parse(readFileSync('package.json', 'utf8')).tap;

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

t.jobs = jobs;
t.setTimeout(0);
for (const file of process.argv.slice(2)) {
  // tap would hand those hooks on by this variable.
  const args = ['-u', 'NODE_OPTIONS', process.execPath, '--enable-source-maps', ...nodeArgs, file];
  const name = relative(process.cwd(), file);
  const env = { ...process.env, TAP_TIMEOUT: String(timeout) };
  void t.spawn('env', args, { name, env, buffered: true, timeout: timeout * 1000 });
}
