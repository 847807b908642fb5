import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describeError } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import t from 'tap';

const run = promisify(execFile);
const PROCESSES = 3;
/** `MAKE_FOLDER_CALLS=1000000` takes minutes; one call in 25 failed where the race was. */
const CALLS = Number(process.env.MAKE_FOLDER_CALLS ?? 30_000);
const MAKER = fileURLToPath(new URL('./folder-maker.js', import.meta.url));

const made = async (path: string): Promise<boolean> => (await stat(path)).isDirectory();

t.setTimeout(CALLS > 100_000 ? 0 : 120_000);

void t.test('makes what is missing, and tells the first one it made', async (t) => {
  const dir = t.testdir({ there: {} });
  const deep = join(dir, 'a', 'b', 'c');
  t.equal(await makeFolder(deep), join(dir, 'a'));
  t.ok(await made(deep));
  t.equal(await makeFolder(deep), undefined);
  t.equal(await makeFolder(join(dir, 'there', 'x')), join(dir, 'there', 'x'));
  symlinkSync(join(dir, 'there'), join(dir, 'link'));
  t.equal(await makeFolder(join(dir, 'link')), undefined, 'a link to a folder serves as well');
});

const makeInProcesses = (folder: string, calls: number, ...how: string[]): Promise<unknown[]> =>
  Promise.all(
    Array.from({ length: PROCESSES }, async () => {
      const { stdout } = await run(process.execPath, [MAKER, folder, String(calls / PROCESSES), ...how]);
      return JSON.parse(stdout) as unknown;
    }),
  );

void t.test('many processes at once make the same ones, and none of them fails', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'khumbu-folders-'));
  t.teardown(() => rm(dir, { recursive: true }));
  t.strictSame(await makeInProcesses(join(dir, 'deep'), CALLS), Array(PROCESSES).fill({}), `${CALLS} calls`);
});

void t.test('nor while others remove what is empty', async (t) => {
  const dir = t.testdir();
  t.strictSame(await makeInProcesses(join(dir, 'deep'), 3000, 'remove'), Array(PROCESSES).fill({}));
});

void t.test('tells why a folder cannot be made', async (t) => {
  const dir = t.testdir({ file: 'x' });
  await t.rejects(makeFolder(join(dir, 'file')), { code: 'EEXIST' });
  await t.rejects(makeFolder(join(dir, 'file', 'below', 'it')), { code: 'ENOTDIR' });
  symlinkSync(join(dir, 'nowhere'), join(dir, 'dangling'));
  await t.rejects(makeFolder(join(dir, 'dangling')), { code: 'EEXIST' });
  await t.rejects(makeFolder('/proc/khumbu/below'), { code: 'ENOENT' }, 'where Node would never end');
});

void t.test('a file system of its own', async (t) => {
  const disk = join(t.testdir({ disk: {} }), 'disk');
  const refused = await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).then(
    () => false,
    (error: unknown) => describeError(error),
  );
  await t.test('tells that it is read-only', { skip: refused }, async (t) => {
    t.teardown(() => run('umount', ['-l', disk]));
    mkdirSync(join(disk, 'there'));
    await run('mount', ['-o', 'remount,ro', disk]);
    await t.rejects(makeFolder(join(disk, 'new')), { code: 'EROFS' });
    await t.rejects(makeFolder(join(disk, 'new', 'below')), { code: 'EROFS' });
    t.equal(await makeFolder(join(disk, 'there')), undefined, 'what is there serves');
    await run('mount', ['-o', 'remount,rw', disk]);
    t.equal(await makeFolder(join(disk, 'new', 'below')), join(disk, 'new'));
  });
});
