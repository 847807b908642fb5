/**
 * Each program as `dist/bundle/main.js` of its package, with what only some runs of it load beside it. Made from what the
 * compiler wrote, anew when something of that has changed. docs/adr/0047-a-program-is-bundled.md.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { filesBelow, stateOf } from './compiled.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Packages whose `src/main.ts` is a program. */
const PROGRAMS = [
  'services/gateway',
  'services/ota-worker',
  'services/log-worker',
  'services/system-control',
  'packages/station-simulator',
  'packages/embedded-run',
  'packages/cli',
];

/** They look for files beside their own, or are compiled for a machine. */
const STAY_PACKAGES = /^(?:pino|thread-stream|ssh2|msgpackr-extract|@fastify\/swagger-ui)(?:$|\/)/;

/** Beside a bundle: what it was made from, and which files are its parts. */
const NOTE = 'made-from.json';

/** What is no longer needed stays this long: programs that were started before may load it yet. */
const KEEP_MS = 7 * 24 * 3600_000;

const at = (...parts) => join(ROOT, ...parts);

/** Everything that a bundle may be made from. */
function sourcesState() {
  const packages = ['packages', 'services']
    .filter((group) => existsSync(at(group)))
    .flatMap((group) => readdirSync(at(group)).map((name) => at(group, name)));
  return stateOf([
    ...['package-lock.json', 'node_modules/.package-lock.json', 'scripts/bundle.mjs'].map((name) => at(name)),
    ...packages.flatMap((folder) => [
      join(folder, 'package.json'),
      ...filesBelow(join(folder, 'dist', 'src')).filter((file) => file.endsWith('.js')),
    ]),
  ]);
}

/** Modules find their files from where they were compiled to, wherever their code has gone. */
const keepPlaces = (folder) => ({
  name: 'keep-places',
  transform(code, id) {
    if (!id.startsWith(ROOT) || id.slice(ROOT.length).includes('/node_modules/')) return undefined;
    if (/import\.meta(?!\.url\b)/.test(code)) throw new Error(`${id}: of import.meta only url stays true in a bundle`);
    if (!code.includes('import.meta.url')) return undefined;
    const place = JSON.stringify(relative(folder, id));
    return { code: code.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`) };
  },
});

/** V8 keeps a script with two bytes a character if one of them is beyond Latin-1. */
function inLatin1(code) {
  if (/(?<!\\)(?:\\\\)*\\[\u0100-\uffff]/.test(code))
    throw new Error('a character beyond Latin-1 stands behind a backslash');
  return code.replace(/[\u0100-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Beside others that do the same, and programs that start. */
function put(file, text) {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, file);
}

/** `state`: of what it was made from; `parts`: the files that it consists of. */
function readNote(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, NOTE), 'utf8'));
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return { state: '', parts: [] };
  }
}

/** From now on the week counts. */
function keepForNow(file) {
  try {
    utimesSync(file, new Date(), new Date());
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}

function removeOld(folder, parts) {
  for (const name of readdirSync(folder)) {
    const { mtimeMs = Date.now() } = statSync(join(folder, name), { throwIfNoEntry: false }) ?? {};
    if (!parts.includes(name) && name !== NOTE && Date.now() - mtimeMs > KEEP_MS)
      rmSync(join(folder, name), { force: true });
  }
}

async function bundle(rolldown, { input, folder, state }) {
  const build = await rolldown({
    input,
    platform: 'node',
    external: STAY_PACKAGES,
    // As CommonJS some packages have imports that only a run of them could tell.
    resolve: { mainFields: ['module', 'main'] },
    plugins: [keepPlaces(folder)],
  });
  try {
    const { output } = await build.generate({
      format: 'esm',
      entryFileNames: 'main.js',
      chunkFileNames: '[name]-[hash].js',
    });
    mkdirSync(folder, { recursive: true });
    for (const name of readNote(folder).parts) keepForNow(join(folder, name));
    // The one that asks for the others comes after them.
    const chunks = output.toSorted((a, b) => Number(a.isEntry) - Number(b.isEntry));
    for (const { fileName, code } of chunks) put(join(folder, fileName), inLatin1(code));
    const parts = chunks.map(({ fileName }) => fileName);
    put(join(folder, NOTE), JSON.stringify({ state, parts }));
    removeOld(folder, parts);
  } finally {
    await build.close();
  }
}

export async function bundlePrograms() {
  // As it is before anything is read: what changes meanwhile is bundled with the next start.
  const state = sourcesState();
  const stale = PROGRAMS.map((program) => ({
    input: at(program, 'dist/src/main.js'),
    folder: at(program, 'dist/bundle'),
    state,
  }))
    .filter(({ input }) => existsSync(input))
    .filter(({ folder }) => !existsSync(join(folder, 'main.js')) || readNote(folder).state !== state);
  if (stale.length === 0) return;
  const { rolldown } = await import('rolldown');
  for (const program of stale) await bundle(rolldown, program);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await bundlePrograms();
