/** What `scripts/bundle.mjs` and `scripts/compiled.mjs` make of a small project. */
import { cpSync, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { startChild } from '@khumbu/test-support/children';
import t, { type Test as T } from 'tap';

const ROOT = join(import.meta.dirname, '../../../..');

/** A program of three modules in two packages, one of them loaded later. */
function project(t: T) {
  const root = t.testdir({});
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  cpSync(join(ROOT, 'scripts'), join(root, 'scripts'), { recursive: true });
  mkdirSync(join(root, 'node_modules/@khumbu'), { recursive: true });
  for (const name of ['rolldown', '@rolldown', '@oxc-project', 'pino'])
    symlinkSync(join(ROOT, 'node_modules', name), join(root, 'node_modules', name));
  symlinkSync('../../packages/texts', join(root, 'node_modules/@khumbu/texts'));
  put('package.json', JSON.stringify({ type: 'module' }));
  put('package-lock.json', '{}');
  put('packages/texts/package.json', JSON.stringify({ type: 'module', exports: { './*': './dist/src/*.js' } }));
  put(
    'packages/texts/dist/src/file.js',
    `import { readFileSync } from 'node:fs';\nexport const beside = readFileSync(new URL('../../words.txt', import.meta.url), 'utf8');`,
  );
  put('packages/texts/dist/src/later.js', `export const later = '充電 \\u2028 🔌'.length + /^[^充]$/u.test('x');`);
  put('packages/texts/words.txt', 'words of a package');
  put('packages/cli/package.json', JSON.stringify({ type: 'module' }));
  put(
    'packages/cli/dist/src/main.js',
    `import { beside } from '@khumbu/texts/file';\nconst { later } = await import('@khumbu/texts/later');\nconst { pino } = await import('pino');\nconsole.log(JSON.stringify([beside, '充電 – ü', later, typeof pino]));`,
  );
  const run = async (script: string, expected = 0): Promise<string> => {
    const child = await startChild(process.execPath, [script], { env: { PATH: process.env.PATH }, cwd: root });
    const { code } = await child.exited;
    t.equal(code, expected, child.output());
    return expected === 0 ? child.stdout() : child.output();
  };
  const folder = join(root, 'packages/cli/dist/bundle');
  return {
    root,
    folder,
    put,
    bundle: (expected?: number) => run('scripts/bundle.mjs', expected),
    start: () => run(join(folder, 'main.js')),
  };
}

const SAYS = ['words of a package', '充電 – ü', 8, 'function'];

void t.test('a bundle does what its modules do, and finds their files', async (t) => {
  const { bundle, start, folder } = project(t);
  await bundle();
  t.same(JSON.parse(await start()), SAYS);
  t.equal(
    readdirSync(folder).filter((name) => name.startsWith('later-')).length,
    1,
    'what is loaded later is a file of its own',
  );
});

void t.test('it is made anew when something of it has changed, and then alone', async (t) => {
  const { bundle, start, folder, put } = project(t);
  await bundle();
  const madeAt = (): number => statSync(join(folder, 'main.js')).mtimeMs;
  const first = madeAt();
  await bundle();
  t.equal(madeAt(), first);
  put('packages/texts/dist/src/later.js', `export const later = 'changed';`);
  await bundle();
  t.same(JSON.parse(await start()), SAYS.with(2, 'changed'));
});

void t.test(
  'what a running program may still load stays for a week after the last bundle that needed it',
  async (t) => {
    const { bundle, folder, put } = project(t);
    await bundle();
    const parts = (): string[] => readdirSync(folder).filter((name) => name.startsWith('later-'));
    const [old = ''] = parts();
    const eightDaysOld = (): void => {
      const before = Date.now() / 1000 - 8 * 24 * 3600;
      utimesSync(join(folder, old), before, before);
    };
    eightDaysOld();
    put('packages/texts/dist/src/later.js', `export const later = 'changed';`);
    await bundle();
    t.ok(parts().includes(old), 'it was needed until now');
    eightDaysOld();
    put('packages/texts/dist/src/later.js', `export const later = 'changed again';`);
    await bundle();
    t.notOk(parts().includes(old));
    t.equal(parts().length, 2);
  },
);

void t.test('it is made anew for another version of a package, whatever the times of files', async (t) => {
  const { bundle, start, put, root, folder } = project(t);
  await bundle();
  put('packages/texts/dist/src/later.js', `export const later = 'changed';`);
  utimesSync(join(root, 'packages/texts/dist/src/later.js'), 1e9, 1e9);
  await bundle();
  t.same(JSON.parse(await start()), SAYS.with(2, 'changed'));
  const long = new Date(1e12);
  utimesSync(join(folder, 'main.js'), long, long);
  put('node_modules/.package-lock.json', '{ }');
  await bundle();
  t.ok(statSync(join(folder, 'main.js')).mtime > long, 'packages were installed');
});

void t.test('what would not be true in a bundle ends the build', async (t) => {
  const { bundle, put } = project(t);
  put('packages/texts/dist/src/later.js', 'export const later = import.meta.dirname;');
  t.match(await bundle(1), 'later.js: of import.meta only url stays true in a bundle');
  put('packages/texts/dist/src/later.js', 'export const later = /\\充/;');
  t.match(await bundle(1), 'a character beyond Latin-1 stands behind a backslash');
});

void t.test('whether something is to be compiled', async (t) => {
  const { root, put } = project(t);
  interface Compiled {
    readonly isCompiled: (folders: readonly string[]) => boolean;
    readonly noteCompiled: (folders: readonly string[], sources: string) => void;
    readonly sourcesOf: (folders: readonly string[]) => string;
  }
  const script = pathToFileURL(join(root, 'scripts/compiled.mjs')).href;
  const { isCompiled, noteCompiled, sourcesOf } = (await import(script)) as Compiled;
  const folders = ['packages/cli', 'packages/texts'].map((name) => join(root, name));
  put('packages/cli/src/main.ts', '1;');
  put('packages/cli/dist/.tsbuildinfo', '{}');
  const changes: Record<string, () => void> = {
    'a file was changed': () => put('packages/cli/src/main.ts', '22;'),
    'a file is as it was long ago': () => utimesSync(join(root, 'packages/cli/src/main.ts'), 1e9, 1e9),
    'a file is new': () => put('packages/texts/test/new.ts', '1;'),
    'packages were installed': () => put('node_modules/.package-lock.json', '{ }'),
    'somebody else called the compiler': () => put('packages/cli/dist/.tsbuildinfo', '{ "a": 1 }'),
  };
  t.equal(isCompiled(folders), false, 'nothing was compiled yet');
  for (const [what, change] of Object.entries(changes)) {
    noteCompiled(folders, sourcesOf(folders));
    t.equal(isCompiled(folders), true);
    change();
    t.equal(isCompiled(folders), false, what);
  }
  const sources = sourcesOf(folders);
  put('packages/cli/src/main.ts', 'changed while it was compiled');
  noteCompiled(folders, sources);
  t.equal(isCompiled(folders), false);
});
