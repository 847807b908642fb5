import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test as T } from 'tap';

const CHILD = join(import.meta.dirname, 'service-child.js');

/** The promise, or an error after a minute; also keeps the process alive for what does not. */
async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain: ${what}`)), 60_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

void t.test('a service', async (t) => {
  interface Service {
    readonly child: ChildProcess;
    readonly lines: string[];
    readonly errors: () => string;
    readonly said: (text: string) => Promise<void>;
    readonly ended: Promise<unknown>;
  }
  const start = (t: T, scenario: string, env: Record<string, string> = {}): Service => {
    const child = fork(CHILD, { env: { ...process.env, SCENARIO: scenario, ...env }, silent: true });
    t.teardown(() => child.kill('SIGKILL'));
    let out = '';
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    // After `disconnect` Node tells of the exit, but not that everything is closed.
    const ended = Promise.all([
      once(child, 'exit'),
      ...[child.stdout, child.stderr].map((stream) => stream && once(stream, 'close')),
    ]).then(([exit]) => exit);
    const lines: string[] = [];
    let heard = (): void => undefined;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      lines.splice(0, Infinity, ...out.split('\n').filter(Boolean));
      heard();
    });
    const said = async (text: string): Promise<void> => {
      while (!lines.includes(text)) {
        await soon(
          new Promise<void>((resolve) => {
            heard = resolve;
          }),
          text,
        );
      }
    };
    return { child, lines, errors: () => errors, said, ended: soon(ended, 'the end of the child') };
  };
  const STOPPED = ['stop third', 'stop second', 'stop first'];

  await t.test('tells its parent, and stops in the reverse order of its start', async (t) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const { child, lines, ended } = start(t, '');
      t.same(await once(child, 'message'), [{ ready: true }, undefined]);
      child.kill(signal);
      t.same(await ended, [0, null], signal);
      t.same(
        lines.filter((line) => line.startsWith('stop')),
        STOPPED,
      );
    }
  });

  await t.test('stops the rest when one part does not stop in order', async (t) => {
    const { child, lines, ended, said } = start(t, 'bad-stop');
    await said('started');
    child.kill('SIGTERM');
    t.same(await ended, [0, null]);
    t.same(lines.slice(1), STOPPED);
  });

  await t.test('ends at once on a second signal', async (t) => {
    const { child, said, ended } = start(t, 'hang');
    await said('started');
    child.kill('SIGTERM');
    await said('stop third');
    child.kill('SIGTERM');
    t.same(await ended, [1, null]);
  });

  await t.test('stops when its parent is gone', async (t) => {
    const { child, lines, said, ended } = start(t, '');
    await said('started');
    child.disconnect();
    t.same(await ended, [0, null]);
    t.same(lines.slice(1), STOPPED);
  });

  await t.test('still stops in order when its parent goes right after asking it to', async (t) => {
    const { child, lines, said, ended } = start(t, '');
    await said('started');
    child.kill('SIGTERM');
    child.disconnect();
    t.same(await ended, [0, null]);
    t.same(lines.slice(1), STOPPED);
  });

  await t.test('does not let go of everything when something fails while it stops', async (t) => {
    const { child, lines, said, ended } = start(t, 'rejects-while-stopping');
    await said('started');
    child.kill('SIGTERM');
    t.same(await ended, [1, null]);
    t.same(lines.slice(1), STOPPED);
  });

  await t.test('stops in order after a surprise, with exit code 1', async (t) => {
    const { lines, ended } = start(t, 'throws-later');
    t.same(await ended, [1, null]);
    t.same(lines.slice(1), STOPPED);
  });

  await t.test('says in one line why it does not start', async (t) => {
    const config = start(t, 'bad-config');
    t.same(await config.ended, [1, null]);
    t.equal(config.errors(), 'REDIS_URL is missing: redis://h/\n');

    const failed = start(t, 'bad-start', { LOG_LEVEL: 'info' });
    t.same(await failed.ended, [1, null]);
    t.equal(failed.lines.filter((line) => line.includes('cannot start')).length, 1);
    t.same(
      failed.lines.filter((line) => line.startsWith('stop')),
      STOPPED,
    );

    const silent = start(t, 'no-log');
    t.same(await silent.ended, [1, null]);
    t.equal(silent.errors(), 'no log to be had\n');
  });

  await t.test('a log level nobody knows is for the settings to report', async (t) => {
    for (const level of ['verbose', '']) {
      const { said, ended, child } = start(t, '', { LOG_LEVEL: level });
      await said('started');
      child.kill('SIGTERM');
      t.same(await ended, [0, null], JSON.stringify(level));
    }
  });
});
