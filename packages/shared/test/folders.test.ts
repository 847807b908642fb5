import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describeError } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import t from 'tap';

const run = promisify(execFile);

const made = async (path: string): Promise<boolean> => (await stat(path)).isDirectory();

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

void t.test('many at once make the same one', async (t) => {
  const deep = join(t.testdir(), 'a', 'b', 'c', 'd');
  await Promise.all(Array.from({ length: 50 }, () => makeFolder(deep)));
  t.ok(await made(deep));
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
