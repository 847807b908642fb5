/**
 * Write packages/client/src/generated/rest-api.ts from docs/openapi.json. With `--check` nothing is written: it fails when
 * the file is stale.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DOCUMENT, GENERATORS, installGenerators } from './generators.mjs';
import { main, Refusal, ROOT } from './prepare.mjs';

const FILE = join(ROOT, 'packages/client/src/generated/rest-api.ts');

await main(async () => {
  await installGenerators();
  const text = execFileSync(process.execPath, [join(GENERATORS, 'client-types.mjs'), DOCUMENT], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const known = existsSync(FILE) ? readFileSync(FILE, 'utf8') : '';
  if (text === known) return;
  if (process.argv.includes('--check'))
    throw new Refusal('the types of packages/client are stale: node scripts/client-types.mjs');
  writeFileSync(FILE, text);
});
