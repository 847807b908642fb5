import { readFileSync, writeSync } from 'node:fs';
import { openLogFile } from '@khumbu/embedded-run/log-file';
import { manageChild } from '@khumbu/embedded-run/managed-child';
import t from 'tap';

void t.test('a full disk costs the words of that time and nothing else', async (t) => {
  const path = `${t.testdir({})}/child.log`;
  let full = false;
  const write = (fd: number, chunk: unknown): number => {
    if (full) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    return writeSync(fd, chunk as Uint8Array);
  };
  const log = openLogFile(path, 20, write as typeof writeSync);
  log.write(Buffer.from('before\n'));
  full = true;
  log.write(Buffer.from('lost\n'));
  full = false;
  log.write(Buffer.from('after\n'));
  t.equal(readFileSync(path, 'utf8'), 'before\nafter\n');
  t.same(log.lastLines(), ['after', 'lost', 'before'], 'what explains a death is there all the same');
  log.write(Buffer.from('set aside\n'));
  log.close();
  t.equal(readFileSync(`${path}.1`, 'utf8'), 'before\nafter\n');
  t.equal(readFileSync(path, 'utf8'), 'set aside\n');
});

void t.test('a child whose process id cannot be written down runs all the same', async (t) => {
  const said: string[] = [];
  const child = manageChild(
    {
      name: 'child',
      command: process.execPath,
      args: ['-e', 'process.send({ ready: true }); process.on("disconnect", () => {})'],
      env: {},
      ipc: true,
      ready: 'says-so',
      stopMs: 5000,
    },
    {
      logPath: (name) => `${t.testdir({})}/${name}.log`,
      say: (line) => said.push(line),
      started: () => {
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      },
      ended: () => undefined,
      setpriv: undefined,
    },
  );
  t.teardown(() => child.stop(true));
  await child.start(AbortSignal.timeout(180_000));
  t.match(said, ['child: its process id could not be written down: no space left on device']);
});
