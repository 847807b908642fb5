/**
 * Each program as `dist/bundle/main.js` of its package, with what only some runs of it load beside it. Made from what the
 * compiler wrote, anew when something of that has changed. docs/adr/0047-a-program-is-bundled.md.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

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

/** A program that runs may still load what was made with it. */
const KEEP_MS = 7 * 24 * 3600_000;

const at = (...parts) => join(ROOT, ...parts);
const changedAt = (file) => statSync(file).mtimeMs;

/** When something that may be in a bundle was changed last. */
function sourcesChangedAt() {
  const compiled = ['packages', 'services']
    .filter((group) => existsSync(at(group)))
    .flatMap((group) => readdirSync(at(group)).map((name) => at(group, name, 'dist', 'src')))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, name)))
    .filter((file) => file.endsWith('.js'));
  return Math.max(...[...compiled, at('package-lock.json'), fileURLToPath(import.meta.url)].map(changedAt));
}

/** Modules find their files from where they were compiled to, wherever their code has gone. */
const keepPlaces = (folder) => ({
  name: 'keep-places',
  transform(code, id) {
    if (!id.startsWith(ROOT) || id.slice(ROOT.length).includes('/node_modules/') || !code.includes('import.meta.url'))
      return undefined;
    const place = JSON.stringify(relative(folder, id));
    return { code: code.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`) };
  },
});

/** V8 keeps a script with two bytes a character if one of them is beyond Latin-1. */
const inLatin1 = (code) =>
  code.replace(/[\u0100-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Beside others that do the same, and programs that start. */
function put(file, text) {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, file);
}

async function bundle(rolldown, input, folder) {
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
    // The one that asks for the others comes last.
    const chunks = output.toSorted((a, b) => Number(a.isEntry) - Number(b.isEntry));
    for (const { fileName, code } of chunks) put(join(folder, fileName), inLatin1(code));
    for (const name of readdirSync(folder)) {
      const isOld = Date.now() - changedAt(join(folder, name)) > KEEP_MS;
      if (isOld && !chunks.some(({ fileName }) => fileName === name)) rmSync(join(folder, name));
    }
  } finally {
    await build.close();
  }
}

export async function bundlePrograms() {
  const since = sourcesChangedAt();
  const stale = PROGRAMS.map((program) => ({
    input: at(program, 'dist/src/main.js'),
    folder: at(program, 'dist/bundle'),
  }))
    .filter(({ input }) => existsSync(input))
    .filter(({ folder }) => !existsSync(join(folder, 'main.js')) || changedAt(join(folder, 'main.js')) < since);
  if (stale.length === 0) return;
  const { rolldown } = await import('rolldown');
  for (const { input, folder } of stale) await bundle(rolldown, input, folder);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await bundlePrograms();
