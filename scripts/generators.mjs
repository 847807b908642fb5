/** Generators of code from docs/openapi.json: installed into packages/client/generators when they are not there. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Refusal, ROOT, run } from './prepare.mjs';

export const GENERATORS = join(ROOT, 'packages/client/generators');
export const DOCUMENT = join(ROOT, 'docs/openapi.json');

export async function installGenerators() {
  if (existsSync(join(GENERATORS, 'node_modules/.package-lock.json'))) return;
  const code = await run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], {
    cwd: GENERATORS,
    stdio: ['ignore', 2, 2],
  });
  if (code !== 0) throw new Refusal('the generators could not be installed: npm ci in packages/client/generators');
}
