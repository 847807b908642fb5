/** What a person sees of a start, and what a program does not. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import t, { type Test as T } from 'tap';
import { tellWhile } from '../src/progress.js';
import { startStubCluster } from './stub-cluster.js';

const SCRIPTS = join(import.meta.dirname, '../../../../scripts');
const PATIENCE_MS = 60_000;

/** A project in which everything is to be done for the first time: packages, compiler, run. It needs no network. */
function freshProject(t: T, compiler: string): string {
  const root = t.testdir({ fake: {}, packages: { 'embedded-run': { dist: { src: {}, bundle: {} } }, other: {} } });
  cpSync(SCRIPTS, join(root, 'scripts'), { recursive: true });
  const json = (path: string, value: object): void => writeFileSync(join(root, path), JSON.stringify(value));
  const project = { name: 'fresh', version: '1.0.0', type: 'module', dependencies: { typescript: 'file:fake' } };
  json('package.json', project);
  json('fake/package.json', { name: 'typescript', version: '1.0.0' });
  json('package-lock.json', {
    ...project,
    lockfileVersion: 3,
    packages: {
      '': project,
      fake: { name: 'typescript', version: '1.0.0' },
      'node_modules/typescript': { resolved: 'fake', link: true },
    },
  });
  json('tsconfig.json', { references: [{ path: 'packages/embedded-run' }, { path: 'packages/other' }] });
  mkdirSync(join(root, 'fake/bin'));
  writeFileSync(join(root, 'fake/bin/tsc'), compiler);
  writeFileSync(join(root, 'packages/embedded-run/dist/bundle/main.js'), `process.stdout.write('ready\\n');`);
  writeFileSync(join(root, 'packages/embedded-run/src.ts'), '');
  // What is compiled and has no source is removed.
  mkdirSync(join(root, 'packages/embedded-run/src'));
  writeFileSync(join(root, 'packages/embedded-run/src/main.ts'), '');
  return root;
}

async function up(root: string, env: Record<string, string>) {
  const more = { ...process.env, NODE_OPTIONS: undefined, npm_execpath: undefined, npm_config_offline: 'true', ...env };
  const child = await startChild(process.execPath, [join(root, 'scripts/up.mjs')], { env: more });
  const { code } = await child.exited;
  const stdout = child.stdout();
  return { code, stdout, said: child.output().replace(stdout, '') };
}

void t.test('the first start says what it is at', async (t) => {
  const { code, stdout, said } = await up(freshProject(t, ''), { UP_JSON: '' });
  t.equal(code, 0, said);
  t.match(said, /^Installing npm packages \(once\) \.\.\.$/m);
  t.match(said, /^Installing npm packages \(once\): \d+ s\.$/m);
  t.match(said, /^Compiling \.\.\.\nCompiling: \d+ s\.$/m);
  t.equal(stdout, 'ready\n');
});

void t.test('who wants JSON hears of no progress, and of what is wrong', async (t) => {
  for (const UP_JSON of ['1', 'true']) {
    const { code, stdout, said } = await up(freshProject(t, ''), { UP_JSON });
    t.same([code, stdout, said], [0, 'ready\n', '']);
  }
  const wrong = await up(freshProject(t, `console.log('x.ts: does not fit'); process.exitCode = 2`), { UP_JSON: '1' });
  t.equal(wrong.code, 1);
  t.match(wrong.said, /^x\.ts: does not fit\nkhumbu: the code does not compile/m);
});

void t.test('servers that take their time are named while they are waited for', async (t) => {
  const said: string[] = [];
  const waiting = new Set(['redis', 'gateway-1']);
  let finish = (_value: number): void => {};
  const work = new Promise<number>((resolve) => {
    finish = resolve;
  });
  const told = tellWhile(
    (line) => said.push(line),
    () => `Waiting for ${[...waiting].join(', ')}`,
    work,
    20,
  );
  await awaitUntil(() => said.length > 1, PATIENCE_MS, 'two lines');
  t.match(said[0], /^Waiting for redis, gateway-1 \(\d+ s\) \.\.\.$/);
  waiting.delete('redis');
  const before = said.length;
  await awaitUntil(() => said.length > before + 1, PATIENCE_MS, 'another line');
  t.match(said.at(-1), /^Waiting for gateway-1 \(/);
  finish(7);
  t.equal(await told, 7);
  await t.rejects(
    tellWhile(
      () => {},
      () => '',
      Promise.reject(new Error('no')),
      20,
    ),
    /no/,
  );
});

void t.test('the run itself says what it starts, and nothing for who wants JSON', async (t) => {
  const loud = await startStubCluster({ dir: join(t.testdir(), 'loud'), env: { UP_JSON: '0' } });
  await awaitUntil(
    () => loud.child.stdout().includes('Khumbu is ready'),
    PATIENCE_MS,
    () => loud.child.output(),
  );
  t.match(loud.child.output(), /^Starting Redis, mosquitto, the object store, 1 gateway and 3 workers \.\.\.$/m);
  await loud.child.end('SIGTERM', 20_000);
  const quiet = await startStubCluster({ dir: join(t.testdirName, 'quiet') });
  await quiet.ready();
  t.equal(quiet.child.output(), quiet.child.stdout());
  await quiet.child.end('SIGTERM', 20_000);
});
