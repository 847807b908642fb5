/**
 * Code of the generators that users of REST know, from an OpenAPI document into a folder, and whether it compiles in strict
 * mode: `node strict.mjs DOCUMENT FOLDER`. Ends with what the compiler says.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const here = import.meta.dirname;
const [document, folder] = process.argv.slice(2).map((path) => resolve(path));
const call = (program, args) =>
  execFileSync(join(here, 'node_modules/.bin', program), args, { cwd: folder, stdio: ['ignore', 2, 2] });

mkdirSync(folder, { recursive: true });
symlinkSync(join(here, 'node_modules'), join(folder, 'node_modules'));
call('openapi-ts', ['--input', document, '--output', 'openapi-ts']);
const output = { target: './orval/api.ts', client: 'fetch', mode: 'single' };
writeFileSync(
  join(folder, 'orval.config.mjs'),
  `export default ${JSON.stringify({ khumbu: { input: document, output } })};\n`,
);
call('orval', ['--config', 'orval.config.mjs']);
const compilerOptions = {
  strict: true,
  noEmit: true,
  noUncheckedIndexedAccess: true,
  target: 'ES2022',
  module: 'ESNext',
  moduleResolution: 'Bundler',
  lib: ['ES2022', 'DOM', 'DOM.Iterable'],
  types: [],
};
writeFileSync(
  join(folder, 'use.ts'),
  `import { followEvents, listStations } from './openapi-ts/index';
import { listStations as listed } from './orval/api';

export async function use(): Promise<string[]> {
  const { stream } = await followEvents();
  for await (const event of stream) if (event.type === 'operation') return [event.status satisfies string];
  const { data } = await listStations();
  const other = await listed();
  const names = other.status === 200 ? other.data.items.map(({ stationId }) => stationId) : [other.data.code];
  return [...names, ...(data?.items.map(({ presence }) => presence) ?? [])];
}
`,
);
writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['.'] }));
call('tsc', ['--project', '.']);
