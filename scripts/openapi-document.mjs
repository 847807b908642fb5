/**
 * Write docs/openapi.json as a gateway serves it at /openapi.json. With `--check` nothing is written: it fails when the file
 * is stale. Needs compiled code and Redis.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { main, Refusal, ROOT } from './prepare.mjs';

const FILE = join(ROOT, 'docs/openapi.json');
const load = (path) => import(pathToFileURL(join(ROOT, path)).href);

async function served() {
  const { startRedis } = await load('packages/test-support/dist/src/redis.js');
  const { openRest } = await load('services/gateway/dist/test/rest-harness.js');
  const dir = mkdtempSync(join(tmpdir(), 'khumbu-openapi-'));
  const cleanups = [];
  try {
    const redis = await startRedis({ dir });
    cleanups.push(() => redis.stop());
    const rest = await openRest({ teardown: (clean) => cleanups.unshift(clean) }, { redis, stations: {} });
    const { body } = await rest.call('GET', '/openapi.json', { key: null });
    return `${JSON.stringify(body, null, 2)}\n`;
  } finally {
    for (const clean of cleanups) await clean();
    rmSync(dir, { recursive: true, force: true });
  }
}

await main(async () => {
  const text = await served();
  const known = existsSync(FILE) ? readFileSync(FILE, 'utf8') : '';
  if (text === known) return;
  if (process.argv.includes('--check'))
    throw new Refusal('docs/openapi.json is stale: node scripts/openapi-document.mjs');
  writeFileSync(FILE, text);
});
