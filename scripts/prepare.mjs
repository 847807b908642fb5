/**
 * What must be there before anything of ours can run: a new enough Node, the packages, the compiled code. Each step does
 * nothing when there is nothing to do. Plain JavaScript without dependencies; all output goes to stderr.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundlePrograms } from './bundle.mjs';
import { isCompiled, noteCompiled, sourcesOf } from './compiled.mjs';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const OLDEST_NODE = [20, 19];
const at = (...parts) => join(ROOT, ...parts);
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));
export const say = (line) => process.stderr.write(`${line}\n`);

/** An expected failure: its message is all a person needs. */
export class Refusal extends Error {}

const STILL_MS = 10_000;

/**
 * Do what takes long: say what it is, every few seconds that it goes on, and how long it took; with `afterMs` only if it
 * takes longer than that. Settles as `work` does.
 */
async function telling(doing, { quiet = false, afterMs = 0 }, work) {
  const started = performance.now();
  const seconds = () => `${((performance.now() - started) / 1000).toFixed(0)} s`;
  let isTold = false;
  const begin = () => {
    isTold = !quiet;
    if (isTold) say(`${doing} ...`);
  };
  if (afterMs === 0) begin();
  const first = setTimeout(() => isTold || begin(), afterMs);
  const still = setInterval(() => isTold && say(`${doing}: ${seconds()} ...`), STILL_MS);
  try {
    return await work();
  } finally {
    clearTimeout(first);
    clearInterval(still);
    if (isTold) say(`${doing}: ${seconds()}.`);
  }
}

/**
 * Run a command in the project's folder, its output on stderr, or its stdout line by line to `onLine`; with `quiet` only if it
 * fails. It ends with us.
 * Resolves with its exit code.
 */
export function run(command, args, { onLine, quiet = false, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const stdio = quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 2, 2];
    const child = spawn(command, args, { cwd: ROOT, stdio, ...options });
    const output = [];
    if (quiet) for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => output.push(bytes));
    const pass = (signal) => child.kill(signal);
    process.on('SIGINT', pass).on('SIGTERM', pass);
    if (onLine) createInterface({ input: child.stdout }).on('line', onLine);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.off('SIGINT', pass).off('SIGTERM', pass);
      if (code !== 0) process.stderr.write(Buffer.concat(output));
      resolve(signal ? 1 : (code ?? 1));
    });
  });
}

export function checkNode(version = process.versions.node) {
  const [major, minor] = version.split('.').map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_NODE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  throw new Refusal(`Node ${OLDEST_NODE.join('.')} or newer is needed; this is Node ${version}`);
}

/** Whether what is installed is what the lock file asks for. npm writes down what it installed as its last act. */
function packagesAreCurrent() {
  const installedFile = at('node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const wanted = readJson(at('package-lock.json')).packages;
  const installed = readJson(installedFile).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) return true;
    const there = installed[path];
    if (!there) return entry.optional === true || entry.devOptional === true || entry.peer === true;
    return there.version === entry.version && Boolean(there.link) === Boolean(entry.link);
  });
}

/** npm as it started us, else the one on PATH. */
const npm = (args) => {
  const cli = process.env.npm_execpath;
  return cli?.endsWith('.js') ? [process.execPath, [cli, ...args]] : ['npm', args];
};

async function installPackages({ quiet }) {
  if (packagesAreCurrent()) return;
  const [command, args] = npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
  const code = await telling('Installing npm packages (once)', { quiet }, () => run(command, args, { quiet }));
  if (code !== 0) throw new Refusal(`npm ci failed (exit code ${code}); its words stand above`);
}

/** Compiled files whose source is gone: a deleted test must not run on. */
function removeStrays(folder, source) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const from = join(source, entry.name);
    if (entry.isDirectory()) removeStrays(path, from);
    else {
      const name = /^(.*)\.(?:js|d\.ts)(?:\.map)?$/.exec(from)?.[1];
      if (name && !['ts', 'tsx', 'd.ts'].some((end) => existsSync(`${name}.${end}`))) rmSync(path);
    }
  }
}

export const packageFolders = () => readJson(at('tsconfig.json')).references.map((reference) => at(reference.path));

/** One that takes longer has something to do. */
const QUICK_BUILD_MS = 3000;

async function compile(folders, quiet) {
  if (isCompiled(folders)) return;
  const compiled = folders.filter((folder) => existsSync(join(folder, 'dist')));
  for (const folder of compiled)
    for (const part of ['src', 'test'])
      if (existsSync(join(folder, 'dist', part))) removeStrays(join(folder, 'dist', part), join(folder, part));
  // Incremental: half a second when nothing has changed.
  const afterMs = compiled.length === folders.length ? QUICK_BUILD_MS : 0;
  const sources = sourcesOf(folders);
  const tsc = () => run(process.execPath, [at('node_modules', 'typescript', 'bin', 'tsc'), '-b']);
  const code = await telling('Compiling', { quiet, afterMs }, tsc);
  if (code !== 0) throw new Refusal('the code does not compile; the compiler says why above');
  noteCompiled(folders, sources);
}

async function build({ quiet }) {
  const folders = packageFolders();
  await compile(folders, quiet);
  await telling('Bundling', { quiet, afterMs: QUICK_BUILD_MS }, bundlePrograms);
  const page = folders.find((folder) => existsSync(join(folder, 'vite.config.mjs')));
  if (page) await buildPage(page);
}

/** What a browser loads, made anew when something of it has changed. */
async function buildPage(page) {
  const built = join(page, 'dist', 'page', 'index.html');
  const of = (folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name));
  const sources = [
    ...of(join(page, 'src')),
    ...of(at('packages', 'client', 'src')),
    ...of(at('packages', 'filter', 'src')),
    join(page, 'index.html'),
    join(page, 'vite.config.mjs'),
  ];
  if (existsSync(built) && sources.every((file) => statSync(file).mtimeMs <= statSync(built).mtimeMs)) return;
  const code = await run(process.execPath, [
    at('node_modules', 'vite', 'bin', 'vite.js'),
    'build',
    page,
    '--config',
    join(page, 'vite.config.mjs'),
  ]);
  if (code !== 0) throw new Refusal('the page could not be built; vite says why above');
}

/** tap compiles its own plugin set, once after each install and after a change of its plugins. */
export async function buildTap() {
  const stamp = at('node_modules', '.khumbu-tap');
  const plugins = JSON.stringify(readJson(at('package.json')).tap.plugin);
  const wanted = createHash('sha256').update(plugins).update(ROOT).digest('hex');
  if (existsSync(at('.tap', 'plugins')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('Preparing the test runner (once) ...');
  const code = await run(process.execPath, [tapCli(), 'build']);
  if (code !== 0) throw new Refusal('the test runner could not be prepared; it says why above');
  writeFileSync(stamp, wanted);
}

export const tapCli = () => at('node_modules', 'tap', readJson(at('node_modules', 'tap', 'package.json')).bin.tap);

/**
 * Everything that both running and testing need. With `quiet` no progress is told, only what is wrong. Rejects with a
 * {@link Refusal}.
 */
export async function prepare({ quiet = false } = {}) {
  checkNode();
  await installPackages({ quiet });
  await build({ quiet });
}

/** Run a script's main part: an expected failure is one line. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    say(error instanceof Refusal || error?.code ? `khumbu: ${error.message}` : String(error?.stack ?? error));
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main(() => prepare());
